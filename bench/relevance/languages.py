"""Languages of messages found, and messages found by another translation of the same.

    python -m bench.relevance.languages /usr/share/locale

Catalogs of GNU gettext, as most programs have them, hold the same English text in several
translations where several programs say it. One translation is the query, another the document:
small, but text of people, in scripts that no collection here has.
"""

from __future__ import annotations

import argparse
import gettext
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.analysis.detection import UNKNOWN, detect_language
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import UnavailableError

LANGUAGES = {
    "ar": "arabic", "be": "belarusian", "bg": "bulgarian", "ca": "catalan", "cs": "czech",
    "da": "danish", "de": "german", "el": "greek", "eo": "esperanto", "es": "spanish",
    "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish",
    "gl": "galician", "hi": "hindi", "hr": "serbian", "hu": "hungarian", "id": "indonesian",
    "it": "italian", "ja": "japanese", "ko": "korean", "lt": "lithuanian", "lv": "latvian",
    "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian", "pl": "polish",
    "pt": "portuguese", "pt_BR": "portuguese", "ro": "romanian", "ru": "russian", "sk": "slovak",
    "sl": "slovenian", "sq": "albanian", "sr": "serbian", "sv": "swedish", "ta": "tamil",
    "th": "thai", "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese", "zh_CN": "chinese",
    "zh_TW": "chinese",
}  # fmt: skip
READ_BY = {"ko": ("none", "korean"), "ja": ("none",), "zh_CN": ("none",), "zh_TW": ("none",)}
_MOST, _LONGEST_NAME = 4_000, 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of catalogs, as in /usr/share/locale")
    folder = parser.parse_args().folder
    right = wrong = 0
    for code, language in LANGUAGES.items():
        texts = [text for _, text in messages(folder, code) if len(text) > 2 * _LONGEST_NAME]
        found = detect_language(texts[:_MOST])
        right += found.language == language
        wrong += found.language not in (language, UNKNOWN)
        print(f"{code:6} {len(texts):6,} {language:12} {found.language:12} {found.share:.2f}")
    print(f"{right} right and {wrong} wrong of {len(LANGUAGES)}")
    for code, languages in READ_BY.items():
        for language in languages:
            try:
                gains = found_again(messages(folder, code), language)
            except (UnavailableError, ValueError) as error:
                print(f"{code} {language}: {error}")
                continue
            print(f"{code} {language}: nDCG@10 {gains.mean():.3f} of {len(gains)} queries")


def messages(folder: Path, code: str) -> Iterator[tuple[str, str]]:
    """English texts and their translations, program by program."""
    for path in sorted(folder.glob(f"{code}/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError):  # a damaged one, or of an old encoding
            print(f"{path}: not read")
            continue
        for said, text in catalog.items():
            if isinstance(said, str) and len(said) > _LONGEST_NAME and text not in ("", said):
                yield said, str(text).strip()


def found_again(pairs: Iterator[tuple[str, str]], language: str) -> NDArray[np.float64]:
    """The gain of each query, a second translation, whose one relevant document is the first."""
    translations: dict[str, dict[str, None]] = {}
    for said, text in pairs:
        translations.setdefault(said, {})[text] = None
    several = [list(each) for each in translations.values()]
    relevant = np.array([place for place, each in enumerate(several) if len(each) > 1])
    if len(relevant) == 0:
        raise ValueError("nothing is translated twice")
    encoder = Bm25Encoder(language=language)
    documents = to_scipy(encoder.encode_corpus([[each[0] for each in several]]))
    queries = to_scipy(encoder.encode_queries([several[place][1] for place in relevant]))
    scores = (queries @ documents.T).toarray()
    own = scores[np.arange(len(relevant)), relevant]
    ties = (scores == own[:, None]) & (np.arange(len(several)) < relevant[:, None])
    ranks = 1 + ((scores > own[:, None]) | ties).sum(axis=1)
    return np.where((own > 0) & (ranks <= 10), 1 / np.log2(ranks + 1), 0.0)


if __name__ == "__main__":
    main()
