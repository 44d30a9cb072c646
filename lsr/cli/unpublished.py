"""A line about acknowledged writes that an index holds in its log alone."""

from __future__ import annotations

from pathlib import Path

from lsr.cli.console import complain

__all__ = ["warn_of_unpublished"]


def warn_of_unpublished(index: Path) -> None:
    """Say how many there are, and how to publish them, if there are any."""
    from lsr.index.live.keeper import is_kept
    from lsr.index.live.settling import n_unpublished

    count = n_unpublished(index)
    if count:
        does = "the service at work does so soon"
        how = does if is_kept(index) else f"run: lsr index publish {index}"
        complain(f"warning: {count:,} acknowledged writes are not published yet; {how}")
