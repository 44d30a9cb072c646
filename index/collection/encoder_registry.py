"""The models of a collection: which class reads the encoder's folder, where an export may lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.encoder import load_learned
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.encoders.protocols import Encoder, FileEncoder
from lsr.errors import IndexVersionError
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.names import ENCODER, numbered

__all__ = ["LOADERS", "ONNX_FOLDER", "load_encoder", "onnx_folder", "save_encoder"]

LOADERS: dict[str, Callable[[Path], Encoder]] = {
    "bm25": Bm25Encoder.load,
    "precomputed": PrecomputedEncoder.load,
    "learned": load_learned,
}
"""By `EncoderIdentity.kind`: what reads that which `save_encoder` wrote."""

ONNX_FOLDER = "onnx"
"""Subfolder of a collection where its dense model may lie exported."""


def load_encoder(collection: Path, manifest: Manifest, *, verify: bool = False) -> Encoder:
    """The sparse encoder of a collection.

    Args:
        verify: compare its files with their checksums when they have been loaded.

    Raises:
        IndexVersionError: this version of lsr has no such encoder.
        IndexCorruptError: its files cannot be read, or have changed.
    """
    kind = manifest.sparse.kind
    if kind not in LOADERS:
        raise IndexVersionError(f"{collection} needs an encoder {kind!r} that this lsr lacks")
    encoder = LOADERS[kind](collection / manifest.encoder)
    if verify:
        manifest.check(collection, manifest.files_below(manifest.encoder))
    return encoder


def save_encoder(encoder: Encoder, folder: Path, generation: int) -> str:
    """Write an encoder into a folder that stands for the collection's. Returns its name there."""
    name = numbered(ENCODER, generation)
    if isinstance(encoder, FileEncoder):
        name = f"{name}.bin"
        encoder.save_file(folder / name)
    else:
        (folder / name).mkdir()
        encoder.save(folder / name)
    return name


def onnx_folder(collection: Path) -> Path | None:
    """The folder where the collection's dense model lies exported to ONNX, or None."""
    folder = collection / ONNX_FOLDER
    return folder if folder.exists() else None
