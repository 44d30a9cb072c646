"""A collection as frameworks are given it: open, or in a folder, which the first documents make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import lsr
from lsr.errors import InputError, UnavailableError

__all__ = ["Handle", "Index", "Mode", "documents_of", "fields_of", "missing", "opened", "record"]

Index = Any
"""A `lsr.Collection`, or its folder as a path. Open for the frameworks' own checks of types."""

Mode = Literal["hybrid", "sparse", "dense"]
"""Sides that a search is of."""


_LISTED_AT_ONCE = 1000


def opened(index: Index) -> lsr.Collection:
    """The collection, opened if a folder is given.

    Raises:
        InputError: it is neither a collection nor a path.
        IndexStateError: there is no collection in the folder, or it cannot be read.
    """
    if isinstance(index, lsr.Collection):
        return index
    if isinstance(index, str | Path):
        return lsr.open(index)
    raise InputError(
        f"the index is of type {type(index).__name__}; give a folder, or what lsr.open returns"
    )


def documents_of(
    collection: lsr.Collection, where: Mapping[str, Any] | None = None
) -> Iterator[lsr.Document]:
    """All documents of a collection, or those that a filter passes, in the order of their ids.

    Raises:
        QueryError: the filter is wrong.
    """
    reader, last = collection.reader, None
    while len(rows := reader.page_of_rows(last, _LISTED_AT_ONCE, where)):
        page = reader.store.documents(rows.tolist())
        yield from page
        last = page[-1].doc_id


def missing(package: str, extra: str) -> UnavailableError:
    """The error of an import that found no package."""
    return UnavailableError(
        f"lsr.integrations.{extra} needs {package}; install it with: "
        f"pip install 'lsr-search[{extra}]'"
    )


def record(doc_id: str, text: str, metadata: dict[str, Any]) -> lsr.Document:
    """A document of a framework that has no titles; text in metadata under `title` is one.

    All metadata stays as it is, so that filters find it and it comes back.
    """
    title = metadata.get("title")
    return lsr.Document(doc_id, text, title if isinstance(title, str) else "", metadata)


def fields_of(document: lsr.Document) -> dict[str, Any]:
    """Metadata of a document, and its title under `title`."""
    title = {"title": document.title} if document.title else {}
    return {**title, **document.metadata}


class Handle:
    """A collection that may not be there yet: the first documents build it.

    Args:
        index: a folder, or an open collection, which then has its encoders already.
        sparse, dense: of the collection that is built, as `lsr.build` takes them.

    Raises:
        InputError: the collection is there, and has vectors of other models.
    """

    def __init__(self, index: Index, sparse: str | None = None, dense: str | None = None) -> None:
        self.sparse, self.dense = sparse, dense
        self._writing = Lock()
        self._collection: lsr.Collection | None = None
        self.path = Path(index.path if isinstance(index, lsr.Collection) else _folder(index))
        if isinstance(index, lsr.Collection) or self.path.exists():
            self._collection = opened(index)
            self._check_models(self._collection)

    @property
    def collection(self) -> lsr.Collection | None:
        """The collection, or None before the first documents."""
        return self._collection

    def add(self, documents: Iterable[lsr.Document]) -> None:
        """Add documents, or build the collection of them; one of a known id is replaced."""
        given = iter(documents)
        first = next(given, None)
        if first is None:
            return
        given = chain([first], given)
        with self._writing:
            if self._collection is None:
                self._collection = lsr.build(given, self.path, sparse=self.sparse, dense=self.dense)
            else:
                self._collection.add(given)

    def delete(self, doc_ids: Sequence[str]) -> None:
        """Delete the documents of these ids that are there."""
        with self._writing:
            if self._collection is not None and doc_ids:
                self._collection.delete(doc_ids, ignore_missing=True)

    def get(self, doc_ids: Iterable[str]) -> list[lsr.Document]:
        """The documents of these ids that are there."""
        if self._collection is None:
            return []
        store = self._collection.reader.store
        rows = store.rows(list(doc_ids))
        return store.documents(list(rows.values()))

    def _check_models(self, collection: lsr.Collection) -> None:
        manifest = collection.reader.manifest
        for side, wanted, has in (
            ("sparse", self.sparse, manifest.sparse),
            ("dense", self.dense, manifest.dense),
        ):
            name = has.name if has else "none"
            if wanted is not None and wanted != name:
                raise InputError(
                    f"{self.path} is there with the {side} model {name}, and {wanted} is asked for;"
                    f" leave {side} out, or give another folder"
                )


def _folder(index: Index) -> str | Path:
    if isinstance(index, str | Path) and str(index):
        return index
    raise InputError(
        f"the index is {index!r}; give the folder where it is or shall be, or what lsr.open returns"
    )
