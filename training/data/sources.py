"""Rows of a run from files, folders and collections: each layout is told by name and content.

A record is a mapping of field names to values; its query and documents are found under the names
that public training sets use. Rows that are wrong are refused with their line, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from lsr.datasets.beir import BeirFolder
from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.open import IrDataset, JudgedCorpus
from lsr.datasets.records import parse_json_object
from lsr.errors import DataError, UnavailableError
from lsr.files import is_text
from lsr.progress import Progress, no_progress
from lsr.training.config.train import Source
from lsr.training.data.pairs import NO_ROW, Pairs, PairsBuilder, joined

__all__ = ["read_source", "read_sources"]

QUERY_NAMES = ("query", "anchor", "question", "sentence1", "title")
POSITIVE_NAMES = (
    "positive",
    "pos",
    "passage",
    "document",
    "answer",
    "sentence2",
    "abstract",
    "body",
)
NEGATIVE_NAMES = ("negatives", "negative", "neg", "hard_negatives")
LAYOUTS = (
    "a row needs query and positive (and negatives), or query, documents and scores, as text fields"
)
MAX_SOURCE_NAMES = 256
MAX_UNJUDGED_DOCUMENTS = 1_000_000
"""Documents without judgement that a judged collection brings, for mining; in its own order."""

_LINES_BETWEEN_REPORTS = 10_000

Where = Callable[[str], DataError]


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

    JSON lines and columns of a hub set hold query and positive, with negatives or not (each a text
    or a list of texts; a list of positives is as many rows), or query, documents and scores. TSV
    holds two columns, or a third with a negative; a first line of field names is no row. Of a
    judged collection each grade above 0 is a row, grade 0 a negative, and documents without
    judgement come along. `source.split` is that of a judged collection or hub set, `source.where`
    chooses among JSON lines.

    Args:
        label: the name of its rows' source; by default its file's or folder's. A row with a field
            source of another name is of `label/that`.

    Raises:
        DataError: nothing is there, it is empty, its layout is not known, or a row lacks text;
            names file and line.
        UnavailableError: an optional package is missing.
    """
    path, label = source.path, label or _label(source.path)
    if path.startswith("irds:"):
        pairs = _judged(IrDataset(path.removeprefix("irds:")), source, label, progress)
    elif path.startswith("hf:"):
        pairs = _from_records(*_hub_records(source), label, progress)
    elif Path(path).is_dir():
        if not BeirFolder.recognises(Path(path)):
            raise DataError("a folder of training data needs a corpus.jsonl (BEIR)", path=path)
        pairs = _judged(BeirFolder(Path(path)), source, label, progress)
    elif plain_suffix(Path(path)) in (".jsonl", ".ndjson"):
        pairs = _from_records(*_lines(Path(path), source), label, progress)
    elif plain_suffix(Path(path)) == ".tsv":
        pairs = _from_records(*_table(Path(path), source.limit), label, progress)
    elif not Path(path).exists():
        raise DataError("no such file or folder; check the path", path=path)
    else:
        raise DataError(
            "cannot tell what this is; give a .jsonl or .tsv file, a BEIR folder, irds:ID or hf:ID",
            path=path,
        )
    if not len(pairs):
        those = f" whose fields are {source.where}" if source.where else ""
        raise DataError(f"holds no rows{those}", path=path)
    return pairs


Records = Iterable[tuple[Mapping[str, object], Where]]


def _label(path: str) -> str:
    if path.startswith(("irds:", "hf:")):
        return path.partition(":")[2]
    name = Path(path).resolve().name
    return name if Path(path).is_dir() else name.split(".")[0]


def _from_records(records: Records, total: int | None, label: str, progress: Progress) -> Pairs:
    builder = PairsBuilder()
    names = {label}
    for done, (record, where) in enumerate(records, start=1):
        name = record.get("source")
        name = label if not isinstance(name, str) or name in ("", label) else f"{label}/{name}"
        if name not in names and len(names) >= MAX_SOURCE_NAMES:
            name = label
        names.add(name)
        _add(builder, record, name, where)
        if done % _LINES_BETWEEN_REPORTS == 0:
            progress("read", done, total)
    return builder.build()


def _add(builder: PairsBuilder, record: Mapping[str, object], name: str, where: Where) -> None:
    query_name = next((field for field in QUERY_NAMES if field in record), None)
    positive_name = next((field for field in POSITIVE_NAMES if field in record), None)
    is_scored = "documents" in record and "scores" in record
    if query_name is None or (positive_name is None and not is_scored):
        raise where(f"{LAYOUTS}; this one has {', '.join(record) or 'no fields'}")
    (query,) = _texts(record[query_name], query_name, where, n=1)
    positives = _texts(record[positive_name], positive_name, where) if positive_name else []
    negatives: list[str] = []
    for field in record:
        stem, _, number = field.rpartition("_")
        if field in NEGATIVE_NAMES or (stem == "negative" and number.isdecimal()):
            negatives += _texts(record[field], field, where)
    negative_rows = [builder.document(text) for text in negatives]
    scored, scores = _scored(builder, record, where) if is_scored else ([], [])
    query_id = record.get("query_id")
    for row in [builder.document(text) for text in positives] or [NO_ROW]:
        builder.add(
            query,
            row,
            negatives=negative_rows,
            scored=scored,
            scores=scores,
            source=name,
            query_id=str(query_id) if isinstance(query_id, str | int) else None,
        )


def _texts(value: object, field: str, where: Where, n: int | None = None) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = [text for text in values if isinstance(text, str) and text.strip()]
    if len(texts) != len(values):
        raise where(f"field {field} must hold text, and is empty or something else")
    if not all(map(is_text, texts)):
        raise where(f"field {field} holds half a surrogate pair, which is no character")
    if n is not None and len(texts) != n:
        raise where(f"field {field} must hold one text, and holds {len(texts)}")
    return texts


def _scored(
    builder: PairsBuilder, record: Mapping[str, object], where: Where
) -> tuple[list[int], list[float]]:
    values = record["scores"]
    texts = _texts(record["documents"], "documents", where)
    if not isinstance(values, list) or len(values) != len(texts) or not texts:
        raise where("scores must be a list of one number for each of documents")
    best: dict[int, float] = {}
    for text, value in zip(texts, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise where(f"score {value!r} is not a number")
        best.setdefault(builder.document(text), float(value))
    return list(best), list(best.values())


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
            if _is_wanted(parse_json_object(line, path, number), source.where)
        )

    lines, total = _picked(wanted, source.limit)
    return (
        (parse_json_object(line, path, number), _where(path, number)) for number, line in lines
    ), total


def _is_wanted(record: Mapping[str, object], where: Mapping[str, Sequence[str]]) -> bool:
    return all(record.get(field) in values for field, values in where.items())


def _table(path: Path, limit: int | None) -> tuple[Records, int | None]:
    first_number, first = next(iter(_filled(path)), (1, ""))
    header = [field.strip().lower() for field in first.split("\t")]
    known = {*QUERY_NAMES, *POSITIVE_NAMES, *NEGATIVE_NAMES}
    has_header = len(set(header) & known) > 1
    if not has_header:
        header = ["query", "positive", "negative"][: len(header)]
        if first.strip() and len(first.split("\t")) not in (2, 3):
            raise DataError(
                "a line is query, positive and perhaps a negative, with tabs between",
                path=path,
                line=first_number,
            )
    lines, total = _picked(lambda: islice(_filled(path), int(has_header), None), limit)

    def records() -> Records:
        for number, line in lines:
            fields = line.split("\t")
            if len(fields) != len(header):
                raise DataError(
                    f"{len(fields)} fields where the first line has {len(header)}",
                    path=path,
                    line=number,
                )
            yield dict(zip(header, fields, strict=True)), _where(path, number)

    return records(), total


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
