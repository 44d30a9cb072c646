"""`PassageSplitter`: a long document's passages, along its structure, by a model's own tokens.

A document is source code when its metadata has a `suffix` of code, as files of a folder have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from lsr.passages.definitions import Definitions
from lsr.passages.grammars import grammar_of, is_code
from lsr.passages.headings import Headings
from lsr.passages.passage import Passage, PassageSettings
from lsr.types import Document

__all__ = ["PassageSplitter"]

_HEADINGS = re.compile(r"(?:#{1,6}[ \t][^\n]*\s*)+")


class PassageSplitter:
    """Splits along headings, paragraphs, sentences and words, whichever is the largest that fits.

    A section that is too long is split by semantic-text-splitter, as Markdown where the text has
    headings; short ones that follow each other are one passage as long as they fit. Source code is
    split along functions, classes and other definitions, whose names are its headings, where the
    grammar of its language is installed; else as plain text. Title and headings, which every
    passage is read with, are not counted among its tokens.

    Args:
        tokenizer_json: the tokenizer of the model that reads passages.
        settings: how long they are.
    """

    def __init__(self, tokenizer_json: bytes, settings: PassageSettings) -> None:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter
        from tokenizers import Tokenizer

        self.settings = settings
        self._tokenizer: Any = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        how = (self._tokenizer, settings.tokens)
        self._plain = TextSplitter.from_huggingface_tokenizer(*how, overlap=settings.overlap)
        self._marked = MarkdownSplitter.from_huggingface_tokenizer(*how, overlap=settings.overlap)

    def passages(self, document: Document) -> tuple[Passage, ...]:
        """The passages of a document, in the order of its text; none where it stays whole."""
        full = document.full_text
        most = self.settings.whole
        if len(full) <= most or self._lengths([full])[0] <= most:
            return ()
        text = document.text
        suffix = document.metadata.get("suffix")
        if isinstance(suffix, str) and is_code(suffix):
            found = list(self._of_code(text, suffix))
            return tuple(found) if len(found) > 1 else ()
        headings = Headings(text)
        splitter = self._marked if headings else self._plain
        found = []
        for first, last in self._sections(text, headings):
            begin = None
            for start, part in splitter.chunk_indices(text[first:last]):
                place, end = first + start, first + start + len(part)
                begin = place if begin is None else begin
                if _HEADINGS.fullmatch(part) and end < len(text[:last].rstrip()):
                    continue  # a heading goes with what it stands above
                found.append(Passage(begin, end, headings.above(place)))
                begin = None
        return tuple(found) if len(found) > 1 else ()

    def _of_code(self, text: str, suffix: str) -> Iterator[Passage]:
        """The passages of source code."""
        grammar = grammar_of(suffix)
        definitions = None if grammar is None else Definitions(text, grammar)
        sections = [(0, len(text))]
        if definitions is not None:

            def lengths(parts: Sequence[tuple[int, int]]) -> list[int]:
                return self._lengths([text[start:end] for start, end in parts])

            sections = list(definitions.sections(lengths, self.settings.tokens))
        for first, last in sections:
            for start, part in self._plain.chunk_indices(text[first:last]):
                begin, end = first + start, first + start + len(part)
                heading = "" if definitions is None else definitions.above(begin, end)
                yield Passage(begin, end, heading)

    def _sections(self, text: str, headings: Headings) -> Iterator[tuple[int, int]]:
        """Starts and ends of sections; of short neighbours as one."""
        edges = list(pairwise(sorted({0, *headings.places, len(text)})))
        lengths = self._lengths([text[first:last] for first, last in edges])
        begin, together = 0, 0
        for (first, _), length in zip(edges, lengths, strict=True):
            if together and together + length > self.settings.tokens:
                yield begin, first
                begin, together = first, 0
            together += length
        yield begin, len(text)

    def _lengths(self, texts: list[str]) -> list[int]:
        """Numbers of tokens."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]
