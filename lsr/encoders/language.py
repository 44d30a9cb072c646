"""The language of a collection: found in a sample, told, and compared with what an encoder reads.

Only words depend on it: stop words and stems, of BM25 and of a learned model's lexical terms. What
a network reads was settled when it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from lsr.encoders.analysis.analyzer import is_language
from lsr.encoders.analysis.detection import AUTO, UNKNOWN, Detection, detect_language
from lsr.encoders.analysis.segmenters import SEGMENTED
from lsr.encoders.learned.bundled_models import bundled_folder
from lsr.encoders.lexical import words_language
from lsr.encoders.protocols import Encoder
from lsr.progress import Progress, no_progress
from lsr.types import Document

__all__ = [
    "AUTO",
    "SAMPLE",
    "ChosenLanguage",
    "chosen_language",
    "listened",
    "not_read",
    "sampled",
]

SAMPLE = 1_000
"""The documents, from the first on, that a language is found in."""
_CHARACTERS = 2_000
_ENGLISH = "english"
"""Of the networks that come with this package."""


class ChosenLanguage(NamedTuple):
    """A language for `Analyzer`, and a sentence on why."""

    language: str
    told: str


def sampled(
    documents: Iterable[Document], progress: Progress = no_progress
) -> tuple[list[str], Iterator[Document]]:
    """The beginnings of the first texts, and all documents again, those that were read first.

    Raises:
        DataError: the source cannot be read.
    """
    stream = iter(documents)
    first: list[Document] = []
    for document in islice(stream, SAMPLE):
        first.append(document)
        progress("read", len(first), None)
    return [document.full_text[:_CHARACTERS] for document in first], chain(first, stream)


def listened(
    documents: Iterable[Document], tell: Callable[[list[str]], None]
) -> Iterator[Document]:
    """The documents; when all are read, `tell` gets the beginnings of the first texts."""
    texts: list[str] = []
    for document in documents:
        if len(texts) < SAMPLE:
            texts.append(document.full_text[:_CHARACTERS])
        yield document
    tell(texts)


def chosen_language(texts: Iterable[str]) -> ChosenLanguage:
    """The language that `AUTO` stands for: that of most texts, or "none" where none is found."""
    found = detect_language(texts)
    name = found.language
    if name == UNKNOWN:
        why = "the documents have too few words that tell of a language"
        if len(found.others) > 1:
            why = f"the documents are in several languages ({', '.join(found.others[:5])})"
        return ChosenLanguage("none", f"--language {AUTO}: {why}; words are taken as they are")
    told = f"--language {AUTO}: the documents are in {_shown(name)} ({_share(found)})"
    if is_language(name):
        return ChosenLanguage(name, told)
    if name in SEGMENTED:
        package, line = SEGMENTED[name]
        return ChosenLanguage(
            "none", f"{told}, whose words {package} would find ({line}); they are taken as they are"
        )
    return ChosenLanguage("none", f"{told}, which has no stemmer here; words are taken as they are")


def not_read(encoder: Encoder, texts: Iterable[str]) -> str:
    """A sentence where most texts are in a language that an encoder does not read; else empty.

    It says what reads them. Of learned models, only the language of those that come with this
    package is known.
    """
    network = _network_language(encoder)
    words = words_language(encoder)
    if network is None and words is None:
        return ""
    found = detect_language(texts)
    name = found.language
    if name in (UNKNOWN, network or words):
        return ""
    option = name if is_language(name) else "none"
    told = f"most documents are in {_shown(name)} ({_share(found)})"
    if network is None:
        if words in ("none", option):
            return ""
        return f"{told}, and their words are read as {_shown(str(words))}; --language {option} fits"
    if words == option:
        return ""
    model = encoder.identity.name
    return (
        f"{told}, and {model} reads {_shown(network)}; --sparse bm25 --language {option} finds "
        f"their words, and --sparse {model} --language {option} has them beside {model}"
    )


def _network_language(encoder: Encoder) -> str | None:
    """The language of a network; None of one that is unknown, and without any."""
    identity = encoder.identity
    is_ours = identity.kind == "learned" and bundled_folder(identity.name) is not None
    return _ENGLISH if is_ours else None


def _share(found: Detection) -> str:
    return f"{found.share:.0%} of {found.n_texts:,} texts of a sample"


def _shown(language: str) -> str:
    return "its own form" if language == "none" else language.capitalize()
