"""`lsr index info`: describe an index."""

from __future__ import annotations

from dataclasses import asdict

import typer

from lsr.cli.console import print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.unpublished import warn_of_unpublished
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.search.calibration_file import Calibration
from lsr.index.storage.manifest import Manifest

__all__ = ["described_index", "info"]


def info(index: IndexPath, as_json: AsJson = False) -> None:
    """Describe an index: counts, models, segments, tuned plan and calibration."""
    from lsr.index.live.settling import n_unpublished

    manifest = Manifest.read(index)
    described = described_index(manifest)
    described["n_unpublished"] = n_unpublished(index)
    tuned = TunedPlan.read(index)
    if tuned is not None:
        fits = tuned.fits(manifest)
        described["tuned_plan"] = tuned.created if fits else "for other models; run lsr tune again"
    calibration = Calibration.read(index)
    if calibration is not None:
        recall = f"recall {calibration.target_recall} wanted, {calibration.recall:.4f} measured"
        described["calibration"] = recall
    if as_json:
        print_json(described)
        return
    del described["segments"]
    for name, value in described.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, dict):
            options = ", ".join(f"{key} {part}" for key, part in value["parameters"].items())
            shown = f"{value['name']} ({options}) {value['sha256'][:12]}"
        typer.echo(f"{name:14} {'none' if shown is None else shown}")
    for segment in manifest.segments:
        deleted = f", {segment.n_deleted:,} deleted" if segment.n_deleted else ""
        typer.echo(f"{segment.name:14} {segment.n_documents:,} documents{deleted}")
    warn_of_unpublished(index)


def described_index(manifest: Manifest) -> dict[str, object]:
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
        "n_files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "segments": [asdict(segment) for segment in manifest.segments],
    }
