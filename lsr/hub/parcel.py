"""`Parcel`: an index or a model as it is sent, file by file, with its card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lsr.encoders.learned.bundled_models import bundled_folder
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import MODEL_FOLDER, QUERY_MODEL_FOLDER, LearnedSource
from lsr.errors import InputError
from lsr.files import sha256_of
from lsr.hub.cards import index_card, model_card
from lsr.hub.held_files import CARD, MODEL_FILES, foreign_to_index, is_needless
from lsr.hub.repository import Content
from lsr.index.snapshots.listing import LISTING, Listing
from lsr.index.snapshots.snapshots import Snapshots
from lsr.index.storage.manifest import MANIFEST, FileRecord, Manifest
from lsr.progress import Progress

__all__ = ["Kind", "Parcel", "card_file", "kind_of", "parcel"]

Kind = Literal["index", "model"]


@dataclass(frozen=True)
class Parcel:
    """Files to send.

    Attributes:
        files: by path in the repository; the card, where it is made here, is not among them.
        card: text of README.md that is written anew with each push; None where a model brings its
            own.
        message: of the commit, by default.
        left_out: files in the folder that are no part of it.
        absent: models of an index that are folders of this machine, and do not go along.
    """

    kind: Kind
    files: dict[str, Content]
    card: str | None
    message: str
    left_out: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def kind_of(source: str | Path) -> tuple[Kind, Path]:
    """Whether it is an index or a model, and its folder.

    Args:
        source: a folder, or the name of a model that comes with this package.

    Raises:
        InputError: it is neither.
    """
    folder = Path(source)
    if (folder / MANIFEST).is_file():
        return "index", folder
    if not folder.is_dir():
        bundled = bundled_folder(str(source))
        if bundled is None:
            raise InputError(
                f"there is no index or model at {source}; give its folder, or a name of lsr models"
            )
        folder = bundled
    if not any((folder / name).is_file() for name in MODEL_FILES):
        raise InputError(
            f"{folder} is neither an index (it has no {MANIFEST}) nor a model (it has no "
            f"{', '.join(MODEL_FILES)}); check the path"
        )
    return "model", folder


@contextmanager
def parcel(kind: Kind, folder: Path, repository: str, progress: Progress) -> Iterator[Parcel]:
    """An index or a model, whole and checked; what lies in a folder for the while is gone then.

    Args:
        repository: OWNER/NAME, for the card.

    Raises:
        IndexStateError: the index is damaged.
        DataError, InputError: the model cannot be read.
        StorageError: no links to an index's files can be made beside it.
    """
    if kind == "model":
        yield _model_parcel(folder, repository)
        return
    with Snapshots(folder).published(progress) as (draft, listing):
        manifest = Manifest.read(draft)
        left_out = foreign_to_index(listing.files, manifest)
        records = {name: each for name, each in listing.files.items() if name not in left_out}
        models, absent = _models_of(draft, manifest)
        records |= {
            name: FileRecord(path.stat().st_size, sha256_of(path)) for name, path in models.items()
        }
        text = replace(listing, files=dict(sorted(records.items()))).to_json()
        listing = Listing.parse(text.encode(), str(folder))
        (draft / LISTING).write_text(text, "utf-8")
        places = {name: models.get(name, draft / name) for name in records}
        files = {name: Content(places[name], each.sha256) for name, each in records.items()}
        yield Parcel(
            "index",
            {**files, LISTING: Content(draft / LISTING)},
            index_card(manifest, listing, repository, absent),
            f"Generation {manifest.generation}: {manifest.n_documents:,} documents",
            tuple(left_out),
            absent,
        )


def _models_of(draft: Path, manifest: Manifest) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files of the models that go along with an index; names of those that would and are gone.

    A sparse model in a folder goes along: nobody else can encode documents for the index. One that
    everybody can have, of the hub or of this package, does not, nor does a dense model.
    """
    files: dict[str, Path] = {}
    absent = []
    if manifest.sparse.kind == "learned":
        source = LearnedSource.read(draft / manifest.encoder)
        for each, name in ((source, MODEL_FOLDER), (source.query, QUERY_MODEL_FOLDER)):
            if each is None or (draft / name).is_dir() or not Path(each.place).is_absolute():
                continue
            if _is_there(each):
                files |= {
                    f"{name}/{file}": content.path
                    for file, content in _model_files(Path(each.place)).items()
                }
            else:
                absent.append(each.name)
    if manifest.dense is not None and Path(manifest.dense.name).is_dir():
        absent.append(manifest.dense.name)
    return files, tuple(absent)


def _is_there(source: LearnedSource) -> bool:
    """Whether the very model that an index was built with is where it was."""
    try:
        return ModelFolder.open(source.place).sha256(with_code=source.has_code) == source.sha256
    except InputError:
        return False


def _model_parcel(folder: Path, repository: str) -> Parcel:
    files = _model_files(folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    card = None if CARD in files else model_card(folder, repository)
    left_out = sorted(names - files.keys())
    return Parcel("model", files, card, f"Model {folder.resolve().name}", tuple(left_out))


def _model_files(folder: Path) -> dict[str, Content]:
    """Files of a model by path below its folder: all but hidden ones and compiled code."""
    return {
        name: Content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not is_needless(name := path.relative_to(folder).as_posix())
        and "__pycache__" not in path.parts
    }


@contextmanager
def card_file(text: str) -> Iterator[Path]:
    """A card as a file, for a while."""
    with TemporaryDirectory(prefix="lsr-card-") as folder:
        path = Path(folder) / CARD
        path.write_text(text, "utf-8")
        yield path
