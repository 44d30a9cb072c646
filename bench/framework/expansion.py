"""Documents expanded by a model of the run, in place of docT5query's and TILDE's own models."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from bench.framework.beir_files import written_beir
from lsr.datasets.beir import BeirFolder
from lsr.encoders.expansion import TildeExpander, expanded
from lsr.progress import Progress
from lsr.training.models.sparse_encoder import open_model
from lsr.types import Document

__all__ = ["expanded_folder"]


def expanded_folder(
    source: Path, split: str, model: Path, out: Path, n_terms: int, tokens: int, progress: Progress
) -> Path:
    """A BEIR folder whose documents have the heaviest terms of a model behind their text.

    Texts are cut first to what a network reads, so that it reads the terms too.

    Args:
        model: a `SparseEncoder` over the vocabulary of its tokenizer.
        n_terms: appended at most.
        tokens: of a document's own text, special ones included.
    """
    folder = BeirFolder(source)
    target = out / folder.name
    if (target / "qrels" / f"{split}.tsv").exists():
        return target
    encoder = open_model(model)
    expander = TildeExpander(encoder, n_terms=n_terms)
    documents = list(folder.documents())
    texts = [_first(each.full_text, encoder.tokenizer, tokens - 2) for each in documents]
    terms = expander.expand(texts, progress)
    longer = [
        Document(document.doc_id, expanded(text, more))
        for document, text, more in zip(documents, texts, terms, strict=True)
    ]
    return written_beir(target, longer, folder.queries(), folder.qrels(split), split)


def _first(text: str, tokenizer: PreTrainedTokenizerBase, tokens: int) -> str:
    """As much of the text as its first tokens cover."""
    cut = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places = cut["offset_mapping"]
    return text if len(places) <= tokens else text[: places[tokens - 1][1]]
