"""A new collection from what a request says of it: encoders, types of fields, a default plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import learned_options, open_dense, open_sparse
from lsr.errors import InputError, LsrError
from lsr.index.collection.build import build_collection
from lsr.index.collection.encode import splitting
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.storage.manifest import Manifest
from lsr.passages.passage import PassageSettings
from lsr.progress import Progress, no_progress
from lsr.retrieval.plan import MODES, SearchPlan, plan_from
from lsr.service.collections.field_types import FieldTypes
from lsr.types import Document

__all__ = ["CollectionSpec", "Encoders", "build_from_spec", "opened_encoders"]

_MODEL = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


@dataclass(frozen=True)
class CollectionSpec:
    """Everything that is decided when a collection is made.

    Attributes:
        sparse: `bm25`, or a learned model's name; None for the default model.
        dense: a dense model's name, or None.
        dense_options: of that model.
        language: of BM25's words, or of a learned model's lexical terms.
        lexical_weight: of a learned model's lexical terms.
        passages: how long documents are split; None where all stay whole.
        default_plan: fields of a `SearchPlan`.
        fields: types by name of a metadata field, of those that documents must keep to.
    """

    sparse: str | None = None
    dense: str | None = None
    dense_options: DenseOptions | None = None
    language: str | None = None
    lexical_weight: float | None = None
    passages: PassageSettings | None = None
    default_plan: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoders:
    """Opened models of a specification, and the rest of it, checked."""

    sparse: Encoder
    dense: DenseEncoder | None
    passages: PassageSettings | None
    plan: SearchPlan | None
    fields: FieldTypes


def opened_encoders(spec: CollectionSpec) -> Encoders:
    """Open the models, and check the rest.

    Raises:
        InputError: there is no such model, an option does not go with it, none reads passages
            where documents are to be split, or a field's type is unknown.
        UnavailableError: packages that a model needs are not installed.
    """
    for model in (spec.sparse, spec.dense):
        _check_model(model)
    options = None
    if spec.lexical_weight is not None:
        options = learned_options(lexical_weight=spec.lexical_weight)
    try:
        sparse = open_sparse(spec.sparse, language=spec.language, options=options)
        dense = open_dense(spec.dense or "none", spec.dense_options)
    except (LsrError, ModuleNotFoundError):
        raise
    except OSError as error:  # a model's folder that cannot be read
        raise InputError(f"a model cannot be opened ({error})") from error
    if spec.passages is not None:
        splitting(asdict(spec.passages), sparse, dense)
    plan = None
    if spec.default_plan:
        plan = plan_from(spec.default_plan)
        plan.resolved(MODES if dense is not None else ("sparse",))
    return Encoders(sparse, dense, spec.passages, plan, FieldTypes.of(spec.fields))


def _check_model(name: str | None) -> None:
    """A request names a model; it gives no path, which would read any folder of the machine."""
    if name is not None and _MODEL.fullmatch(name) is None:
        raise InputError(
            f"a model cannot be named {name[:80]!r} in a request: give bm25, doc-mini, or NAME or "
            "OWNER/NAME; build a collection with a model of your own by lsr index build"
        )


def build_from_spec(
    encoders: Encoders,
    target: Path,
    documents: Iterable[Document] = (),
    versions: Iterable[int] | None = None,
    progress: Progress = no_progress,
) -> Manifest:
    """Build a collection that may be empty.

    Raises:
        InputError, StorageError, ModelError: as `build_collection`.
    """
    manifest = build_collection(
        documents,
        target,
        sparse=encoders.sparse,
        dense=encoders.dense,
        passages=encoders.passages,
        versions=versions,
        source="documents sent to the service",
        allow_empty=True,
        progress=progress,
    )
    if encoders.plan is not None:
        TunedPlan(
            plan=encoders.plan,
            sparse=manifest.sparse,
            dense=manifest.dense,
            generation=manifest.generation,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            evidence={"chosen": "when the collection was made"},
        ).save(target)
    encoders.fields.save(target)
    return manifest
