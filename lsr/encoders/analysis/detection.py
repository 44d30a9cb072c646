"""Languages of texts, by the stop words that they have, and by scripts that one language has.

That is enough for what is asked: whether most texts of a collection are in one language. Twenty
words tell two languages apart that are not close to each other; fifty, most of those that are.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

from lsr.encoders.analysis.characters import marks
from lsr.encoders.analysis.stop_words import stop_words

__all__ = ["AUTO", "UNKNOWN", "Detection", "detect_language", "language_of"]

AUTO = "auto"
"""In place of a language: that of most texts."""
UNKNOWN = "unknown"

_FEWEST_WORDS = 20
_WORDS_TOGETHER = 100
_LEAST_SHARE, _LEAST_LEAD = 0.08, 1.05
"""Of a text's words: stop words of its language; and these, over those of the next language."""
_MOST, _LEAST = 2 / 3, 0.4
"""Of the texts whose language is known, and of all: those of a collection's language."""
_MOST_CHARACTERS = 2_000
"""Read of one text."""

_SCRIPTS = {
    "japanese": "\u3040-\u30ff",
    "chinese": "\u3400-\u9fff",
    "korean": "\u1100-\u11ff\uac00-\ud7ff",
    "thai": "\u0e00-\u0e7f",
    "armenian": "\u0530-\u058f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "tamil": "\u0b80-\u0bff",
}
"""Scripts that one of the languages known here has alone; Japanese has Chinese characters too."""

_NEIGHBOURS = {
    "afrikaans": "die van het in en is nie te wat op vir met deur 'n sy hulle aan wees sal elke",
    "albanian": "dhe të e në për me nga një që si ose është nuk tij i këtë janë ka do",
    "belarusian": "і ў на не з да ці што яго за або па у мае яны для як пры ад кожны",
    "bulgarian": "и на в за се от с да не е по или са при както като че което към си има всеки",
    "galician": "e a o de que do da en os as un unha ao á seu súa con non por para ou ten nin",
    "icelandic": "og að í á er sem eða til um við með skal ekki hver fyrir því eru hann af",
    "latin": "et in est non ad ut cum aut qui quae ex de sed vel quod omnes sunt ab si",
    "latvian": "un ir vai no uz ar par ka kas viņa lai nav pie kā arī to tas bet",
    "macedonian": "и на во за се од со да не е по или секој како што кој при има тоа",
    "slovak": "a v na sa je s z do že ktorý alebo aj jeho má ako pri ktoré sú to pre by o",
    "slovenian": "in v na je se za z da so ali do pri kot ki ima iz ne njegove po tudi",
    "swahili": "ya na wa kwa ni katika la za kila yake cha au kuwa haki hii bila",
    "tagalog": "ang ng sa mga na at ay ni kung o hindi may kanyang isang para",
    "ukrainian": "і та в на з що не до за як від є його або це у які й має при по",
    "urdu": "کے اور کی کا میں ہے سے کو یا اس پر نہیں ہر اپنے جو ہیں نے",
    "vietnamese": "và của là có được các trong cho không một với người những về đều",
}
"""Words of languages without a stemmer that are close to one with one, or use its words."""

_MORE = {
    "danish": "efter eller hvad hver kun mere mod nogen nogle skal uden under hvis alle ved",
    "norwegian": "etter eller hva hver bare mer mot noen skal uten under hvis alle ved blir",
    "serbian": "biti bilo ima ili kako koja koje koji može ove ovog prema samo svoje sve "
    "бити било има или како која које који може ове овог према само своје све",
}
"""Words that tell close languages apart, besides their stop words, which are part of indexes."""


@dataclass(frozen=True)
class Detection:
    """Language of most of some texts.

    Attributes:
        language: a Snowball language, another one that is known, or `UNKNOWN`.
        share: of the texts that are in it, 0 to 1; short ones that follow each other are one.
        n_texts: how many there are, of enough words to tell.
        others: the languages of the others, most frequent first; none of unknown ones.
    """

    language: str
    share: float
    n_texts: int
    others: tuple[str, ...] = ()


def detect_language(texts: Iterable[str]) -> Detection:
    """The language of two thirds of the texts, those left out that tell of none; or `UNKNOWN`."""
    found = Counter(map(language_of, _together(texts)))
    n_texts = found.total()
    n_known = n_texts - found.pop(UNKNOWN, 0)
    languages = sorted(found, key=lambda language: (-found[language], language))
    if not languages:
        return Detection(UNKNOWN, 0.0, n_texts)
    n = found[languages[0]]
    if n < _MOST * n_known or n < _LEAST * n_texts:
        return Detection(UNKNOWN, 0.0, n_texts, tuple(languages))
    return Detection(languages[0], n / n_texts, n_texts, tuple(languages[1:]))


def language_of(text: str) -> str:
    """The language of one text; `UNKNOWN` where its words tell of none, or of two alike."""
    words = _words(text)
    script = _by_script("".join(words))
    if script is not None:
        return script
    owners = _owners()
    counts = Counter(language for word in words for language in owners.get(word, ()))
    best = counts.most_common(2)
    if not best or best[0][1] < max(2, _LEAST_SHARE * len(words)):
        return UNKNOWN
    if len(best) == 2 and best[0][1] < _LEAST_LEAD * best[1][1]:
        return UNKNOWN
    return best[0][0]


def _together(texts: Iterable[str]) -> Iterator[str]:
    """Texts of enough words, or several of them as one."""
    waiting: list[str] = []
    n_words = 0
    for text in texts:
        begin = text[:_MOST_CHARACTERS]
        waiting.append(begin)
        n_words += max(len(_words(begin)), len(begin) // 10 if not begin.isascii() else 0)
        if n_words >= _WORDS_TOGETHER:
            yield "\n".join(waiting)
            waiting, n_words = [], 0
    if n_words >= _FEWEST_WORDS:
        yield "\n".join(waiting)


def _words(text: str) -> list[str]:
    found: list[str] = _word().findall(unicodedata.normalize("NFC", text).lower())
    return found


def _by_script(letters: str) -> str | None:
    """The language whose script half of the letters, or a twentieth of them in kana, are of."""
    for language, pattern in _scripts().items():
        n = len(pattern.findall(letters))
        if n > len(letters) * (0.05 if language == "japanese" else 0.5):
            return language
    return None


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(rf"[^\W\d_][\w{marks()}]+|[^\W\d_A-Za-z]")


@lru_cache(maxsize=1)
def _scripts() -> dict[str, re.Pattern[str]]:
    return {language: re.compile(f"[{ranges}]") for language, ranges in _SCRIPTS.items()}


@lru_cache(maxsize=1)
def _owners() -> dict[str, tuple[str, ...]]:
    """Stop word to the languages that have it."""
    found: dict[str, list[str]] = {}
    lists = {name: stop_words(name) for name in Stemmer.algorithms() if "porter" not in name}
    lists |= {name: frozenset(words.split()) for name, words in _NEIGHBOURS.items()}
    for language, words in lists.items():
        for word in words.union(_MORE.get(language, "").split()):
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}
