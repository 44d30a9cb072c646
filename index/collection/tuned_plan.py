"""The plan that tuning found for a collection, kept beside it as `plan.json`.

A weight means something for two models and a norm only, so both models' identities are kept with
the plan, and a plan that does not fit the collection any more is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, QueryError, StorageError
from lsr.files import read_signed, signed, write_atomically
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.plan import SearchPlan, plan_from
from lsr.types import EncoderIdentity

__all__ = ["TUNED_PLAN_FILE", "TunedPlan"]

TUNED_PLAN_FILE = "plan.json"
OLD_FILE = "profile.json"
"""Its name in version 0.1, which is still read."""

VERSION = 1


@dataclass(frozen=True)
class TunedPlan:
    """A plan, and the evidence for it.

    Attributes:
        plan: weights, norm and feedback; mode, window and explain are left to each search.
        sparse, dense: the models it was tuned with.
        generation: of the collection at that time.
        evidence: measure, queries, and values on development and held-out queries, for people.
    """

    plan: SearchPlan
    sparse: EncoderIdentity
    dense: EncoderIdentity | None
    generation: int
    created: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def save(self, collection: Path) -> Path:
        """Write it into the collection's folder, whole or not at all.

        Raises:
            StorageError: the machine refuses.
        """
        path = collection / TUNED_PLAN_FILE
        try:
            write_atomically(path, signed({**asdict(self), "version": VERSION}))
            (collection / OLD_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written ({error.strerror}); nothing was changed"
            ) from error
        return path

    @classmethod
    def read(cls, collection: Path) -> TunedPlan | None:
        """The tuned plan of a collection, or None when it has none.

        Raises:
            IndexCorruptError: the file is not what was written.
        """
        path, version = collection / TUNED_PLAN_FILE, "version"
        if not path.exists():
            path, version = collection / OLD_FILE, "profile_version"
        try:
            content, is_intact = read_signed(path.read_bytes())
            if not is_intact or content.pop(version) != VERSION:
                raise ValueError("the checksum differs")
            dense = content["dense"]
            return cls(
                plan=plan_from(content["plan"]),
                sparse=EncoderIdentity(**content["sparse"]),
                dense=EncoderIdentity(**dense) if dense else None,
                generation=content["generation"],
                created=content["created"],
                evidence=content["evidence"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, QueryError) as error:
            raise IndexCorruptError(
                f"{path} is damaged ({error}); delete it to go on without, then run lsr tune again"
            ) from error

    def fits(self, manifest: Manifest) -> bool:
        """Whether the collection still has the models that this was tuned with.

        BM25 changes with every document; its options are what counts.
        """
        same_dense = (self.dense and self.dense.sha256) == (
            manifest.dense and manifest.dense.sha256
        )
        mine, theirs = self.sparse, manifest.sparse
        same_sparse = mine.kind == theirs.kind and (
            mine.parameters == theirs.parameters
            if mine.kind == "bm25"
            else mine.sha256 == theirs.sha256
        )
        return same_dense and same_sparse
