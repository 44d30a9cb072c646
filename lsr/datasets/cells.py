"""Cells of tables as plain values: those of NumPy, pandas and Python that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

__all__ = ["is_missing", "plain_cell"]


def is_missing(value: object) -> bool:
    """Whether a cell says that there is no value: None, NaN, and pandas' NaT and NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    if hasattr(value, "__len__"):
        return False
    try:
        return bool(value != value)  # of NaN and NaT alone
    except (TypeError, ValueError):
        return False


def plain_cell(value: Any) -> object:
    """A cell as text, number, truth value, list or dict; dates and times as ISO 8601 writes them.

    Raises:
        ValueError: says what it is, where that is nothing that JSON holds.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value}, which is not a finite number")
        return float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: plain_cell(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_cell(each) for each in value]
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M" and not hasattr(value, "__len__"):  # its item() would be a count of nanoseconds
        return str(value)
    if kind in tuple("biufUO") and hasattr(value, "tolist"):
        return plain_cell(value.tolist())
    raise ValueError(f"a {type(value).__name__}, which is no text, number, date, list or dict")
