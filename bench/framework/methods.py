"""Methods of the framework by name, and the pairs that differ in one component.

Tables are those of Nguyen et al. (2023): 3 has methods as they were published, 4 the same distilled
from a teacher, 5 pairs before and after a component is changed. Beside them stand methods that
were published since. docT5query's expansions are not made here: where the paper has them beside
TILDE's, the method with TILDE's stands for both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsr.errors import InputError

__all__ = ["COMPONENTS", "EXPANDER", "METHODS", "PAIRS", "Method", "Pair", "chosen_methods"]

EXPANDER = "splade-doc"
"""The method whose model expands documents for those that weigh expanded ones: after few steps its
terms are near the text's, where TILDE's, of one token alone, are not yet."""


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        preset: what it is but for the rest of this.
        tables: of the paper in which it stands; empty for later methods.
        expanded: whether its documents are expanded before training and search.
        encoder, stage: keys of a config over the preset's.
    """

    preset: str
    tables: str = ""
    expanded: bool = False
    encoder: dict[str, Any] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two methods that differ in one component.

    Attributes:
        component: one of `COMPONENTS`.
        row: as the paper numbers it; a row with a star differs from its listing.
    """

    component: str
    row: str
    before: str
    after: str


_ONES = {"kind": "table", "weights": "ones"}
_MLM = {"kind": "mlm"}
_MLP = {"kind": "mlp"}
_DISTILLED = {"losses": [{"kind": "margin_mse", "weight": 1.0}]}
_QUERIES_ALONE = {"kind": "none", "query_weight": 0.1}
"""Penalty where documents have nothing that is learned."""


def _regularized(**regularizer: Any) -> dict[str, Any]:
    return {"regularizer": regularizer}


_FIRST_TOKEN = {"kind": "cls_mlm", "activation": "softplus"}
"""TILDE's head without relu: a head that was started to copy words is silent at [CLS], and relu
has no gradient there."""

METHODS: dict[str, Method] = {
    EXPANDER: Method("splade-doc"),
    "tilde": Method("tilde", encoder={"document": _FIRST_TOKEN, "max_active": 400}),
    "deepct": Method("deepct", "3"),
    "unicoil": Method("unicoil", "3"),
    "unicoil-tilde": Method("unicoil", "3", expanded=True),
    "deepimpact": Method("deepimpact", "3", expanded=True),
    "tildev2": Method("tildev2", "3", expanded=True),
    "epic": Method("epic", "3"),
    "sparta": Method("sparta", "3"),
    "splade-max": Method("splade-max", "3", stage={"losses": [{"kind": "infonce"}]}),
    "distil-splade-max": Method("splade-max", "3, 4"),
    "unicoil-distil": Method("unicoil", "4, 5", stage=_DISTILLED),
    "unicoil-tilde-distil": Method("unicoil", "4, 5", expanded=True, stage=_DISTILLED),
    "deepimpact-distil": Method("deepimpact", "4", expanded=True, stage=_DISTILLED),
    "tildev2-distil": Method("tildev2", "4, 5", expanded=True, stage=_DISTILLED),
    "epic-distil": Method("epic", "4, 5", stage=_DISTILLED),
    "sparta-distil": Method("sparta", "4", stage=_DISTILLED),
    "distil-splade-sep": Method("splade-max", "4, 5", encoder={"shared": False}),
    "splade-qmlp": Method("splade-qmlp", "5"),
    "mlm-binary": Method(
        "splade-max",
        "5",
        encoder={"document": _ONES, "shared": False},
        stage=_regularized(**_QUERIES_ALONE),
    ),
    "mlm-mlp": Method("splade-max", "5", encoder={"document": _MLP, "shared": False}),
    "unicoil-binary-tilde": Method(
        "unicoil", "5", expanded=True, encoder={"document": _ONES}, stage=_DISTILLED
    ),
    "epic-binary-query": Method("epic", "5", encoder={"query": _ONES}, stage=_DISTILLED),
    "splade-qmlp-none": Method("splade-qmlp", "5", stage=_regularized(kind="none")),
    "splade-qmlp-l1": Method("splade-qmlp", "5", stage=_regularized(kind="l1", weight=1e-3)),
    "splade-qmlp-top-k": Method(
        "splade-qmlp",
        "5",
        encoder={"max_active": 200},
        stage={**_regularized(kind="none", top_k=200), "optim": {"full_head": True}},
    ),
    "splade-v3-doc": Method("splade-v3-doc"),
    "efficient-splade": Method("efficient-splade"),
    "doc-v2": Method("doc-v2"),
    "doc-v3": Method("doc-v3"),
}
"""The expander first, since others wait for it."""

DOCUMENT_WEIGHTING = "document weighting"
QUERY_WEIGHTING = "query weighting"
DOCUMENT_EXPANSION = "document expansion"
QUERY_EXPANSION = "query expansion"
REGULARIZATION = "regularisation"
COMPONENTS = (
    DOCUMENT_WEIGHTING,
    QUERY_WEIGHTING,
    DOCUMENT_EXPANSION,
    QUERY_EXPANSION,
    REGULARIZATION,
)

PAIRS = (
    Pair(DOCUMENT_WEIGHTING, "1a", "mlm-binary", "mlm-mlp"),
    Pair(DOCUMENT_WEIGHTING, "1b", "unicoil-binary-tilde", "unicoil-tilde-distil"),
    Pair(QUERY_WEIGHTING, "2a", "tildev2-distil", "unicoil-tilde-distil"),
    Pair(QUERY_WEIGHTING, "2b", "epic-binary-query", "epic-distil"),
    Pair(QUERY_WEIGHTING, "2c*", "splade-doc", "splade-qmlp"),
    Pair(DOCUMENT_EXPANSION, "3a*", "unicoil-distil", "unicoil-tilde-distil"),
    Pair(DOCUMENT_EXPANSION, "3b*", "mlm-mlp", "distil-splade-sep"),
    Pair(DOCUMENT_EXPANSION, "3c", "unicoil-distil", "splade-qmlp"),
    Pair(QUERY_EXPANSION, "4a", "splade-qmlp", "distil-splade-sep"),
    Pair(QUERY_EXPANSION, "4b*", "unicoil-distil", "mlm-mlp"),
    Pair(REGULARIZATION, "5a", "splade-qmlp", "splade-qmlp-none"),
    Pair(REGULARIZATION, "5b*", "splade-qmlp", "splade-qmlp-l1"),
    Pair(REGULARIZATION, "5c*", "splade-qmlp", "splade-qmlp-top-k"),
)


def chosen_methods(names: str | None) -> list[str]:
    """Names with commas between, in the order of `METHODS`; all where none are given.

    Raises:
        InputError: a name is of no method.
    """
    if names is None:
        return list(METHODS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in METHODS]
    if unknown or not wanted:
        raise InputError(
            f"--only {names}: there is no method {', '.join(unknown) or 'in it'}; choose from "
            f"{', '.join(METHODS)}"
        )
    return [name for name in METHODS if name in wanted]
