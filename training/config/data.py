"""Config of the rows that a stage is trained on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lsr.training.config.encoder import Count, NotNegative, Positive, Share, Strict

__all__ = ["DataConfig", "MiningConfig", "Source"]


class Source(Strict):
    """Source of training rows.

    Attributes:
        path: pairs, triples or scored lists as JSON lines (also .gz, .zst) or TSV, a BEIR folder,
            `irds:ID` of ir_datasets, `hf:ID` or `hf:ID:SUBSET` of the Hugging Face hub, or
            `hf:ID/FILE`, a file of a set there.
        limit: rows taken at most, evenly spread over the file.
        weight: how often its rows are drawn, beside others.
        where: of JSON lines, field to values: rows that have one of them in each field, such as
            those whose licence fits. The limit is of these.
        queries, documents: files of id and text (TSV, or JSON lines; also `hf:ID/FILE`), where rows
            hold ids in place of texts, such as qidpidtriples; both or none.
        expanded: whether its documents have been expanded, by `lsr expand` or elsewhere.
        max_negatives: of a row, evenly spread over those it has; null: all.
    """

    path: str
    limit: Count | None = None
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    weight: Positive = 1.0
    split: str = "train"
    queries: str | None = None
    documents: str | None = None
    expanded: bool = False
    max_negatives: Count | None = None

    @model_validator(mode="after")
    def _both_texts(self) -> Self:
        if (self.queries is None) != (self.documents is None):
            raise ValueError("ids of rows need the texts of queries and of documents; give both")
        return self

    @model_validator(mode="after")
    def _lines_alone(self) -> Self:
        if self.where and ".jsonl" not in self.path and ".ndjson" not in self.path:
            raise ValueError("where chooses among JSON lines; this source has none")
        return self


class MiningConfig(Strict):
    """Hard negatives from a teacher's ranking of all documents of the run.

    Attributes:
        depth: ranks that negatives are drawn from, first and last.
        margin: a candidate whose teacher score, min-max normalised over the ranking, is above the
            positive's less this is taken for a false negative and left out; null: none is.
    """

    teacher: Literal["ensemble", "bm25", "dense", "sparse", "student"] = "ensemble"
    per_query: Count = 7
    first_rank: Count = 1
    last_rank: Count = 50
    margin: NotNegative | None = 0.05


class DataConfig(Strict):
    """Data that is trained on.

    Attributes:
        validation_share: of the queries, held out and evaluated on as the set held-out.
        group_size: queries with like positives come in groups of this size, which makes the other
            documents of a batch harder; needs a dense teacher. Null: no groups.
        pseudo_queries: share of queries replaced by titles, sentences or keywords of their
            documents.
        evaluation_sets: BEIR folders whose texts must not be trained on.
        allow_overlap: train although they overlap.
    """

    sources: tuple[Source, ...] = Field(min_length=1)
    validation_share: Share = 0.0
    deduplicate: bool = True
    pseudo_queries: Share = 0.0
    group_size: Annotated[int, Field(ge=2)] | None = None
    mining: MiningConfig | None = None
    evaluation_sets: tuple[str, ...] = ()
    allow_overlap: bool = False
