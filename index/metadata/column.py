"""`Column`: the values of one metadata field in one segment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.sorted_values import SortedValues
from lsr.index.metadata.value_dictionary import ValueDictionary
from lsr.index.storage.segment import frozen
from lsr.retrieval.filter import AnyOf, Range
from lsr.retrieval.scalar import OrderKey, Scalar, instants, number_of, order_key, scalar_of

__all__ = ["Column"]

Mask = NDArray[np.bool_]

EMPTY = b'""'
"""An empty text, as an empty cell of a table is: a value for filters, none for an order."""

_ROWS = re.compile(r"[0-9]{1,18}(?:,[0-9]{1,18})*")


class Column:
    """Values by code, and the rows that have each.

    What a filter of one kind needs is made when the first of it comes, and kept.

    Args:
        n_rows: of the segment.
        values: canonical JSON, ascending as UTF-8, each once.
        lengths: rows of each value, above 0.
        rows: the rows of the first value, then those of the second …; int32.

    Attributes:
        values: code to value.
        indptr: int64, shape (n_values + 1,), and
        rows: int32: rows of code c are `rows[indptr[c]:indptr[c + 1]]`.
    """

    def __init__(
        self,
        n_rows: int,
        values: Sequence[str],
        lengths: Sequence[int],
        rows: NDArray[np.int32],
    ) -> None:
        self.n_rows = n_rows
        self.values = ValueDictionary([value.encode() for value in values])
        self.indptr = np.zeros(len(values) + 1, np.int64)
        np.cumsum(lengths, out=self.indptr[1:])
        self.rows = rows

    @classmethod
    def of_lines(cls, n_rows: int, lines: Sequence[tuple[str, str]]) -> Column:
        """From values, ascending, with their rows as numbers between commas.

        Raises:
            ValueError: rows are no numbers from 0 to `n_rows` - 1.
        """
        try:
            lengths = [rows.count(",") + 1 for _, rows in lines]
            joined = ",".join([rows for _, rows in lines])
            if lines and not _ROWS.fullmatch(joined):
                raise ValueError("a row is no number")
            rows = np.fromstring(joined, np.int64, sep=",") if lines else np.zeros(0, np.int64)
            if len(rows) != sum(lengths) or (len(rows) and rows.max() >= n_rows):
                raise ValueError(f"a row is not one of {n_rows}")
            return cls(n_rows, [value for value, _ in lines], lengths, rows.astype(np.int32))
        except (AttributeError, TypeError) as error:
            raise ValueError("a value is no text") from error

    @classmethod
    def of_pairs(cls, n_rows: int, pairs: Iterable[tuple[str, int]]) -> Column:
        """From values in canonical JSON and rows, in any order."""
        by_value: dict[str, set[int]] = {}
        for value, row in pairs:
            by_value.setdefault(value, set()).add(row)
        values = sorted(by_value, key=str.encode)
        rows = [row for value in values for row in sorted(by_value[value])]
        lengths = [len(by_value[value]) for value in values]
        return cls(n_rows, values, lengths, np.array(rows, np.int32))

    @cached_property
    def has_value(self) -> Mask:
        """Mask of the rows with any value."""
        mask = np.zeros(self.n_rows, bool)
        mask[self.rows] = True
        return frozen(mask)

    @cached_property
    def numbers(self) -> SortedValues:
        """Numbers, those that texts write included."""
        return self._sorted(_number)

    @cached_property
    def times(self) -> SortedValues:
        """Texts that are dates, by their first microsecond since 1970."""
        return self._sorted(_time)

    def _sorted(self, read: Callable[[Scalar], int | float | None]) -> SortedValues:
        found = [read(scalar_of(value)) for value in self.values.stored()]
        codes = [code for code, value in enumerate(found) if value is not None]
        values = [value for value in found if value is not None]
        return SortedValues(values, np.array(codes, np.int32), self.indptr, self.rows)

    @cached_property
    def entry_codes(self) -> NDArray[np.int32]:
        """The code of each of `rows`."""
        return np.repeat(np.arange(len(self.values), dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def first_codes(self) -> NDArray[np.int32]:
        """The smallest code of each row, -1 where there is none: int32, shape (n_rows,)."""
        codes = np.full(self.n_rows, -1, np.int32)
        codes[self.rows[::-1]] = self.entry_codes[::-1]  # of several, the last one stays
        return codes

    @property
    def order_keys(self) -> list[OrderKey]:
        """The different places of values in order, ascending."""
        return self._order[0]

    @property
    def ranks(self) -> NDArray[np.int32]:
        """The place of each code's value in `order_keys`: int32, shape (n_values,)."""
        return self._order[1]

    @cached_property
    def _order(self) -> tuple[list[OrderKey], NDArray[np.int32]]:
        keys = [order_key(scalar_of(value)) for value in self.values.stored()]
        sorts: dict[int, set[int | float | str]] = {}
        for sort, place in keys:  # values of one kind are sorted sooner than pairs
            sorts.setdefault(sort, set()).add(place)
        different = [(sort, place) for sort in sorted(sorts) for place in sorted(sorts[sort])]
        places = {key: place for place, key in enumerate(different)}
        return different, np.array([places[key] for key in keys], np.int32)

    @cached_property
    def least_ranks(self) -> NDArray[np.int32]:
        """The rank of each row's first value in order; -1 where there is none, or empty text."""
        return self._row_ranks(-self.ranks)

    @cached_property
    def greatest_ranks(self) -> NDArray[np.int32]:
        """The rank of each row's last value in order; -1 where there is none, or empty text."""
        return self._row_ranks(self.ranks)

    def _row_ranks(self, order: NDArray[np.int32]) -> NDArray[np.int32]:
        """Of a row's values, the rank of the one that is greatest by `order`."""
        found = np.full(self.n_rows, -1, np.int32)
        entries = np.argsort(order[self.entry_codes], kind="stable")
        entries = entries[self.entry_codes[entries] != self.values.find(EMPTY)]
        found[self.rows[entries]] = self.ranks[self.entry_codes[entries]]
        return found

    def counts(self, matches: Mask) -> NDArray[np.int64]:
        """Number of matching rows with each value: int64, shape (n_values,)."""
        if len(self.values) == 0:
            return np.zeros(0, np.int64)
        counted: NDArray[np.int64] = np.add.reduceat(
            matches[self.rows].view(np.uint8), self.indptr[:-1], dtype=np.int64
        )
        return counted

    def rows_of(self, code: int) -> NDArray[np.int32]:
        """The rows that have a value."""
        return self.rows[self.indptr[code] : self.indptr[code + 1]]

    def one_of(self, wanted: AnyOf) -> Mask:
        """Mask of the rows that have one of some values; "null" is the caller's."""
        mask = np.zeros(self.n_rows, bool)
        for key in wanted.keys:
            if key[0] == "~":
                for code in self._writing(key[1:]):
                    mask[self.rows_of(code)] = True
            elif key != "null":
                code = self.values.find(key.encode())
                if code >= 0:
                    mask[self.rows_of(code)] = True
        return mask

    def _writing(self, number: str) -> list[int]:
        """Codes of the texts that write a number."""
        value = scalar_of(number)
        assert isinstance(value, int | float)
        codes = self.numbers.equal(value).tolist()
        return [code for code in codes if _number(self.values.scalar(code)) == value]

    def between(self, bounds: Range) -> Mask:
        """Mask of the rows that have a number, or a date, between bounds."""
        mask = np.zeros(self.n_rows, bool)
        mask[(self.times if bounds.is_time else self.numbers).between(bounds)] = True
        return mask


def _number(value: Scalar) -> int | float | None:
    if isinstance(value, str):
        return number_of(value)
    return None if isinstance(value, bool) else value


def _time(value: Scalar) -> int | None:
    span = instants(value) if isinstance(value, str) else None
    return None if span is None else span[0]
