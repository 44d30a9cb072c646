"""`Answers`: what a batch of queries found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from lsr.errors import NotFoundError
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.answers.html import heading, hits_table
from lsr.retrieval.answers.lines import told_answer
from lsr.retrieval.answers.table import COLUMNS, data_frame
from lsr.types import Query

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers"]

_QUERIES = 5  # that are shown
_HITS = 3


@dataclass(frozen=True, repr=False)
class Answers:
    """Answers to queries, in their order. Iterates over them; one is taken by place or query id.

    Attributes:
        queries: what was asked.
        answers: an answer to each of them.

    Example:
        >>> import lsr
        >>> documents = [lsr.Document("a", "Keys rotate."), lsr.Document("b", "Backups run.")]
        >>> index = lsr.build(documents, "my-index", sparse="bm25")
        >>> answers = index.search_many({"q1": "key", "q2": "backup"})
        >>> [[hit.doc_id for hit in answer] for answer in answers]
        [['a'], ['b']]
        >>> {query_id: list(found) for query_id, found in answers.to_run().items()}
        {'q1': ['a'], 'q2': ['b']}
        >>> answers["q2"][0].text
        'Backups run.'
        >>> answers
        Answers(2 queries, 2 hits)
          q1  'key', sparse, 1 of 1 hit
          q2  'backup', sparse, 1 of 1 hit
    """

    queries: tuple[Query, ...]
    answers: tuple[Answer, ...]

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __getitem__(self, which: int | str) -> Answer:
        if isinstance(which, int):
            return self.answers[which]
        for query, answer in zip(self.queries, self.answers, strict=True):
            if query.query_id == which:
                return answer
        raise NotFoundError(f"there is no query {which!r} among the {len(self):,} that were asked")

    def to_run(self) -> dict[str, dict[str, float]]:
        """Scores by query and document, best first: a run as ir_measures and ranx take it."""
        return {
            query.query_id: {hit.doc_id: hit.score for hit in answer}
            for query, answer in zip(self.queries, self.answers, strict=True)
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict for each hit of each query: `qid`, and what `Answer.to_dicts` has."""
        return [
            {"qid": query.query_id, **row}
            for query, answer in zip(self.queries, self.answers, strict=True)
            for row in answer.to_dicts()
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """The same as a pandas DataFrame, a row for each hit.

        Raises:
            UnavailableError: pandas is not installed.
        """
        return data_frame(self.to_dicts(), ("qid", *COLUMNS))

    def __repr__(self) -> str:
        first = islice(zip(self.queries, self.answers, strict=True), _QUERIES)
        lines = [f"Answers({self._told})"]
        lines += [f"  {query.query_id}  {told_answer(answer)}" for query, answer in first]
        if len(self) > _QUERIES:
            lines.append(f"  … {len(self) - _QUERIES:,} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first = islice(zip(self.queries, self.answers, strict=True), _QUERIES)
        parts = [
            heading(answer, query.query_id) + hits_table(answer, _HITS) for query, answer in first
        ]
        if len(self) > _QUERIES:
            parts.append(f"<p>… {len(self) - _QUERIES:,} more queries</p>")
        return f"<div><p>{self._told}</p>{''.join(parts)}</div>"

    @property
    def _told(self) -> str:
        n_hits = sum(map(len, self.answers))
        queries = "query" if len(self) == 1 else "queries"
        return f"{len(self):,} {queries}, {n_hits:,} hit{'s' * (n_hits != 1)}"
