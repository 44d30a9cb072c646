"""The first query of a process: it imports nothing before it counts.

    python -m bench.conditions.fresh_process INDEX QUERY MODE

QUERY is an .npz file with the arrays terms and weights. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time

K = 10


def main() -> None:
    """Import, open, search; and say how long each took, and what was compiled."""
    folder, query_file, strategy = sys.argv[1:]
    clock = time.perf_counter
    begin = clock()
    from numba.core.event import RecordingListener, register

    compiled = RecordingListener()  # told of what no cache has, each with a start and an end
    register("numba:compile", compiled)
    from lsr.index import sparse_index

    imported = clock() - begin
    import numpy as np

    from lsr.index.blocks.config import SearchParams
    from lsr.options import read_options
    from lsr.sparse import SparseVector

    with np.load(query_file) as arrays:
        query = SparseVector(arrays["terms"], arrays["weights"])
    params = read_options(SearchParams, {"k": K, "strategy": strategy})
    begin = clock()
    index = sparse_index.SparseIndex.open(folder)
    opened = clock() - begin
    begin = clock()
    index.search(query, params)
    searched = clock() - begin
    figures = {
        "import_seconds": imported,
        "open_seconds": opened,
        "search_seconds": searched,
        "compiled": sum(event.is_start for _, event in compiled.buffer),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
