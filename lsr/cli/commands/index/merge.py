"""`lsr index merge`: merge all segments of an index into one."""

from __future__ import annotations

from lsr.cli.build_options import MaxMemory, Threads, build_limits
from lsr.cli.change import print_change, print_remote_change
from lsr.cli.console import shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection

__all__ = ["merge"]


def merge(
    index: IndexPath,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Merge all segments of an index into one, and free the space of deleted documents.

    BM25 computes its statistics again from the remaining documents. An interrupted merge changes
    nothing.

    Example: lsr index merge my-index
    """
    limits = build_limits(threads, max_memory)
    with remote_collection(index, url, key, writes=True) as remote:
        if remote is not None:
            refuse_options(remote, {"--threads": threads, "--max-memory": max_memory})
            before = remote.info()
            remote.merge()
            after = remote.info()
            n_merged = len(before.raw.get("segments", ()))
            is_done = after.generation > before.generation
            print_remote_change(index, after, as_json, merged=n_merged if is_done else 0)
            return
    from lsr.index.collection.update import merge_segments
    from lsr.index.live.settling import settle

    with shown_progress() as progress:
        settle(index, progress)
        change = merge_segments(index, limits=limits, progress=progress)
    print_change(index, change, as_json)
