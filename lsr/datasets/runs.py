"""Runs as files and Python have them: TREC's lines, JSON, and what ranx saves.

JSON is `{query_id: {doc_id: score}}`, which is what ranx saves too; its `.lz4` files hold the same
in CBOR. TREC and JSON files may be compressed (`.gz`, `.zst`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.datasets.lines import open_binary, plain_suffix
from lsr.datasets.trec import read_run
from lsr.errors import DataError, UnavailableError
from lsr.types import Run, ScoredDoc, ranked

__all__ = ["made_run", "open_run"]


def open_run(path: Path) -> Run:
    """Read a run: `.json` and ranx's `.lz4` by suffix, TREC's six columns otherwise.

    Raises:
        DataError: there is no such file, it holds no hits, or is no run: a document comes twice for
            a query, or a score is not a finite number.
        UnavailableError: an `.lz4` file, and the packages that read it are not installed.
    """
    if not path.is_file():
        raise DataError("no such file; check the path", path=path)
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".parq"):
        raise DataError("runs in Parquet are not read; save it as .json or .trec", path=path)
    if suffix == ".lz4":
        run = made_run(_unpacked(path), str(path))
    elif plain_suffix(path) == ".json":
        run = made_run(_parsed(path), str(path))
    else:
        run = read_run(path)
    if not any(run.values()):
        raise DataError("holds no hits", path=path)
    return run


def made_run(content: object, where: str) -> Run:
    """The run that a value says: query_id to doc_id to score, or query_id to `ScoredDoc`s.

    Args:
        where: its file or name, for the message.

    Raises:
        DataError: it is another kind of value, a document comes twice for a query, or a score is
            not a finite number.
    """
    run: Run = {}
    for query_id, scored in _pairs(content, where, "a run is query ids with their documents"):
        if query_id in run:
            raise DataError(f"query {query_id!r} comes twice", path=where)
        hits: dict[str, ScoredDoc] = {}
        for doc_id, score in _scores(scored, where, query_id):
            if doc_id in hits:
                raise DataError(f"document {doc_id!r} twice for query {query_id!r}", path=where)
            hits[doc_id] = ScoredDoc(query_id, doc_id, _finite(score, where, query_id, doc_id))
        run[query_id] = ranked(list(hits.values()))
    return run


class _Object(list[tuple[str, Any]]):
    """A JSON object with all of its pairs, so that a name that comes twice is seen."""


def _parsed(path: Path) -> object:
    with open_binary(path) as stream:
        content = stream.read()
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not valid JSON ({error})", path=path) from error


def _unpacked(path: Path) -> object:
    """Content of a file that ranx saved: CBOR, compressed, in a compressed frame."""
    try:
        import cbor2
        import lz4.frame
    except ImportError as error:
        raise UnavailableError(
            f"{path} needs lz4 and cbor2, which come with ranx and are not installed; "
            "run: pip install 'lsr-search[eval]'"
        ) from error
    try:
        packed = lz4.frame.decompress(path.read_bytes())
        return cbor2.loads(lz4.frame.decompress(packed))
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise DataError(
            "is not what ranx saves as .lz4; save the run as .json or .trec", path=path
        ) from error


def _pairs(value: object, where: str, needed: str) -> Sequence[tuple[str, Any]]:
    """Names and values of an object."""
    if isinstance(value, Mapping):
        found = list(value.items())
    elif isinstance(value, _Object):
        found = value
    else:
        raise DataError(
            f"{needed}, as {{query: {{document: score}}}}, and this is a {_kind(value)}", path=where
        )
    for name, _ in found:
        if not isinstance(name, str) or not name:
            raise DataError(f"an id is {name!r}; it must be a text that is not empty", path=where)
    return found


def _scores(value: object, where: str, query_id: str) -> Sequence[tuple[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(hit, ScoredDoc) for hit in value):
        return [(hit.doc_id, hit.score) for hit in value]
    if value == [] and not isinstance(value, _Object):
        return []
    return _pairs(value, where, f"query {query_id!r} needs its documents with their scores")


def _finite(score: Any, where: str, query_id: str, doc_id: str) -> float:
    try:
        value = math.nan if isinstance(score, bool | str) else float(score)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"document {doc_id!r} of query {query_id!r} has the score {score!r}, which is not a "
            "finite number",
            path=where,
        )
    return value


def _kind(value: object) -> str:
    return "object" if isinstance(value, _Object) else type(value).__name__
