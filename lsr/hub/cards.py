"""Cards: README.md of a repository, with YAML in front as the hub reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsr.encoders.learned.model_folder import EXPORT_FILE, ModelFolder
from lsr.index.snapshots.listing import Listing
from lsr.index.storage.manifest import Manifest
from lsr.types import EncoderIdentity

__all__ = ["WRITTEN", "index_card", "model_card"]

WRITTEN = "<!-- Written by lsr push, anew each time. Without this line, this card is yours. -->"
"""In a card that a push may replace."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def index_card(
    manifest: Manifest, listing: Listing, repository: str, absent: Sequence[str] = ()
) -> str:
    """The card of an index: what is in it, by which models, and how it is opened.

    Args:
        repository: OWNER/NAME.
        absent: models that are folders elsewhere.
    """
    name = repository.partition("/")[2]
    kinds = ["sparse", *(["dense"] if manifest.dense is not None else [])]
    rows = [
        ("documents", f"{manifest.n_documents:,}"),
        ("sparse encoder", _encoder(manifest.sparse)),
        ("terms, postings", f"{manifest.n_terms:,}, {manifest.n_postings:,}"),
    ]
    if manifest.dense is not None:
        dimension = manifest.dense.parameters.get("dimension")
        told = f", {dimension} dimensions" if dimension is not None else ""
        rows.append(("dense model", f"{_encoder(manifest.dense)}{told}"))
    if manifest.passages is not None:
        rows.append(("long documents", "split into passages"))
    if manifest.source:
        rows.append(("read from", _code(_without_folders(manifest.source))))
    rows += [
        ("size", f"{listing.size_bytes / 1e6:,.1f} MB in {len(listing.files):,} files"),
        ("generation", f"{manifest.generation}, of {manifest.created}"),
    ]
    return "\n".join(
        [
            *_front("lsr", ["lsr", "index", "learned-sparse-retrieval", *kinds]),
            WRITTEN,
            "",
            f"# {name}",
            "",
            "An index of lsr (`pip install lsr-search`): documents and their vectors, in a folder.",
            "",
            *_opened(repository, name),
            "| | |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in rows),
            "",
            *_needed(absent),
        ]
    )


def model_card(folder: Path, repository: str) -> str:
    """The card of a model that has none.

    Raises:
        InputError, DataError: the folder holds no model, or it cannot be read.
    """
    model = ModelFolder.open(str(folder))
    is_export = (folder / EXPORT_FILE).is_file()
    library = "lsr" if is_export else "sentence-transformers"
    queries = "a tokenizer and a weight table, no network" if model.query else "the network"
    return "\n".join(
        [
            *_front(library, ["sparse-encoder", "learned-sparse-retrieval"]),
            WRITTEN,
            "",
            f"# {repository.partition('/')[2]}",
            "",
            f"A learned sparse encoder. Queries: {queries}.",
            "",
            "```python",
            "import lsr",
            f'lsr.load_encoder("{repository}").encode_queries(["a question"])',
            "```",
            "",
            *(["Exported to ONNX: pull it, and give its folder.", ""] if is_export else []),
        ]
    )


def _front(library: str, tags: Iterable[str]) -> list[str]:
    return ["---", f"library_name: {library}", f"tags: [{', '.join(tags)}]", "---", ""]


def _opened(repository: str, name: str) -> list[str]:
    return [
        "```python",
        "import lsr",
        f'index = lsr.open(lsr.pull("{repository}", "{name}").path)',
        'index.search("what you look for").hits',
        "```",
        "",
        "Or from a shell:",
        "",
        "```sh",
        f"lsr pull {repository} {name}",
        f"lsr search {name} 'what you look for'",
        "```",
        "",
    ]


def _needed(absent: Sequence[str]) -> list[str]:
    if not absent:
        return []
    names = ", ".join(_code(_without_folders(each)) for each in absent)
    return [
        f"Not in here: the model {names}, a folder of the machine that this was built on. Whoever "
        "adds documents needs it, and so do queries that it encodes.",
        "",
    ]


def _encoder(identity: EncoderIdentity) -> str:
    name = identity.name
    if _HUB_ID.fullmatch(name) and not Path(name).exists():
        return f"[{name}](https://huggingface.co/{name})"
    told = ", ".join(
        f"{key} {value}"
        for key, value in identity.parameters.items()
        if key in ("k1", "b", "language", "precision", "lexical_weight")
    )
    return f"{_code(_without_folders(name))}{f' ({told})' if told else ''}"


def _code(text: str) -> str:
    return f"`{text.replace('`', '').replace('|', '/')}`"


def _without_folders(text: str) -> str:
    """A path as its last part: cards are read on other machines."""
    return Path(text).name if Path(text).is_absolute() else text
