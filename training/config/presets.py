"""Named methods as configs: what each paper's encoders, loss and regulariser are.

Names, encoders and losses follow the framework of Nguyen et al. (2023); learning rates and weights
are those of the published recipes where there are any. A config names a preset and says the rest.
"""

from __future__ import annotations

import copy
import difflib
from typing import Any

from lsr.errors import InputError

__all__ = ["EXPECTS_EXPANDED", "PRESETS", "preset"]

_ONES = {"kind": "table", "weights": "ones"}
_IDF = {"kind": "table", "weights": "idf"}
_MLM = {"kind": "mlm"}
_OWN = {"kind": "mlp"}
_PLAIN = {"divide_by_query_mass": False, "temperature": 1.0}
_NOTHING = {"kind": "none"}
_ENSEMBLE = [{"kind": "bm25"}, {"kind": "dense"}]


def _made(
    query: dict[str, Any],
    document: dict[str, Any],
    losses: list[dict[str, Any]],
    *,
    shared: bool = True,
    max_active: int | None = None,
    **stage: Any,
) -> dict[str, Any]:
    pruned = {} if max_active is None else {"max_active": max_active}
    return {
        "encoder": {"query": query, "document": document, "shared": shared, **pruned},
        "stage": {"losses": losses, **stage},
    }


_INFONCE: list[dict[str, Any]] = [{"kind": "infonce"}]
_PAIRWISE: list[dict[str, Any]] = [{"kind": "infonce", "candidates": "own"}]
_MARGIN: list[dict[str, Any]] = [{"kind": "margin_mse", "weight": 1.0}]
_KL: list[dict[str, Any]] = [{"kind": "kl"}]
_V3: list[dict[str, Any]] = [{"kind": "kl"}, {"kind": "margin_mse", "weight": 0.05}]

PRESETS: dict[str, dict[str, Any]] = {
    # own terms only
    "deepct": _made(
        _ONES,
        {**_OWN, "activation": "identity", "saturation": "none"},
        [{"kind": "term_recall"}],
        regularizer=_NOTHING,
        optim={"lr": 5e-6},
    ),
    "unicoil": _made(
        {**_OWN, "saturation": "none"},
        {**_OWN, "saturation": "none"},
        _INFONCE,
        scores=_PLAIN,
        regularizer=_NOTHING,
    ),
    # own terms of expanded documents: expand them first, by lsr expand (docT5query, TILDE)
    "deepimpact": _made(
        _ONES,
        {**_OWN, "saturation": "none"},
        _PAIRWISE,
        scores=_PLAIN,
        regularizer=_NOTHING,
        optim={"lr": 3e-6},
    ),
    "tildev2": _made(
        _ONES, {**_OWN, "saturation": "none"}, _INFONCE, scores=_PLAIN, regularizer=_NOTHING
    ),
    # expansion
    "tilde": _made(_ONES, {"kind": "cls_mlm"}, _INFONCE, scores=_PLAIN, regularizer=_NOTHING),
    "epic": _made(
        {"kind": "epic"},
        {"kind": "epic"},
        _PAIRWISE,
        max_active=1_000,
        scores=_PLAIN,
        regularizer={**_NOTHING, "top_k": 1_000},
        optim={"lr": 2e-5, "full_head": True},
    ),
    "sparta": _made(_ONES, _MLM, _PAIRWISE, scores=_PLAIN, regularizer=_NOTHING),
    "splade-max": _made(
        _MLM,
        _MLM,
        _MARGIN,
        scores=_PLAIN,
        regularizer={"kind": "flops", "weight": 0.08, "query_weight": 0.1},
        optim={"lr": 2e-5},
    ),
    "splade-doc": _made(
        _ONES,
        _MLM,
        _MARGIN,
        scores=_PLAIN,
        regularizer={"kind": "flops", "weight": 0.08},
        optim={"lr": 2e-5},
    ),
    "splade-qmlp": _made(
        _OWN,
        _MLM,
        _MARGIN,
        shared=False,
        scores=_PLAIN,
        regularizer={"kind": "flops", "weight": 0.08},
        optim={"lr": 2e-5},
    ),
    "splade-v3-doc": _made(
        _ONES,
        _MLM,
        _V3,
        scores=_PLAIN,
        regularizer={"kind": "flops", "weight": 0.08},
        optim={"lr": 2e-5},
    ),
    "efficient-splade": _made(
        _MLM,
        _MLM,
        _KL,
        shared=False,
        scores=_PLAIN,
        regularizer={
            "kind": "flops",
            "weight": 5e-3,
            "query_weight": 5e-3,
            "query_kind": "l1",
        },
        optim={"lr": 2e-5},
    ),
    "doc-v2": _made(
        _IDF,
        _MLM,
        _KL,
        teachers=_ENSEMBLE,
        ensemble={"scale": 30.0},
        scores=_PLAIN,
        regularizer={"kind": "flops", "weight": 0.02, "flops_over": "candidates"},
        optim={"lr": 2e-5},
    ),
    "doc-v3": _made(
        _IDF,
        {**_MLM, "saturation": "double_log"},
        _KL,
        teachers=_ENSEMBLE,
        ensemble={"scale": 30.0},
        scores=_PLAIN,
        regularizer={
            "kind": "flops",
            "weight": 0.08,
            "flops_over": "candidates",
            "free_terms": 150,
        },
        optim={"lr": 2e-5},
    ),
    "anchored": _made(
        _IDF,
        {"kind": "anchored"},
        _KL,
        teachers=_ENSEMBLE,
        regularizer={"kind": "flops", "weight": 2e-3, "target_terms": 200},
    ),
}


EXPECTS_EXPANDED = ("unicoil", "deepimpact", "tildev2")
"""Presets that weigh own terms of documents which something else has expanded."""


def preset(name: str) -> dict[str, Any]:
    """A copy of the preset: values of a config, and of each of its stages under `stage`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(PRESETS)}"
        raise InputError(f"there is no preset {name!r}; {hint}")
    return copy.deepcopy(PRESETS[name])
