"""Several runs fused into one, by ranx."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from lsr.errors import InputError, UnavailableError
from lsr.evaluation.run_files import in_trec_order, untied
from lsr.options import chosen
from lsr.types import Run, ScoredDoc

__all__ = ["METHODS", "check_fusion", "fuse_runs"]

_BY_RANK = ("rrf", "isr")
METHODS = (*_BY_RANK, "sum", "mnz", "max")
"""By rank; and by scores that min-max brings between 0 and 1, by query."""

_NOTHING = "\0"
"""A document that is not: ranx has no empty lists. In NumPy's strings it becomes the empty one."""


def check_fusion(method: str, n_runs: int) -> None:
    """Refuse a fusion that cannot be made.

    Raises:
        InputError: there is no such method, or only one run.
        UnavailableError: ranx is not installed.
    """
    chosen(method, METHODS, "fusion")
    if n_runs < 2:
        raise InputError(f"fusion by {method} needs two runs at least, and there is {n_runs}")
    try:
        import ranx  # noqa: F401
    except ImportError as error:
        raise UnavailableError(
            "fusion of runs needs ranx, which is not installed; run: pip install 'lsr-search[eval]'"
        ) from error


def fuse_runs(runs: Sequence[Run], method: str) -> Run:
    """One run of several, of all queries that any of them has, without equal scores.

    Args:
        method: one of `METHODS`. `rrf` has k = 60, see Cormack et al. 2009; ranks are those of
            trec_eval's order.

    Raises:
        InputError, UnavailableError: as `check_fusion`.
    """
    check_fusion(method, len(runs))
    import ranx

    ordered = [in_trec_order(run) for run in runs]
    if method in _BY_RANK:
        ordered = [untied(run) for run in ordered]
    query_ids = list(dict.fromkeys(query_id for run in ordered for query_id in run))
    given = [
        {
            query_id: {hit.doc_id: hit.score for hit in run.get(query_id, [])} or {_NOTHING: 0.0}
            for query_id in query_ids
        }
        for run in ordered
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Numba's about casts inside ranx
        norm = None if method in _BY_RANK else "min-max"
        fused = ranx.fuse([ranx.Run(run) for run in given], norm=norm, method=method)
        scores = {query_id: dict(fused[query_id]) for query_id in query_ids}
    run = {
        query_id: [
            ScoredDoc(query_id, doc_id, float(score))
            for doc_id, score in scores[query_id].items()
            if doc_id.rstrip(_NOTHING)
        ]
        for query_id in query_ids
    }
    return untied(in_trec_order(run))
