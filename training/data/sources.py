"""Rows of a run from files, folders and collections: each layout is told by name and content.

A record is a mapping of field names to values, which `row_layouts` understands. Rows that are wrong
are refused with their line, never left out; fields that are not understood are named in a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from lsr.datasets.beir import BeirFolder
from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.open import IrDataset, JudgedCorpus
from lsr.datasets.records import parse_json
from lsr.errors import DataError, UnavailableError
from lsr.progress import Progress, no_progress
from lsr.training.config.train import Source
from lsr.training.data.hub_files import is_hub_file, local_file
from lsr.training.data.pairs import NO_ROW, Pairs, PairsBuilder, joined
from lsr.training.data.row_layouts import Row, RowReader, Where, is_field, is_score, named
from lsr.training.data.texts_by_id import TextsById

__all__ = ["read_source", "read_sources"]

MAX_SOURCE_NAMES = 256
MAX_UNJUDGED_DOCUMENTS = 1_000_000
"""Documents without judgement that a judged collection brings, for mining; in its own order."""

_LINES_BETWEEN_REPORTS = 10_000


def read_sources(
    sources: Sequence[Source], progress: Progress = no_progress
) -> tuple[Pairs, dict[str, float]]:
    """All rows of several sources, and the weight of each name in their `source_names`.

    Names of sources that would be the same get a number.

    Raises:
        DataError: see `read_source`.
        UnavailableError: an optional package is missing.
    """
    parts: list[Pairs] = []
    weights: dict[str, float] = {}
    labels: set[str] = set()
    for source in sources:
        label = plain = _label(source.path)
        count = 1
        while label in labels:
            count += 1
            label = f"{plain}-{count}"
        labels.add(label)
        parts.append(read_source(source, progress, label=label))
        weights |= dict.fromkeys(parts[-1].source_names, source.weight)
    return (parts[0] if len(parts) == 1 else joined(parts)), weights


def read_source(
    source: Source, progress: Progress = no_progress, *, label: str | None = None
) -> Pairs:
    """The rows of one source.

    JSON lines and columns of a hub set have the layouts of `row_layouts`; a list of positives is
    as many rows. `hf:OWNER/NAME/FILE` is a file of a hub set, which is fetched. TSV holds two
    columns, or a third with a negative; a first line of field names is no row. With
    `source.queries` and `source.documents` the rows hold ids, and a line of TSV has a query's, a
    positive's and any number of negatives'. Of a judged collection each grade above 0 is a row,
    grade 0 a negative, and documents without judgement come along. `source.split` is that of a
    judged collection or hub set, `source.where` chooses among JSON lines.

    Args:
        label: the name of its rows' source; by default its file's or folder's. A row with a field
            source of another name is of `label/that`.

    Raises:
        DataError: nothing is there, it is empty, its layout is not known, a row lacks text, or has
            scores that are not finite or not as many as its documents; names file and line.
        UnavailableError: an optional package is missing.
    """
    path, label = source.path, label or _label(source.path)
    if source.queries is not None and (path.startswith("irds:") or Path(path).is_dir()):
        raise DataError("brings its own texts; leave out queries and documents", path=path)
    if path.startswith("irds:"):
        pairs = _judged(IrDataset(path.removeprefix("irds:")), source, label, progress)
    elif path.startswith("hf:") and not is_hub_file(path):
        pairs = _from_records(*_hub_records(source), source, label, progress)
    elif Path(path).is_dir():
        if not BeirFolder.recognises(Path(path)):
            raise DataError("a folder of training data needs a corpus.jsonl (BEIR)", path=path)
        pairs = _judged(BeirFolder(Path(path)), source, label, progress)
    elif plain_suffix(Path(path)) in (".jsonl", ".ndjson"):
        pairs = _from_records(*_lines(local_file(path), source), source, label, progress)
    elif plain_suffix(Path(path)) == ".tsv":
        pairs = _from_records(*_table(local_file(path), source), source, label, progress)
    elif is_hub_file(path):
        raise DataError(
            "of a file on the hub, .jsonl and .tsv are read, also .gz and .zst", path=path
        )
    elif not Path(path).exists():
        raise DataError("no such file or folder; check the path", path=path)
    else:
        raise DataError(
            "cannot tell what this is; give a .jsonl or .tsv file, a BEIR folder, irds:ID, hf:ID "
            "or hf:ID/FILE",
            path=path,
        )
    if not len(pairs):
        those = f" whose fields are {source.where}" if source.where else ""
        raise DataError(f"holds no rows{those}", path=path)
    return pairs


Records = Iterable[tuple[Mapping[str, object], Where]]


def _label(path: str) -> str:
    if path.startswith(("irds:", "hf:")) and not is_hub_file(path):
        return path.partition(":")[2]
    name = Path(path).resolve().name
    return name if Path(path).is_dir() else name.split(".")[0]


def _from_records(
    records: Records, total: int | None, source: Source, label: str, progress: Progress
) -> Pairs:
    """Rows of records; those that hold ids are collected first, since their texts come by file."""
    reader = RowReader(by_id=source.queries is not None, used=frozenset(source.where))
    builder = PairsBuilder()
    names = {label}
    with_ids: list[tuple[Row, str, Where]] = []
    for done, (record, where) in enumerate(records, start=1):
        name = record.get("source")
        name = label if not isinstance(name, str) or name in ("", label) else f"{label}/{name}"
        if name not in names and len(names) >= MAX_SOURCE_NAMES:
            name = label
        names.add(name)
        row = reader.read(record, where)
        kept = _even(len(row.negatives), source.max_negatives)
        row = replace(row, negatives=tuple(row.negatives[place] for place in kept))
        if source.queries is None:
            _add(builder, row, name)
        else:
            with_ids.append((row, name, where))
        if done % _LINES_BETWEEN_REPORTS == 0:
            progress("read", done, total)
    if source.queries is not None and source.documents is not None:
        texts = TextsById(local_file(source.queries), local_file(source.documents))
        for row, name, _ in texts.rows(with_ids, progress):
            _add(builder, row, name)
    return builder.build(notes=reader.notes(label))


def _add(builder: PairsBuilder, row: Row, name: str) -> None:
    positives = [builder.document(each.text, each.doc_id) for each in row.positives]
    negatives = [builder.document(each.text, each.doc_id) for each in row.negatives]
    best: dict[int, float] = {}
    for each, score in zip(row.scored, row.scores, strict=True):
        best.setdefault(builder.document(each.text, each.doc_id), score)
    for positive in positives or [NO_ROW]:
        builder.add(
            row.query,
            positive,
            negatives=negatives,
            scored=list(best),
            scores=list(best.values()),
            source=name,
            query_id=row.query_id,
        )


def _where(path: Path | str, line: int | None) -> Where:
    return lambda message: DataError(message, path=path, line=line)


def _even(n: int, limit: int | None) -> Iterator[int]:
    """Places of at most `limit` of n things, evenly spread, ascending."""
    if limit is None or limit >= n:
        yield from range(n)
    else:
        yield from (place * n // limit for place in range(limit))


Numbered = Iterable[tuple[int, str]]


def _filled(path: Path) -> Numbered:
    """Numbered lines that are not blank."""
    return ((number, line) for number, line in numbered_lines(path) if line.strip())


def _picked(lines: Callable[[], Numbered], limit: int | None) -> tuple[Numbered, int | None]:
    """At most `limit` lines, evenly spread; and their number, known only where there is a limit.

    Args:
        lines: gives them all, each time it is called.
    """
    if limit is None:
        return lines(), None
    wanted = set(_even(sum(1 for _ in lines()), limit))
    return (line for place, line in enumerate(lines()) if place in wanted), len(wanted)


def _lines(path: Path, source: Source) -> tuple[Records, int | None]:
    def wanted() -> Numbered:
        if not source.where:
            return _filled(path)
        return (
            (number, line)
            for number, line in _filled(path)
            if _is_wanted(_record(line, path, number), source.where)
        )

    lines, total = _picked(wanted, source.limit)
    return ((_record(line, path, number), _where(path, number)) for number, line in lines), total


def _record(line: str, path: Path, number: int) -> Mapping[str, object]:
    value, where = parse_json(line, path, number), _where(path, number)
    if isinstance(value, list):
        return named(value, where)
    if not isinstance(value, dict):
        raise where("a line must be a JSON object, or an array of texts")
    return value


def _is_wanted(record: Mapping[str, object], where: Mapping[str, Sequence[str]]) -> bool:
    return all(record.get(field) in values for field, values in where.items())


def _table(path: Path, source: Source) -> tuple[Records, int | None]:
    first_number, first = next(iter(_filled(path)), (1, ""))
    header = [field.strip().lower() for field in first.split("\t")]
    has_header = len([name for name in set(header) if is_field(name) or name == "qid"]) > 1
    if not has_header:
        header = _without_header(first.split("\t"), source, _where(path, first_number))
    lines, total = _picked(lambda: islice(_filled(path), int(has_header), None), source.limit)

    def records() -> Records:
        for number, line in lines:
            fields = line.split("\t")
            if len(fields) != len(header):
                raise DataError(
                    f"{len(fields)} fields where the first line has {len(header)}",
                    path=path,
                    line=number,
                )
            record = dict(zip(header, map(_value, header, fields), strict=True))
            yield record, _where(path, number)

    return records(), total


def _without_header(first: list[str], source: Source, where: Where) -> list[str]:
    """Names of the columns of a table that has none, by its first line."""
    if not any(field.strip() for field in first):
        return ["query", "positive"]
    names = ["query", "positive", *(f"negative_{n}" for n in range(1, len(first) - 1))]
    if source.queries is not None:
        if len(first) < 2:
            raise where("a line is the ids of a query, a positive and negatives, with tabs between")
        return names
    if len(first) not in (2, 3):
        raise where("a line is query, positive and perhaps a negative, with tabs between")
    numbers = [not isinstance(_value("score", field), str) for field in first]
    if all(numbers):
        raise where("a line holds ids; name the files of their texts by queries and documents")
    if len(first) == 3 and numbers[2]:
        raise where("the third column is a number; name the columns in a first line, as by score")
    return names


def _value(name: str, text: str) -> object:
    """A field of a table: a number where its name says so and it is one."""
    if is_score(name):
        with suppress(ValueError):
            return float(text)
    return text


def _hub_records(source: Source) -> tuple[Records, int]:
    try:
        datasets: Any = import_module("datasets")
    except ImportError as error:
        raise UnavailableError("datasets is not installed; run: pip install datasets") from error
    name, _, config = source.path.removeprefix("hf:").partition(":")
    try:
        loaded: Any = datasets.load_dataset(name, config or None, split=source.split)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"could not be loaded ({reason}); without a network, give a file of JSON lines",
            path=source.path,
        ) from error
    places = list(_even(len(loaded), source.limit))

    def records() -> Records:
        for place in places:
            record = {field: value for field, value in loaded[place].items() if value is not None}
            yield record, _where(f"{source.path}, row {place}", None)

    return records(), len(places)


def _judged(corpus: JudgedCorpus, source: Source, label: str, progress: Progress) -> Pairs:
    qrels = corpus.qrels(source.split)
    queries = {query.query_id: query.text for query in corpus.queries() if query.text.strip()}
    judged = {doc_id for grades in qrels.values() for doc_id in grades}
    builder = PairsBuilder()
    row: dict[str, int] = {}
    unjudged = 0
    for done, document in enumerate(corpus.documents(), start=1):
        wanted = document.doc_id in judged
        if not document.full_text.strip() or (not wanted and unjudged >= MAX_UNJUDGED_DOCUMENTS):
            continue
        unjudged += not wanted
        row[document.doc_id] = builder.document(document.full_text, document.doc_id)
        if done % _LINES_BETWEEN_REPORTS == 0:
            progress("read", done, None)
    pairs_of = [
        (query_id, doc_id)
        for query_id, grades in qrels.items()
        for doc_id, grade in grades.items()
        if grade > 0
    ]
    found = [pair for pair in pairs_of if pair[0] in queries and pair[1] in row]
    missing = len(pairs_of) - len(found)
    if missing > len(found):
        raise DataError(
            f"{missing:,} of {len(pairs_of):,} judgements name a query or document that is not "
            "there; check that they belong together",
            path=source.path,
        )
    for place in _even(len(found), source.limit):
        query_id, doc_id = found[place]
        wrong = [
            row[other] for other, grade in qrels[query_id].items() if grade <= 0 and other in row
        ]
        builder.add(
            queries[query_id], row[doc_id], negatives=wrong, source=label, query_id=query_id
        )
    return builder.build(missing)
