"""Words that tell nothing of a text: articles, prepositions, conjunctions, and forms of "to be"."""

from __future__ import annotations

__all__ = ["ENGLISH_STOP_WORDS", "stop_words"]

ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)
"""The 33 of Lucene's English set."""

_LISTS = {
    "arabic": "في من على إلى الى عن مع هذا هذه ذلك تلك التي الذي و أو او ثم أن ان إن لا ما لم "
    "لن هو هي كان كانت قد كما بين",
    "armenian": "և ու է են եմ ես էր էին այս այդ այն որ որը որի մեջ համար հետ մի նա նրա իր բայց "
    "կամ թե",
    "basque": "eta edo da dira zen ziren ez bat hau hori hura du dute zuen ere baina baino",
    "catalan": "a al als amb com de del dels el els en és era entre es et i in la les li més no "
    "o per pel pels però què que s se seva si són un una d l",
    "czech": "a aby ale i je jsou jako k ke na nebo o od po pro před s se si u v ve z ze za že "
    "to byl byla bylo do ten ta ty",
    "danish": "af at blev den der det de du er et en for fra har have i ikke ind med men og om "
    "op på sig som så til ud var ved",
    "dutch": "aan als bij dan dat de der des die dit door een en er het hij ik in is maar met "
    "naar niet of om onder ons ook op over te tot uit van voor was wat werd wordt zich zij "
    "zijn",
    "english": " ".join(sorted(ENGLISH_STOP_WORDS)),
    "esperanto": "al aŭ ĉe ĉi da de do el en estas estis ĝi ili ke kaj la kun ne nun ol per por "
    "pri se sed si tiu tiuj",
    "estonian": "aga ei et ja ka kas kui kuid mis ning oli olid on see selle seda siis või välja",
    "finnish": "ei eivät että he hän ja jos joka jotka kanssa kuin kun me mutta myös ne niin "
    "nyt ole oli olivat on ovat se sekä sen sitä tai vaan vai",
    "french": "à au aux avec ce ces dans de des du elle en est et eux il ils je la le les leur "
    "lui ma mais me même mes ne nos notre nous on ou où par pas pour qu que qui sa se ses son "
    "sont sur ta te tes toi ton tu un une vos votre vous c d j l m n s t y",
    "german": "aber als am an auch auf aus bei das dass daß dem den der des die durch ein eine "
    "einem einen einer eines er es für hat ich ihr im in ist mit nach nicht noch oder sich "
    "sie sind so über um und von vor war waren wie wir wird zu zum zur",
    "greek": "ο η το οι τα του της των τον την και κι είναι ήταν από για με σε στο στη στην "
    "στον στα στις στους που πως να θα δεν μη μην αλλά ή ως",
    "hindi": "का की के को में से पर और है हैं था थी थे यह वह ये वे इस उस कि जो तो ही भी ने एक या नहीं लिए",
    "hungarian": "a az és egy hogy is nem van volt ez azt ezt meg de ha vagy mint csak már még "
    "el ki le fel",
    "indonesian": "dan di ke dari yang untuk pada dengan ini itu atau adalah dalam oleh sebagai "
    "juga tidak akan karena para",
    "irish": "a ach ag agus an ar as atá bhí chun de do faoi go i is le na ní nó ó sa sé sí seo "
    "sin tá",
    "italian": "a ad ai al alla alle agli che chi ci come con da dal dalla dai dalle degli dei "
    "del della delle dello di e è ed era gli i il in la le lo ma mi ne negli nei nel nella "
    "nelle non o per più quello questa questo se si sono su sul sulla un una uno c d l",
    "lithuanian": "ir yra buvo bet ar kad kaip iš į su už prie po per apie tai šis ši jis ji "
    "jie ne o nuo iki",
    "nepali": "र को का की मा ले लाई छ छन् हो थियो यो त्यो यस त्यस पनि तर वा एक भने",
    "norwegian": "av at ble da de den der det du en er et for fra han har hun i ikke jeg kan "
    "med men og om opp på seg sin som så til ut var ved vil å",
    "persian": "و در به از که این آن را با است بود برای تا بر هم یا یک اما می نیز شد هر",
    "polish": "a aby albo ale bo by być był była było co czy dla do i ich jak jako jest lub ma "
    "na nie o od po przez przy są się ta tak te tego ten to tym w we z za ze że",
    "portuguese": "a à ao aos as às com como da das de do dos e é ela ele em entre era essa "
    "esse esta este eu foi há isso isto já lhe mais mas me na nas não no nos o os ou para "
    "pela pelas pelo pelos por que quem se sem ser seu sua são também um uma",
    "romanian": "a al ale ar au ca care ce cu de din dar după e ea el ei este eu fi fost în la "
    "lui mai nu o pe pentru prin sau se să și şi sunt un una unei unui",
    "russian": "а без бы был была было были в во вы да для до его ее её если же за и из или им "
    "их к как ко ли мы на не него нет но о об он она они оно от по при с со так то ты у что "
    "это этот я",
    "serbian": "а али да до за и или из је ји као на не о од па по са се су та те то у што a "
    "ali i ili iz je kao na ne od po sa se su ta te to u što",
    "sesotho": "le e ke ka ho ha ba ya tsa sa mo empa kapa hore ena",
    "spanish": "a al como con de del desde e el él ella en entre era es esa ese esta este está "
    "están fue ha hay la las le les lo los me mi muy más ni no nos o para pero por que qué se "
    "ser si sin sobre son su sus también te tu un una unas uno unos y ya",
    "swedish": "att av de den det din du där en er ett från för ha han har hon i inte jag kan "
    "med men mot nu och om på sig sin som så till under upp ut var vara vid vi än är",
    "tamil": "மற்றும் ஒரு இந்த அந்த என்று என அது இது உள்ள ஆகும் அல்லது ஆனால் இருந்து",
    "turkish": "ama bir bu çok da daha de değil en gibi hem her için ile ise ki kadar mı mi mu "
    "mü ne o olan olarak oldu şu ve veya ya",
    "yiddish": "און אין איז די דער דאָס דאס דעם א אַ צו פון מיט אויף נישט ניט אבער אָבער ער זי "
    "עס זיך וואס וואָס",
}
_SAME = {"porter": "english", "dutch_porter": "dutch"}


def stop_words(language: str) -> frozenset[str]:
    """Stop words of a Snowball language, in lower case and normal form C; none for "none"."""
    return frozenset(_LISTS.get(_SAME.get(language, language), "").split())
