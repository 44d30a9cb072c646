"""Query tables from a corpus: computed, read, written, and put into a model's folder.

The formulas are in `lsr.encoders.corpus.idf`. Which corpus a table is of matters: on a specialised
collection its own frequencies are worth points of nDCG@10 over those of web text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lsr.encoders.corpus.idf import SHRINKAGE, document_frequencies, idf_table, shrunk_idf
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.errors import DataError, InputError, StorageError
from lsr.files import write_atomically
from lsr.progress import Progress, no_progress
from lsr.training.data.tokens import Tokenized, special_ids, tokenize

__all__ = [
    "CorpusTable",
    "corpus_table",
    "read_idf_json",
    "replace_query_table",
    "table_of",
    "write_idf_json",
]

_TEXTS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class CorpusTable:
    """A query table for a model, by a corpus.

    Attributes:
        weights: float32 [n_terms], 0 for special tokens.
        vocabulary: token to number.
        n_documents: of the corpus.
        n_seen: terms that occur in it.
    """

    weights: NDArray[np.float32]
    vocabulary: dict[str, int]
    n_documents: int
    n_seen: int


def table_of(
    tokenized: Tokenized, n_terms: int, special: NDArray[np.int32], unseen: float | None = None
) -> NDArray[np.float32]:
    """The idf of each term over these texts, float32 [n_terms], 0 for special tokens.

    Args:
        n_terms: of the model's output, which may be wider than its tokenizer's vocabulary.
        special: numbers of special tokens.
        unseen: weight of terms that no text has; None for the greatest weight of those seen. The
            table that OpenSearch ships has 1.

    Raises:
        InputError: a token is outside the vocabulary, or the weight is negative.
    """
    if unseen is not None and not 0 <= unseen < np.inf:
        raise InputError(f"the weight of unseen terms is {unseen}; give a number from 0 on")
    df = document_frequencies(tokenized.indptr, tokenized.tokens, n_terms)
    weights = idf_table(df, len(tokenized))
    if unseen is not None:
        weights[df == 0] = unseen
    weights[special] = 0
    return weights


def corpus_table(
    texts: Iterable[str],
    model: ModelFolder,
    strength: float = SHRINKAGE,
    progress: Progress = no_progress,
) -> CorpusTable:
    """The query table of a model for a corpus, shrunk towards the model's own (see `shrunk_idf`).

    Texts are counted whole, in the model's own tokens, and read once; they need not fit memory.

    Raises:
        InputError: the model's queries have no table, the corpus is empty, or the strength is
            negative.
        DataError: a file of the model cannot be read.
    """
    tokenizer = Tokenizer.from_str(model.tokenizer_json().decode("utf-8"))
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    own = model.query_weights(vocabulary)
    df = np.zeros(len(own), np.int64)
    n_documents = 0
    for block in _blocks(texts):
        tokenized = tokenize(block, tokenizer)
        df += document_frequencies(tokenized.indptr, tokenized.tokens, len(own))
        n_documents += len(block)
        progress("tokenize", n_documents, None)
    if not n_documents:
        raise InputError("the corpus holds no documents, so there are no frequencies to count")
    weights = shrunk_idf(df, n_documents, own, strength)
    special = special_ids(tokenizer)
    weights[special[special < len(weights)]] = 0
    return CorpusTable(weights, vocabulary, n_documents, int(np.count_nonzero(df)))


def read_idf_json(path: Path, vocabulary: Mapping[str, int], n_terms: int) -> NDArray[np.float32]:
    """Weights of a JSON object of tokens and weights, float32 [n_terms]; 0 for others.

    Raises:
        DataError: it cannot be read, a weight is not a number from 0 on, or a token is not of the
            vocabulary.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read as JSON ({error})", path=path) from error
    if not isinstance(content, dict):
        raise DataError("a JSON object of tokens and weights is needed", path=path)
    weights = np.zeros(n_terms, np.float32)
    for token, weight in content.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise DataError(f"the weight of {token!r} is not a number", path=path)
        if not 0 <= weight < np.inf:
            raise DataError(f"the weight of {token!r} is {weight}; it must be 0 or more", path=path)
        number = vocabulary.get(token, n_terms)
        if number >= n_terms:
            raise DataError(
                f"token {token!r} is not in the vocabulary; the table is another tokenizer's",
                path=path,
            )
        weights[number] = weight
    return weights


def write_idf_json(path: Path, vocabulary: Mapping[str, int], weights: NDArray[np.float32]) -> None:
    """Write a table as OpenSearch's idf.json: token to weight, by number; zeros are left out.

    What was there stays when writing fails.

    Raises:
        StorageError: the file cannot be written.
    """
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    content = {
        token: float(str(weights[number]))  # the shortest decimal that is this float32
        for token in tokens
        if (number := vocabulary[token]) < len(weights) and weights[number] != 0
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    _replaced(path, text.encode("utf-8", "surrogatepass"))


def replace_query_table(
    model: ModelFolder, vocabulary: Mapping[str, int], weights: NDArray[np.float32]
) -> Path:
    """Put another query table into a model's folder, in the file that holds it; returns that file.

    Collections that were built with the model before still have their own table.

    Raises:
        InputError: the model has no query table, or one of another size.
        DataError: the file holds more than the table.
        StorageError: it cannot be written; the old one stays.
    """
    own = model.query_weights(dict(vocabulary))
    if len(own) != len(weights):
        raise InputError(f"the model's table has {len(own):,} weights, and this {len(weights):,}")
    assert model.query is not None
    target = _table_file(model.query, model.path)
    if target.suffix == ".json":
        write_idf_json(target, vocabulary, weights)
        return target
    from safetensors import safe_open
    from safetensors.numpy import save

    with safe_open(target, framework="numpy") as stored:
        if list(stored.keys()) != ["weight"]:
            raise DataError("holds more than the table 'weight', and stays as it is", path=target)
        shape = stored.get_slice("weight").get_shape()
    table = np.ascontiguousarray(weights.reshape(shape), np.float32)
    _replaced(target, save({"weight": table}, metadata={"format": "pt"}))
    return target


def _table_file(query: Path, root: Path) -> Path:
    named = ""
    if query != root and (query / "config.json").is_file():
        named = str(json.loads((query / "config.json").read_text("utf-8")).get("path") or "")
    tensors = query / "model.safetensors"
    if query != root and not named.endswith(".json") and tensors.is_file():
        return tensors
    name = Path(named).name if named.endswith(".json") else "idf.json"
    return next((place / name for place in (query, root) if (place / name).is_file()), query / name)


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while block := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield block


def _replaced(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
