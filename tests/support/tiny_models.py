"""Tiny random models and a WordPiece tokenizer, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["WORDS", "tiny_base", "tiny_tokenizer"]

WORDS = (
    "the a of in to and is for on with by from at as an be was are that this "
    "cat dog bird fish horse cow wolf bear lion mouse whale shark snake frog deer "
    "heart liver brain blood bone skin lung muscle nerve cell gene protein virus cancer drug "
    "star moon sun planet comet galaxy orbit light wave field force mass energy heat atom "
    "tree leaf root seed flower grass fruit apple pear plum grape bread rice milk water "
    "king queen war peace city road bridge river lake sea island mountain forest desert rain "
    "red green blue black white small large fast slow old new hot cold high low "
    "run walk eat drink sleep write read sing play work build break open close find"
).split()
"""Words that the tokenizer keeps whole; every letter is a token too."""


def tiny_tokenizer() -> Any:
    """A lower-casing WordPiece tokenizer of `WORDS`, letters and letter continuations."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast  # type: ignore[attr-defined]

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [".", ",", *letters, *(f"##{letter}" for letter in letters)]
    tokens += [word for word in WORDS if word not in tokens]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = BertWordPieceTokenizer(vocab=vocabulary, lowercase=True)
    return BertTokenizerFast(tokenizer_object=backend._tokenizer, model_max_length=64)


def tiny_base(folder: Path, *, masked_lm: bool = True, seed: int = 0, spread: float = 0.02) -> Path:
    """A two-layer BERT of random weights saved in `folder`, with or without a masked-LM head.

    Args:
        spread: of the weights; with a larger one the vectors of texts differ more.
    """
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertModel

    tokenizer = tiny_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=spread,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = BertForMaskedLM(config) if masked_lm else BertModel(config)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
