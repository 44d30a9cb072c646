"""Records as training rows: the names that public training sets have for what a row holds.

Layouts are those of sentence-transformers (pairs, triples, n-tuples, margins, scored lists; in its
training files also arrays without names, and `set`: texts that say the same, of which the first is
the query), of OpenSearch's trainer (`query`, `pos`, `negs`; `docs`, `scores`), of Tevatron
(`positive_passages`, `negative_passages`: objects with docid, title and text) and of FlagEmbedding
(`pos_scores`, `neg_scores`). A field that belongs to none of them is remembered by name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lsr.errors import DataError
from lsr.files import is_text

__all__ = ["Passage", "Row", "RowReader", "Where", "is_field", "is_score", "named"]

QUERY_NAMES = ("query", "anchor", "question", "sentence1", "title")
QUERY_ID_NAMES = ("query_id", "qid", "query-id")
LABELLED_NAMES = ("positive", "pos", "positives", "positive_passages")
PAIRED_NAMES = ("passage", "document", "answer", "sentence2", "abstract", "body")
"""Fields of the other text of a pair; with a score, it is that which says how good it is."""

LIST_NAMES = ("documents", "docs")
SET_NAME = "set"
SCORE_NAMES = ("scores", "score", "labels", "label")
MARGIN_NAMES = ("margins", "margin")
SCORES_BY_SIDE = ("pos_scores", "neg_scores")
DOC_ID_NAMES = ("docid", "doc_id", "_id", "id", "pid")
LAYOUTS = (
    "a row needs query and positive (and negatives), or query, documents and scores, as text fields"
)
MOST_NAMED = 20
"""Fields that a note names; of more, the number."""

_NEGATIVE = re.compile(r"(?:hard_)?neg(?:ative)?s?(?:_passages)?(?:_(\d+))?")
_ID = re.compile(r"(?:.*[_-])?ids?|[qp]id|docids?|docno|idx|index")

Where = Callable[[str], DataError]


@dataclass(frozen=True, slots=True)
class Passage:
    """A document of a row, with its id where the row gives one."""

    text: str
    doc_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A record understood.

    Attributes:
        positives: documents that answer the query; several are as many rows.
        negatives: documents that do not.
        scored, scores: documents with scores of some teacher, one each.
    """

    query: str
    query_id: str | None
    positives: tuple[Passage, ...]
    negatives: tuple[Passage, ...] = ()
    scored: tuple[Passage, ...] = ()
    scores: tuple[float, ...] = ()


def is_field(name: str) -> bool:
    """Whether a row may have a field of this name."""
    known = (*QUERY_NAMES, *LABELLED_NAMES, *PAIRED_NAMES, *LIST_NAMES)
    return name in known or is_score(name) or _NEGATIVE.fullmatch(name) is not None


def is_score(name: str) -> bool:
    """Whether a field of this name holds numbers."""
    return name in (*SCORE_NAMES, *MARGIN_NAMES, *SCORES_BY_SIDE)


def named(texts: list[object], where: Where) -> dict[str, object]:
    """The record that an array without names stands for: query, positive, negatives.

    Raises:
        DataError: it is shorter, or holds something else than text.
    """
    if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
        raise where("an array is the texts of a query, a positive and perhaps negatives")
    record: dict[str, object] = {"query": texts[0], "positive": texts[1]}
    return record | {f"negative_{n}": text for n, text in enumerate(texts[2:], start=1)}


class RowReader:
    """Reads the records of one source.

    Args:
        by_id: whether records hold ids in place of texts; a `Passage` then has its id as text.
        used: fields that something else reads.
    """

    def __init__(self, *, by_id: bool = False, used: frozenset[str] = frozenset()) -> None:
        self._by_id = by_id
        self._used = used | {"source"}
        self._not_used: Counter[str] = Counter()
        self._n_read = 0

    def read(self, record: Mapping[str, object], where: Where) -> Row:
        """The row of a record.

        A list of numbers beside a positive and its negatives has one for each of them, or one for
        each negative: the margin by which the positive is better. One number is the margin where
        there is one negative, and the pair's score where there is none. A null is no field.

        Raises:
            DataError: it is of no layout, lacks text, or has scores that are not finite or not as
                many as its documents.
        """
        record = {name: value for name, value in record.items() if value is not None}
        if SET_NAME in record and _first(record, QUERY_NAMES) is None:
            record = _from_set(record, where)
        query_name = _first(record, QUERY_NAMES + (QUERY_ID_NAMES if self._by_id else ()))
        positive_name = _first(record, LABELLED_NAMES + PAIRED_NAMES)
        list_name = _first(record, LIST_NAMES)
        if query_name is None or (positive_name is None and list_name is None):
            raise where(f"{LAYOUTS}; this one has {', '.join(record) or 'no fields'}")
        query = self._passages(record[query_name], query_name, where)
        if len(query) != 1:
            raise where(f"field {query_name} must hold one text, and holds {len(query)}")
        used = {query_name, positive_name, *_negative_names(record)}
        positives: list[Passage] = []
        if positive_name is not None:
            positives = self._passages(record[positive_name], positive_name, where)
        negatives = [
            passage
            for name in _negative_names(record)
            for passage in self._passages(record[name], name, where)
        ]
        if list_name is not None:
            scored = self._passages(record[list_name], list_name, where)
            score_names, scores = _list_scores(record, list_name, len(scored), where)
            used.add(list_name)
        else:
            shape = (len(positives), len(negatives))
            score_names, scores = _tuple_scores(record, shape, where)
            scored = [*positives, *negatives] if scores else []
            if scores and positive_name in PAIRED_NAMES and not negatives:
                positives = []  # the score says how good the pair is, and perhaps that it is not
        self._note(record, used | score_names)
        return Row(
            query[0].text,
            _query_id(record),
            tuple(positives),
            tuple(negatives),
            tuple(scored),
            tuple(scores),
        )

    def notes(self, label: str) -> tuple[str, ...]:
        """A sentence that names the fields that were not understood; none where there are none."""
        if not self._not_used:
            return ()
        named = [
            repr(name) if n == self._n_read else f"{name!r} ({n:,} of {self._n_read:,} rows)"
            for name, n in self._not_used.most_common(MOST_NAMED)
        ]
        more = len(self._not_used) - len(named)
        rest = f" and {more:,} more" if more else ""
        return (f"{label}: fields that are not understood, and not used: {', '.join(named)}{rest}",)

    def _note(self, record: Mapping[str, object], used: set[str | None]) -> None:
        self._n_read += 1
        for name in record:
            if name not in used and name not in self._used and not _ID.fullmatch(name):
                self._not_used[name] += 1

    def _passages(self, value: object, field: str, where: Where) -> list[Passage]:
        if self._by_id:
            return _ids(value, field, where)
        found = []
        for each in value if isinstance(value, list) else [value]:
            passage = self._object(each, field) if isinstance(each, Mapping) else each
            if isinstance(passage, str):
                passage = Passage(passage)
            if not isinstance(passage, Passage) or not passage.text.strip():
                raise where(f"field {field} must hold text, and is empty or something else")
            if not is_text(passage.text):
                raise where(f"field {field} holds half a surrogate pair, which is no character")
            found.append(passage)
        return found

    def _object(self, value: Mapping[str, object], field: str) -> Passage | None:
        """A passage with fields of its own: a text, perhaps a title before it, and an id."""
        title, text = value.get("title") or "", value.get("text")
        if not isinstance(title, str) or not isinstance(text, str):
            return None
        id_name = next((name for name in DOC_ID_NAMES if name in value), None)
        for name in value:
            if name not in ("title", "text") and not _ID.fullmatch(name):
                self._not_used[f"{field}.{name}"] += 1
        doc_id = None if id_name is None else value[id_name]
        full = f"{title} {text}".strip() if title else text
        return Passage(full, str(doc_id) if isinstance(doc_id, str | int) else None)


def _from_set(record: dict[str, object], where: Where) -> dict[str, object]:
    texts = record.pop(SET_NAME)
    if not isinstance(texts, list) or len(texts) < 2:
        raise where("a set must be a list of two texts or more that say the same")
    return {"query": texts[0], "positive": texts[1:], **record}


def _negative_names(record: Mapping[str, object]) -> list[str]:
    """Fields of negatives, numbered ones by their numbers, others as they come."""
    matches = [(name, _NEGATIVE.fullmatch(name)) for name in record]
    found = [(name, int(match.group(1) or 0)) for name, match in matches if match is not None]
    return [name for name, _ in sorted(found, key=lambda pair: pair[1])]


def _query_id(record: Mapping[str, object]) -> str | None:
    for name in QUERY_ID_NAMES:
        if isinstance(value := record.get(name), str | int):
            return str(value)
    return None


def _ids(value: object, field: str, where: Where) -> list[Passage]:
    """Ids: one, a list, or lists by the system that found them."""
    if isinstance(value, Mapping):
        value = [each for listed in value.values() for each in _ids(listed, field, where)]
    values = value if isinstance(value, list) else [value]
    found = []
    for each in values:
        if isinstance(each, bool) or not isinstance(each, str | int | Passage) or each == "":
            raise where(f"field {field} must hold ids, and holds {each!r}")
        found.append(each if isinstance(each, Passage) else Passage(str(each), str(each)))
    return found


def _numbers(value: object, field: str, where: Where) -> list[float]:
    found = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise where(f"{field} {each!r} is not a number")
        if not math.isfinite(each) or abs(each) > float(np.finfo(np.float32).max):
            raise where(f"{field} {each!r} is not a finite number that fits 32 bits")
        found.append(float(each))
    return found


def _list_scores(
    record: Mapping[str, object], list_name: str, n_documents: int, where: Where
) -> tuple[set[str], list[float]]:
    """The field of scores of a list, and the scores."""
    name = _first(record, SCORE_NAMES)
    if name is None:
        raise where(
            f"{list_name} need scores, one each; without scores, give positive and negatives"
        )
    value = record[name]
    numbers = _numbers(value, name, where) if isinstance(value, list) else []
    if len(numbers) != n_documents or not numbers:
        raise where(f"{name} must be a list of one number for each of {list_name}")
    return {name}, numbers


def _tuple_scores(
    record: Mapping[str, object], shape: tuple[int, int], where: Where
) -> tuple[set[str], list[float]]:
    """Fields with scores of a pair, triple or n-tuple, and the scores; none where there are none.

    Args:
        shape: how many positives and negatives there are. Scores are in this order; a margin m is 0
            and -m.
    """
    n_positives, n_negatives = shape
    name = _first(record, SCORE_NAMES + MARGIN_NAMES)
    if name is None:
        return _side_scores(record, shape, where)
    numbers, is_list = _numbers(record[name], name, where), isinstance(record[name], list)
    if name not in MARGIN_NAMES and len(numbers) == n_positives + n_negatives:
        return {name}, numbers
    if n_positives == 1 and 0 < len(numbers) == n_negatives:
        return {name}, [0.0, *(-number for number in numbers)]
    given = f"a list of {len(numbers)}" if is_list else "one number"
    raise where(
        f"{name} is {given} for {n_positives} positives and {n_negatives} negatives; give a score "
        "for each of them, or, beside one positive, a margin for each negative"
    )


def _side_scores(
    record: Mapping[str, object], shape: tuple[int, int], where: Where
) -> tuple[set[str], list[float]]:
    if not any(name in record for name in SCORES_BY_SIDE):
        return set(), []
    found: list[float] = []
    for name, n in zip(SCORES_BY_SIDE, shape, strict=True):
        numbers = _numbers(record.get(name, []), name, where)
        if len(numbers) != n:
            raise where(f"{name} has {len(numbers)} numbers for {n} documents; give one each")
        found += numbers
    return set(SCORES_BY_SIDE), found


def _first(record: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in record), None)
