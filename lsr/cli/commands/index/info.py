"""`lsr index info`: describe an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from lsr.backend.shards_file import ShardsFile, is_sharded
from lsr.cli.commands.index.sharded import described_shards
from lsr.cli.console import print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.remote import ServiceKey, ServiceUrl, remote_collection
from lsr.cli.unpublished import warn_of_unpublished
from lsr.errors import IndexStateError
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.field_types import field_types
from lsr.index.search.calibration_file import Calibration
from lsr.index.storage.manifest import Manifest

if TYPE_CHECKING:
    from lsr.client.resources import CollectionInfo

__all__ = ["described_index", "info"]


def info(
    index: IndexPath, url: ServiceUrl = None, key: ServiceKey = None, as_json: AsJson = False
) -> None:
    """Describe an index: counts, models, segments, tuned plan and calibration.

    A service tells what it knows of a collection: also what waits to be searchable or published.

    Example: lsr index info my-index
    """
    with remote_collection(index, url, key, writes=False) as remote:
        if remote is not None:
            found = remote.info()
            parts = [
                (str(each["name"]), int(each["n_documents"]), int(each["n_deleted"]))
                for each in found.raw.get("segments", ())
            ]
            _print(_described(found), parts, as_json)
            return
    from lsr.index.live.settling import n_unpublished

    if is_sharded(index):
        described = described_shards(ShardsFile.read(index))
        if as_json:
            print_json(described)
            return
        shards = described.pop("shards")
        parts = [(each["folder"], each["n_documents"], 0) for each in shards]
        _print({**described, "segments": ()}, parts, as_json)
        return
    manifest = Manifest.read(index)
    described = described_index(manifest)
    described["n_unpublished"] = n_unpublished(index)
    warn_of_unpublished(index)
    tuned = TunedPlan.read(index)
    if tuned is not None:
        fits = tuned.fits(manifest)
        described["tuned_plan"] = tuned.created if fits else "for other models; run lsr tune again"
    calibration = Calibration.read(index)
    if calibration is not None:
        recall = f"recall {calibration.target_recall} wanted, {calibration.recall:.4f} measured"
        described["calibration"] = recall
    described["n_passages"], described["fields"] = _counted(index, manifest) or (None, None)
    configs = {each.name: _block_config(index / each.name) for each in manifest.segments}
    for each in described["segments"]:
        each["blocks"] = configs[each["name"]]
    parts = [(each.name, each.n_documents, each.n_deleted) for each in manifest.segments]
    _print(described, parts, as_json, {name: _told(c) for name, c in configs.items() if c})


def _print(
    described: dict[str, Any],
    parts: list[tuple[str, int, int]],
    as_json: bool,
    blocks: Mapping[str, str] = MappingProxyType({}),
) -> None:
    if as_json:
        print_json(described)
        return
    del described["segments"]
    for name, value in described.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        if name == "fields" and isinstance(value, dict):
            shown = "; ".join(f"{field}: {kind}" for field, kind in value.items()) or "none"
        elif name in ("blocks", "passages") and isinstance(value, dict):
            shown = ", ".join(f"{key} {part}" for key, part in value.items()) or "always"
        elif isinstance(value, dict):
            options = ", ".join(f"{key} {part}" for key, part in value["parameters"].items())
            shown = f"{value['name']} ({options}) {value['sha256'][:12]}"
        typer.echo(f"{name:14} {'none' if shown is None else shown}")
    for name, n_documents, n_deleted in parts:
        deleted = f", {n_deleted:,} deleted" if n_deleted else ""
        made = f"; blocks: {blocks[name]}" if name in blocks else ""
        typer.echo(f"{name:14} {n_documents:,} documents{deleted}{made}")


def _block_config(segment: Path) -> dict[str, Any] | None:
    """How the blocks of a segment are made; None where it has none, or damage hides it."""
    from lsr.index.blocks.block_index import BlockIndex

    if not BlockIndex.exists(segment):
        return None
    try:
        return BlockIndex.load(segment).config.to_dict()
    except IndexStateError:
        return None


def _told(config: Mapping[str, Any]) -> str:
    """A build config in one line: each strategy with its values."""
    told = []
    for name, value in config.items():
        options = value if isinstance(value, dict) else {name: value}
        told += [str(part) for key, part in options.items() if key == "kind"]
        told += [f"{key} {part}" for key, part in options.items() if key != "kind"]
    return ", ".join(told)


def _counted(index: Path, manifest: Manifest) -> tuple[int, dict[str, str]] | None:
    """Passages, and the metadata fields that a filter can name; None if damage hides them."""
    from lsr.index.collection.snapshot import open_readers

    try:
        readers = open_readers(Path(index), manifest)
        fields = field_types(CollectionMetadata([reader.metadata for reader in readers]))
        return sum(reader.n_passages for reader in readers), fields
    except IndexStateError:
        return None


def _described(found: CollectionInfo) -> dict[str, Any]:
    models = {side: model and asdict(model) for side, model in found.models.items()}
    return {
        "generation": found.generation,
        "created": found.created,
        "n_documents": found.n_documents,
        "n_deleted": found.n_deleted,
        "n_passages": found.n_passages,
        "n_pending": found.n_pending,
        "n_unpublished": found.n_unpublished,
        "n_terms": found.n_terms,
        "n_postings": found.n_postings,
        "sparse": models.get("sparse"),
        "dense": models.get("dense"),
        "passages": found.passages,
        "size_bytes": found.size_bytes,
        "aliases": ", ".join(found.aliases) or None,
        "error": found.error,
        "segments": list(found.raw.get("segments", ())),
    }


def described_index(manifest: Manifest) -> dict[str, Any]:
    """The fields of a manifest, as plain values."""
    return {
        "format_version": manifest.format_version,
        "generation": manifest.generation,
        "created": manifest.created,
        "lsr_version": manifest.lsr_version,
        "source": manifest.source,
        "n_documents": manifest.n_documents,
        "n_deleted": manifest.n_deleted,
        "n_terms": manifest.n_terms,
        "n_postings": manifest.n_postings,
        "sparse": asdict(manifest.sparse),
        "dense": asdict(manifest.dense) if manifest.dense else None,
        "blocks": manifest.blocks,
        "passages": manifest.passages,
        "n_files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "segments": [asdict(segment) for segment in manifest.segments],
    }
