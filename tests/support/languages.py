"""A few sentences in each of some languages, written for these tests."""

from __future__ import annotations

__all__ = ["TEXTS"]

TEXTS = {
    "english": (
        "The old lighthouse at the end of the harbour was built by a fisherman, and it is "
        "now a museum for the children of the town. There is a lamp in it that was made "
        "for ships."
    ),
    "german": (
        "Der alte Leuchtturm am Ende des Hafens wurde von einem Fischer gebaut und ist "
        "heute ein Museum für die Kinder der Stadt. In ihm steht eine Lampe, die für "
        "Schiffe gemacht war."
    ),
    "french": (
        "Le vieux phare au bout du port a été construit par un pêcheur, et il est devenu "
        "un musée pour les enfants de la ville. Dans la tour se trouve une lampe qui "
        "servait aux bateaux."
    ),
    "spanish": (
        "El viejo faro al final del puerto fue construido por un pescador y hoy es un "
        "museo para los niños de la ciudad. En la torre hay una lámpara que se hizo para "
        "los barcos."
    ),
    "portuguese": (
        "O velho farol no fim do porto foi construído por um pescador e hoje é um museu "
        "para as crianças da cidade. Na torre há uma lâmpada que não foi feita para os "
        "turistas."
    ),
    "italian": (
        "Il vecchio faro alla fine del porto è stato costruito da un pescatore e oggi è "
        "un museo per i bambini della città. Nella torre si trova una lampada che era per "
        "le navi."
    ),
    "dutch": (
        "De oude vuurtoren aan het einde van de haven werd door een visser gebouwd en is "
        "nu een museum voor de kinderen van de stad. In de toren staat een lamp die er "
        "niet meer brandt."
    ),
    "swedish": (
        "Den gamla fyren vid slutet av hamnen byggdes av en fiskare och är nu ett museum "
        "för barnen i staden. I tornet finns en lampa som inte har varit tänd och som var "
        "till för båtar."
    ),
    "polish": (
        "Stara latarnia na końcu portu została zbudowana przez rybaka i jest to teraz "
        "muzeum dla dzieci z miasta. W wieży jest lampa, która nie była dla ludzi, ale "
        "dla statków na morzu."
    ),
    "russian": (
        "Старый маяк в конце порта был построен рыбаком, и это не дом, а музей для детей. "
        "В башне стоит лампа, что была для кораблей, но она не горит и по ночам, как "
        "раньше."
    ),
    "turkish": (
        "Limanın sonundaki eski deniz feneri bir balıkçı tarafından yapıldı ve şimdi "
        "çocuklar için bir müze. Kulede gemiler için olan bir lamba var, ama bu lamba da "
        "çok eski."
    ),
    "hindi": (
        "बंदरगाह के अंत में पुराना प्रकाशस्तंभ एक मछुआरे ने बनाया था और यह अब शहर के "
        "बच्चों के लिए एक संग्रहालय है। इस में एक दीपक है जो जहाजों के लिए था।"
    ),
    "greek": (
        "Ο παλιός φάρος στο τέλος του λιμανιού χτίστηκε από έναν ψαρά και τώρα είναι "
        "μουσείο για τα παιδιά της πόλης, με μια λάμπα που ήταν για τα πλοία και δεν "
        "ανάβει."
    ),
    "ukrainian": (
        "Старий маяк у кінці порту збудував рибалка, і це не дім, а музей для дітей. У "
        "вежі є лампа, що була для кораблів, та вона не горить за ніч, як і за моря, які "
        "від нас далеко."
    ),
    "thai": (
        "ประภาคารเก่าที่ปลายท่าเรือสร้างโดยชาวประมงและตอนนี้เป็นพิพิธภัณฑ์สำหรับเด็กในเมือง "
        "ในหอคอยมีโคมไฟที่ทำขึ้นสำหรับเรือในทะเลและไม่ได้ใช้แล้วในปัจจุบัน "
    )
    * 3,
    "japanese": ("港の端にある古い灯台は漁師によって建てられ、今は町の子供たちのための博物館です。")
    * 6,
    "chinese": (
        "港口尽头的旧灯塔是一位渔民建造的，现在是城里孩子们的博物馆，塔里有一盏为船只制作的灯。"
    )
    * 5,
    "korean": (
        "항구 끝에 있는 오래된 등대는 어부가 지었고 지금은 마을 아이들을 위한 박물관입니다. "
    )
    * 5,
}
