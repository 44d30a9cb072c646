"""Many documents at once: each is taken or refused on its own, in the order they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lsr.errors import InputError
from lsr.index.live.operation import Operation, Written
from lsr.service.catalog import Catalog
from lsr.service.collections.documents import DocumentRules, Sees

__all__ = ["Bulk", "Outcome", "Parse"]

GOOD = ("created", "replaced", "deleted")

Parse = Callable[[DocumentRules, object], Operation]
"""Makes an operation of a JSON value. Raises InputError."""


@dataclass(frozen=True)
class Outcome:
    """One document's fate; `line` counts from 1."""

    line: int
    doc_id: str | None
    status: str
    version: int
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether it was stored."""
        return self.status in GOOD


@dataclass
class Bulk:
    """Writes batches to one collection, and counts.

    Attributes:
        n_written, n_failed: documents so far.
        seq: the last operation so far, or 0.
    """

    catalog: Catalog
    name: str
    parse: Parse
    sees: Sees | None = None
    n_written: int = 0
    n_failed: int = 0
    seq: int = 0

    def write(
        self, values: Iterable[tuple[int, object]], idempotency_key: str | None = None
    ) -> list[Outcome]:
        """Write a batch of values, numbered by line; an InputError in place of one is its fate.

        Raises:
            NotFoundError, IndexStateError, StorageError: nothing of the batch was written.
        """
        live = self.catalog.live(self.name)
        rules = DocumentRules(live, self.catalog.field_types(self.name), self.sees)
        outcomes: list[Outcome] = []
        places: list[int] = []
        operations: list[Operation] = []
        for line, value in values:
            try:
                if isinstance(value, InputError):
                    raise value
                operation = self.parse(rules, value)
            except InputError as error:
                outcomes.append(Outcome(line, _id_of(value), "invalid", 0, str(error)))
                continue
            places.append(len(outcomes))
            operations.append(operation)
            outcomes.append(Outcome(line, operation.doc_id, "invalid", 0))
        if operations:
            self._place(outcomes, places, self._written(operations, idempotency_key))
        n_good = sum(outcome.is_good for outcome in outcomes)
        self.n_written += n_good
        self.n_failed += len(outcomes) - n_good
        return outcomes

    def _written(
        self, operations: Sequence[Operation], idempotency_key: str | None
    ) -> list[Written]:
        try:
            return self.catalog.write(self.name, operations, idempotency_key)
        except InputError as error:
            if len(operations) == 1:
                return [Written(operations[0].doc_id, "invalid", 0, 0, str(error))]
        written = []
        for place, each in enumerate(operations):  # one cannot be carried out here
            key = None if idempotency_key is None else f"{idempotency_key}#{place}"
            written += self._written([each], key)
        return written

    def _place(
        self, outcomes: list[Outcome], places: Sequence[int], written: Sequence[Written]
    ) -> None:
        for place, each in zip(places, written, strict=True):
            error = each.error
            if error is None and each.status == "conflict":
                error = f"the document has version {each.version}; read it, and write it again"
            line = outcomes[place].line
            outcomes[place] = Outcome(line, each.doc_id, each.status, each.version, error)
            self.seq = max(self.seq, each.seq)


def _id_of(value: object) -> str | None:
    if isinstance(value, dict):
        for name in ("doc_id", "_id", "id"):
            if isinstance(value.get(name), str):
                return str(value[name])[:1_024]
    return None
