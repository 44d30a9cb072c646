"""`Answer`: the hits of one search, how they were found, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from lsr.encoders.analysis import Analyzer
from lsr.retrieval.answer import FacetCounts, Hit, PrfReport, ShardCounts
from lsr.retrieval.answers.html import answer_html
from lsr.retrieval.answers.lines import answer_lines
from lsr.retrieval.answers.table import COLUMNS, answer_rows, data_frame
from lsr.retrieval.hybrid import Notice
from lsr.retrieval.plan import Mode, SearchPlan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answer"]


@dataclass(frozen=True, repr=False)
class Answer:
    """Hits of one search, best first, and how they were found.

    It iterates over its hits, has their number as its length, and gives one by its place. A
    notebook shows it as a table with the passages that matched.

    Example:
        >>> import lsr
        >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
        >>> index.search("key")
        Answer('key', sparse, 1 of 1 hit)
            1    0.1514  a  Keys rotate.
        >>> [hit.doc_id for hit in index.search("key")]
        ['a']
        >>> index.search("key").to_dicts()[0]["passage"]
        'Keys rotate.'

    Attributes:
        mode: hybrid, sparse or dense.
        hits: best first: score descending, then dense raw score descending, then doc_id.
        total: hits that can be paged through with this plan's window.
        plan: what was done, with nothing left open.
        took_ms: milliseconds by stage, and their total.
        n_matches: the true number of documents that match, where it was asked for or is known
            from what was; `total` ends where paging does.
        facets: in the order in which they were asked for.
        first: place of the first hit in the whole ranking, from 0.
        shards: of a sharded collection; None of others.
        analyzer: reads words as the collection does, to mark them in texts; None for English.
    """

    text: str
    mode: Mode
    hits: tuple[Hit, ...]
    total: int
    plan: SearchPlan
    generation: int
    prf: PrfReport
    warnings: tuple[Notice, ...]
    took_ms: dict[str, float]
    n_matches: int | None = None
    facets: tuple[FacetCounts, ...] = ()
    first: int = 0
    shards: ShardCounts | None = None
    analyzer: Analyzer | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[place]

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict for each hit: query, doc_id, rank (from 1), score, title, text, passage, metadata.

        The passage is the part of the text that has most of the query's words.
        """
        return answer_rows(self)

    def to_dataframe(self) -> pd.DataFrame:
        """The same as a pandas DataFrame, a row for each hit.

        Raises:
            UnavailableError: pandas is not installed.
        """
        return data_frame(self.to_dicts(), COLUMNS)

    def __repr__(self) -> str:
        return answer_lines(self)

    def _repr_html_(self) -> str:
        return answer_html(self)
