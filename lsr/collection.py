"""The front door of a collection: built or opened, searched, changed; one handle for all of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from lsr.closing import closed
from lsr.datasets.reading import Reading
from lsr.documents import Documents, ReadDocuments, chosen_passages, opened_for, read_documents
from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import as_dense
from lsr.errors import NotFoundError
from lsr.front.searching import Searching
from lsr.index.blocks.config import BlockSettings
from lsr.index.collection import update
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.indexer.limits import BuildLimits
from lsr.index.live.settling import settle
from lsr.index.search.calibration_file import Calibration
from lsr.index.storage.manifest import Manifest
from lsr.passages.passage import PassageSettings
from lsr.progress import ProgressLike, reported
from lsr.sparse import CSR
from lsr.types import Qrels, Query

__all__ = ["Collection"]


class Collection(Searching):
    """Documents and their vectors in a folder: searched and changed by one handle.

    `open` and `build` make one. A change publishes the next generation, and the handle follows to
    it; searches that run meanwhile end on theirs. What a service acknowledged and did not publish
    is published first; while one is at work on the collection, this handle refuses changes.
    Several threads may search at once. Close it, or use it as a context manager.

    Attributes:
        reading: the account of what the last build, addition or sync read and passed over; None
            where there was none.

    Example:
        >>> import lsr
        >>> documents = [lsr.Document("a", "Keys rotate."), lsr.Document("b", "Backups run.")]
        >>> with lsr.build(documents, "my-index", sparse="bm25") as index:
        ...     change = index.add([{"doc_id": "c", "text": "Keys are cut."}])
        ...     print(len(index), [hit.doc_id for hit in index.search("keys")])
        3 ['a', 'c']
    """

    reading: Reading | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Collection:
        """Open the collection in a folder.

        Args:
            verify: compare every file with its checksum first. Default: yes.

        Raises:
            IndexMissingError: there is none, or it is being built.
            IndexVersionError: another version of the format wrote it.
            IndexCorruptError: a file differs from what was written.

        Example:
            >>> import lsr
            >>> made = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            >>> lsr.open("my-index").search("keys")[0].doc_id
            'a'
        """
        return cls(Path(path), CollectionReader.open(Path(path), verify=verify))

    @classmethod
    def build(
        cls,
        documents: Documents | ReadDocuments,
        path: str | os.PathLike[str],
        *,
        sparse: str | Encoder | None = None,
        language: str | None = None,
        dense: str | DenseEncoder | None = None,
        dense_options: DenseOptions | None = None,
        vectors: CSR | None = None,
        blocks: bool | BlockSettings | None = None,
        passages: bool | PassageSettings | None = None,
        limits: BuildLimits | None = None,
        encoding: str | None = None,
        skip_bad: int = 0,
        progress: ProgressLike = False,
    ) -> Collection:
        """Build a collection, replacing one that is there when the new one is whole.

        Interrupted, the same call goes on with the vectors that were ready.

        Args:
            documents: at least one, read once: `lsr.Document` records, dicts, a DataFrame, or a
                source, see `lsr.read_documents`.
            sparse: `bm25`, a model's name or folder, or an encoder. Default: `doc-mini`.
            language: of words, by BM25 or beside a learned model, or "auto". Default: English.
            dense: a sentence-transformers model, or an encoder. Default: none.
            dense_options: of a dense model that is named. Default: as it says.
            vectors: the documents' sparse vectors, in their order, where they were made
                elsewhere; `sparse` is then a `PrecomputedEncoder`, or what encodes queries.
            blocks: whether to build blocks for approximate search, or settings of them, which the
                collection keeps. Default: from 100,000 documents on.
            passages: whether long documents are split, or how; a hit is a document still, with its
                best passage. Default: those of a folder of files, where a model reads passages.
            limits: threads and memory for blocks. Default: all cores.
            encoding, skip_bad: as `lsr.read_documents` takes them.
            progress: True for bars, or a function of (stage, done, total or None).

        Raises:
            InputError, StorageError: as `build_collection`; or there is no such model or language.

        Example:
            >>> import lsr
            >>> lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            Collection('my-index', 1 document, sparse bm25)
        """
        read = read_documents(documents, encoding=encoding, skip_bad=skip_bad)
        encoder, stream = opened_for(read, sparse, language)
        model = as_dense(dense, dense_options)
        split = chosen_passages(read.corpus, passages, encoder, model)
        with reported(progress) as report:
            settle(Path(path), report)
            build_collection(
                stream,
                Path(path),
                sparse=encoder,
                dense=model,
                vectors=vectors,
                blocks=blocks,
                passages=split,
                limits=limits,
                source=read.source,
                progress=report,
            )
        made = cls(Path(path), CollectionReader.open(Path(path), verify=False, dense=model))
        made.reading = read.reading
        return made

    def add(
        self,
        documents: Documents | ReadDocuments,
        *,
        vectors: CSR | None = None,
        limits: BuildLimits | None = None,
        encoding: str | None = None,
        skip_bad: int = 0,
        progress: ProgressLike = False,
    ) -> update.Change:
        """Add documents; one whose doc_id is there replaces the older version.

        Documents are given as to `build`. Other args and errors are those of
        `lsr.index.collection.update.add_documents`.

        Example:
            >>> import lsr
            >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            >>> index.add([lsr.Document("a", "Keys turn."), lsr.Document("b", "Doors.")]).n_replaced
            1
        """
        read = read_documents(documents, encoding=encoding, skip_bad=skip_bad)
        with reported(progress) as report:
            settle(self._reader.path, report)
            change = update.add_documents(
                self.path,
                read,
                vectors=vectors,
                dense=self._reader.loaded_dense,
                source=read.source,
                limits=limits,
                progress=report,
            )
        self.reading = read.reading
        return self._followed(change)

    def sync(
        self,
        documents: Documents | ReadDocuments,
        *,
        allow_empty: bool = False,
        limits: BuildLimits | None = None,
        encoding: str | None = None,
        skip_bad: int = 0,
        progress: ProgressLike = False,
    ) -> update.Change:
        """Hold exactly these documents: add, replace and delete; what is unchanged is not encoded.

        Args and errors are those of `lsr.index.collection.update.sync_documents`.

        Example:
            >>> import lsr
            >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            >>> index.sync([lsr.Document("b", "Doors.")]).difference.deleted
            ('a',)
        """
        read = read_documents(documents, encoding=encoding, skip_bad=skip_bad)
        with reported(progress) as report:
            settle(self._reader.path, report)
            change = update.sync_documents(
                self.path,
                read,
                allow_empty=allow_empty,
                dense=self._reader.loaded_dense,
                source=read.source,
                limits=limits,
                progress=report,
            )
        self.reading = read.reading
        return self._followed(change)

    def delete(self, doc_ids: Iterable[str], *, ignore_missing: bool = False) -> update.Change:
        """Delete documents by id: all of them, or none when one is not there.

        Raises:
            NotFoundError: there is no document of one of the ids.

        Example:
            >>> import lsr
            >>> documents = [lsr.Document("a", "Keys."), lsr.Document("b", "Doors.")]
            >>> lsr.build(documents, "my-index", sparse="bm25").delete(["b"]).n_deleted
            1
        """
        if isinstance(doc_ids, str):
            raise NotFoundError(f"doc_ids is the text {doc_ids!r}; give a list: [{doc_ids!r}]")
        settle(self._reader.path)
        return self._followed(
            update.delete_documents(self.path, doc_ids, ignore_missing=ignore_missing)
        )

    def merge(
        self, *, limits: BuildLimits | None = None, progress: ProgressLike = False
    ) -> update.Change:
        """Write all segments into one, without what was deleted.

        Example:
            >>> import lsr
            >>> index = lsr.build([lsr.Document("a", "Keys.")], "my-index", sparse="bm25")
            >>> _ = index.add([lsr.Document("b", "Doors.")])
            >>> index.merge().n_merged
            2
        """
        with reported(progress) as report:
            settle(self._reader.path, report)
            change = update.merge_segments(self.path, limits=limits, progress=report)
        return self._followed(change)

    def calibrate(
        self,
        queries: Sequence[str] | None = None,
        *,
        recall: float = 0.97,
        k: int = 10,
        progress: ProgressLike = False,
    ) -> Calibration:
        """Measure how approximate search reaches a recall, and use it from now on.

        Args:
            queries: texts. Default: queries made of documents.
            recall: share of the true hits that are to be found, above 0, to 1.
            k: hits that recall is measured over.

        Raises:
            InputError: no segment has blocks for approximate search, or too few queries.
        """
        with reported(progress) as report:
            found = self._reader.calibrate(queries, recall, k=k, progress=report)
        self._follow()
        return found

    def tune(
        self,
        queries: Iterable[Query],
        qrels: Qrels,
        *,
        metric: str = "nDCG@10",
        sparse_feedback: bool = False,
        progress: ProgressLike = False,
    ) -> TunedPlan:
        """Choose fusion weight and feedback on judged queries, and use them from now on.

        The collection needs dense vectors. Errors are those of `lsr.evaluation.tune_collection`.
        """
        from lsr.evaluation.tune_collection import tune_collection

        with reported(progress) as report:
            _, tuned_plan = tune_collection(
                self._reader,
                queries,
                qrels,
                metric=metric,
                sparse_feedback=sparse_feedback,
                progress=report,
            )
        tuned_plan.save(self.path)
        self._follow()
        return tuned_plan

    def export(self, file: str | os.PathLike[str], format_name: str | None = None) -> int:
        """Write the sparse vectors of all documents to a file that other engines read.

        See `CollectionReader.export`. Returns the number of entries.

        Example:
            >>> import lsr
            >>> index = lsr.build([lsr.Document("a", "Keys turn.")], "my-index", sparse="bm25")
            >>> index.export("vectors.npz")
            2
        """
        return self._reader.export(Path(file), format_name)

    def refresh(self) -> bool:
        """Follow to the newest generation that another process published; whether there was one.

        Raises:
            IndexStateError: the folder is gone or damaged; the handle stays as it was.
        """
        if Manifest.read(self.path).generation == self._reader.manifest.generation:
            return False
        self._follow()
        return True

    def close(self) -> None:
        """Close the databases; what is asked of the handle afterwards is refused."""
        self._reader = closed(self._reader)

    def _follow(self) -> None:
        # one assignment, so that a search has all of the old generation or all of the new one
        dense = self._reader.loaded_dense
        self._reader = CollectionReader.open(self.path, verify=False, dense=dense)

    def _followed(self, change: update.Change) -> update.Change:
        if change.manifest.generation != self._reader.manifest.generation:
            self._follow()
        return change

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
