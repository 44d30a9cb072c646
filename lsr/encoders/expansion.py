"""Terms that a document lacks and a query may have: read from a file, or made by a model.

DocT5Query (Nogueira and Lin 2019) appends queries that a sequence-to-sequence model makes of the
document; TILDEv2 (Zhuang and Zuccon 2021) appends the terms that TILDE finds likeliest. BM25, and
encoders that weigh a document's own tokens (DeepImpact, TILDEv2), then see the longer text.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lsr.datasets.lines import numbered_lines
from lsr.datasets.records import ID_NAMES, parse_json_object
from lsr.errors import DataError, InputError, UnavailableError
from lsr.progress import Progress, no_progress

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder
    from transformers import PreTrainedTokenizerBase

__all__ = ["Expander", "Seq2SeqExpander", "TildeExpander", "expanded", "read_expansions"]

TERM_NAMES = ("queries", "terms", "predicted_queries")


class Expander(Protocol):
    """Makes queries or terms of documents."""

    def expand(self, texts: Sequence[str], progress: Progress = no_progress) -> list[list[str]]:
        """For each text, what to append to it."""
        ...


def read_expansions(path: Path) -> dict[str, list[str]]:
    """Expansions by document id: JSON lines of doc_id, and queries or terms as a list of texts.

    Several lines of one document add up.

    Raises:
        DataError: the file cannot be read, is empty, or a line lacks id or list; names the line.
    """
    found: dict[str, list[str]] = {}
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        record = parse_json_object(line, path, number)
        doc_id = next((record[name] for name in ID_NAMES if name in record), None)
        terms = next((record[name] for name in TERM_NAMES if name in record), None)
        if isinstance(doc_id, bool) or not isinstance(doc_id, str | int) or doc_id == "":
            raise DataError("an expansion needs doc_id", path=path, line=number)
        if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
            raise DataError(
                "an expansion needs queries or terms, a list of texts", path=path, line=number
            )
        found.setdefault(str(doc_id), []).extend(terms)
    if not found:
        raise DataError("holds no expansions", path=path)
    return found


def expanded(text: str, terms: Sequence[str]) -> str:
    """The text with what was found for it, blanks between."""
    return " ".join(part for part in (text, *terms) if part)


class Seq2SeqExpander:
    """Queries of a sequence-to-sequence checkpoint, sampled from its k likeliest tokens.

    Each document's sample hangs on its text and the seed alone. The state of torch's random
    numbers is left as it was.

    Args:
        model: a folder or hub id.
        n_queries: for each document.
        max_query_tokens: of a query.
        max_document_tokens: read of a document.
        top_k: tokens that are drawn from.

    Raises:
        InputError: the model cannot be loaded, or a number is below 1.
        UnavailableError: transformers is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        n_queries: int = 10,
        max_query_tokens: int = 32,
        max_document_tokens: int = 400,
        top_k: int = 10,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if min(n_queries, max_query_tokens, max_document_tokens, top_k) < 1:
            raise InputError("numbers of queries and tokens must be 1 or more")
        try:
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        except ImportError as error:
            raise UnavailableError(
                "transformers is not installed; run: pip install 'lsr-search[train]'"
            ) from error
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            found: Any = AutoModelForSeq2SeqLM.from_pretrained(model, trust_remote_code=False)
            self._model = found.to(device).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"the model {model!r} cannot be loaded as sequence-to-sequence ({reason}); give a "
                "folder, or a hub id while online"
            ) from error
        self._sampling = {
            "do_sample": True,
            "top_k": top_k,
            "num_return_sequences": n_queries,
            "max_new_tokens": max_query_tokens,
        }
        self._max_document_tokens = max_document_tokens
        self._seed = seed
        self._device = device

    def expand(self, texts: Sequence[str], progress: Progress = no_progress) -> list[list[str]]:
        """Queries of each document; none for one without text."""
        import torch

        found: list[list[str]] = []
        devices = [] if self._device == "cpu" else [torch.device(self._device)]
        for done, text in enumerate(texts, start=1):
            if not text.strip():
                found.append([])
                continue
            features = self._tokenizer(
                text, truncation=True, max_length=self._max_document_tokens, return_tensors="pt"
            ).to(self._device)
            with torch.random.fork_rng(devices=devices), torch.inference_mode():
                torch.manual_seed(_seed_of(text, self._seed))
                made = self._model.generate(
                    input_ids=features["input_ids"],
                    attention_mask=features["attention_mask"],
                    **self._sampling,
                )
            queries = self._tokenizer.batch_decode(made, skip_special_tokens=True)
            found.append([query for query in map(str.strip, queries) if query])
            progress("expand", done, len(texts))
        return found


class TildeExpander:
    """The heaviest terms of a document's vector that its text lacks.

    Args:
        model: one over the vocabulary of its tokenizer, such as
            one with a head of the first token's logits (TILDE).
        n_terms: appended at most.

    Raises:
        InputError: `n_terms` is below 1.
    """

    def __init__(self, model: SparseEncoder, *, n_terms: int = 128, batch_size: int = 32) -> None:
        if n_terms < 1:
            raise InputError("n_terms must be 1 or more")
        self._model = model
        self._n_terms = n_terms
        self._batch_size = batch_size
        self._words = _whole_words(model.tokenizer)

    def expand(self, texts: Sequence[str], progress: Progress = no_progress) -> list[list[str]]:
        """Terms of each document, heaviest first; equal weights by token number.

        Only tokens that stand for themselves when they are written are appended: no special ones,
        and no parts of words.
        """
        found: list[list[str]] = []
        for start in range(0, len(texts), self._batch_size):
            batch = list(texts[start : start + self._batch_size])
            vectors = self._model.encode_document(
                batch, convert_to_tensor=True, show_progress_bar=False, batch_size=self._batch_size
            )
            weights = (vectors.to_dense() if vectors.is_sparse else vectors).float().cpu().numpy()
            own = self._model.tokenizer(batch, add_special_tokens=False)["input_ids"]
            for row, tokens in zip(weights, own, strict=True):
                row[list(set(tokens))] = 0
                order = (-row).argsort(kind="stable")
                words = (self._words.get(int(term)) for term in order if row[term] > 0)
                chosen = [word for word in words if word is not None]
                found.append(chosen[: self._n_terms])
            progress("expand", len(found), len(texts))
        return found


def _whole_words(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Text of each token that is cut into itself alone, by number."""
    special = set(tokenizer.all_special_ids)
    numbers = sorted(set(tokenizer.get_vocab().values()) - special)
    texts = [str(tokenizer.decode([number])).strip() for number in numbers]
    again = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return {
        number: text
        for number, text, tokens in zip(numbers, texts, again, strict=True)
        if text and tokens == [number]
    }


def _seed_of(text: str, seed: int) -> int:
    digest = blake2b(f"{seed}:{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
