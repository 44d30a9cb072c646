"""`lsr index merge`: merge all segments of an index into one."""

from __future__ import annotations

from lsr.cli.build_options import MaxMemory, Threads, build_limits
from lsr.cli.change import print_change
from lsr.cli.console import shown_progress
from lsr.cli.index_options import AsJson, IndexPath

__all__ = ["merge"]


def merge(
    index: IndexPath,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
) -> None:
    """Merge all segments of an index into one, and free the space of deleted documents.

    BM25 computes its statistics again from the remaining documents. An interrupted merge changes
    nothing.
    """
    from lsr.index.collection.update import merge_segments
    from lsr.index.live.settling import settle

    limits = build_limits(threads, max_memory)
    with shown_progress() as progress:
        settle(index, progress)
        change = merge_segments(index, limits=limits, progress=progress)
    print_change(index, change, as_json)
