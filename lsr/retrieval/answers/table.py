"""Answers as rows of a table: plain values, or a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsr.errors import UnavailableError
from lsr.retrieval.answers.passage import PassageMarker
from lsr.retrieval.snippet import plain

if TYPE_CHECKING:
    import pandas as pd

    from lsr.retrieval.answers.answer import Answer

__all__ = ["COLUMNS", "answer_rows", "data_frame"]

COLUMNS = ("query", "doc_id", "rank", "score", "title", "text", "passage", "metadata")
"""Of an answer's table; that of several has `qid` in front."""


def answer_rows(answer: Answer) -> list[dict[str, Any]]:
    """A row of `COLUMNS` for each hit, ranks from 1."""
    marker = PassageMarker(answer)
    return [
        {
            "query": answer.text,
            "doc_id": hit.document.doc_id,
            "rank": rank,
            "score": hit.score,
            "title": hit.document.title,
            "text": hit.document.text,
            "passage": plain(marker.pieces(hit)),
            "metadata": dict(hit.document.metadata),
        }
        for rank, hit in enumerate(answer.hits, start=answer.first + 1)
    ]


def data_frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A pandas DataFrame of rows, with these columns also where there is no row.

    Raises:
        UnavailableError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise UnavailableError(
            "a DataFrame needs pandas, which is not installed; run: "
            "pip install 'lsr-search[notebook]'"
        ) from error
    return pd.DataFrame(rows, columns=list(columns))
