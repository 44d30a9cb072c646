"""Recipes of dense vectors: all that makes one of a text, beside the network's weights.

`DenseOptions` is what a user asks for, `DenseRecipe` what comes of it and of the model's folder. A
collection's manifest keeps the recipe in the identity of its dense model, and the model is opened
by it again, so an index that was built in one way is not searched in another.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.options import chosen
from lsr.types import EncoderIdentity

__all__ = [
    "DOCUMENT_MARK",
    "LONGEST",
    "MASK",
    "POOLINGS",
    "QUERY_MARK",
    "QUERY_TOKENS",
    "SIMILARITIES",
    "TCT_COLBERT",
    "DenseOptions",
    "DenseRecipe",
    "Similarity",
    "filled",
    "is_tct_colbert",
    "scaled_vector",
    "similarity_of",
]

Similarity = Literal["cosine", "dot"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "dot")
"""How vectors are compared. For cosine all are stored at unit length; dot keeps their length."""

TCT_COLBERT = "tct-colbert"
"""The recipe of TCT-ColBERT's authors, see `lsr.encoders.tct_colbert`."""

QUERY_MARK, DOCUMENT_MARK, MASK = "[CLS] [Q] ", "[CLS] [D] ", "[MASK]"
QUERY_TOKENS = 36
"""Tokens of a query in that recipe, the mark and the fill included."""

POOLINGS = (
    "cls",
    "lasttoken",
    "max",
    "mean",
    "mean_sqrt_len_tokens",
    TCT_COLBERT,
    "weightedmean",
)
"""How one vector is made of the tokens' vectors, by the names of sentence-transformers; and a
recipe of its own, `lsr.encoders.tct_colbert`."""

LONGEST = 1e15
"""The length that a vector of a caller's may have: inner products of such vectors are finite."""

_PROMPT_CHARACTERS = 4_096
_MOST = 1_000_000


@dataclass(frozen=True)
class DenseOptions:
    """Options of a dense model; what is None is as the model's folder says.

    Attributes:
        similarity: cosine, or dot.
        pooling: of a checkpoint without sentence-transformers' modules.json, one of `POOLINGS`;
            tct-colbert takes prompts, filled queries and inner products with it.
        query_prompt, document_prompt: put before every query, every document.
        dimensions: how many of a vector's first components are kept (Kusupati et al., 2022).
        max_tokens: a longer text is truncated, prompt included.
        trust_remote_code: run the code that the model brings along, and remember that for this
            user and this very code.
        is_recorded: of an identity: where the model's folder contradicts, it is opened as the
            folder has it, and the hash tells that it is another.
        is_old: as lsr 0.1 made vectors: of unit length, with the model's default prompt alone
            before queries and documents. Indexes of that time are searched so.
        code_sha256: of an identity: hash of the model's own code that made the vectors, or empty;
            it is run again where the user trusted it.

    Raises:
        InputError: a value is out of its range.

    Example:
        >>> import lsr
        >>> lsr.DenseOptions(query_prompt="query: ", document_prompt="passage: ").similarity is None
        True
    """

    similarity: Similarity | None = None
    pooling: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    dimensions: int | None = None
    max_tokens: int | None = None
    trust_remote_code: bool = False
    is_recorded: bool = False
    is_old: bool = False
    code_sha256: str = ""

    def __post_init__(self) -> None:
        if self.is_recorded:
            return  # a folder may say what nobody could ask for
        if self.similarity is not None:
            chosen(self.similarity, SIMILARITIES, "similarity")
        if self.pooling is not None:
            chosen(self.pooling, POOLINGS, "pooling")
        for name in ("query_prompt", "document_prompt"):
            prompt = getattr(self, name)
            if prompt is not None and self.pooling == TCT_COLBERT:
                raise InputError(
                    f"{TCT_COLBERT} has its own {name}, which is counted in tokens; leave it out"
                )
            if prompt is not None and len(prompt) > _PROMPT_CHARACTERS:
                raise InputError(
                    f"{name} has {len(prompt):,} characters; give at most {_PROMPT_CHARACTERS:,}"
                )
        for name in ("dimensions", "max_tokens"):
            number = getattr(self, name)
            if number is not None and not 1 <= number <= _MOST:
                raise InputError(
                    f"{name} is {number}; give a whole number from 1 on, or leave it out"
                )

    @classmethod
    def of(cls, identity: EncoderIdentity) -> DenseOptions:
        """The options by which the model makes the vectors of that identity again."""
        recipe = DenseRecipe.of(identity)
        if recipe.is_old:
            return cls(is_recorded=True, is_old=True)
        return cls(
            similarity=recipe.similarity,
            pooling=recipe.pooling if recipe.pooling in POOLINGS else None,
            query_prompt=recipe.query_prompt,
            document_prompt=recipe.document_prompt,
            dimensions=recipe.dimension,
            max_tokens=recipe.max_tokens or None,
            is_recorded=True,
            code_sha256=recipe.code_sha256,
        )

    def given(self) -> dict[str, str | int]:
        """Those that are given, by name."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        del told["is_recorded"], told["is_old"], told["code_sha256"]
        if not self.trust_remote_code:
            del told["trust_remote_code"]
        return told


@dataclass(frozen=True)
class DenseRecipe:
    """Everything that was decided about a model's vectors.

    Attributes:
        dimension: length of a vector.
        max_tokens: a longer text is truncated, prompt included; 0 when there is no limit.
        similarity: cosine, and all vectors have unit length; or dot.
        pooling: one of `POOLINGS`, several joined by a plus sign, or empty where there is none.
        query_prompt, document_prompt: put before every query, every document.
        is_old: see `DenseOptions`; the identity then names dimension and max_tokens alone.
        code_sha256: of the model's own code, where that was run; else empty.
    """

    dimension: int
    max_tokens: int
    similarity: Similarity = "cosine"
    pooling: str = ""
    query_prompt: str = ""
    document_prompt: str = ""
    is_old: bool = False
    code_sha256: str = ""

    @property
    def parameters(self) -> dict[str, str | int | float | bool]:
        """The recipe as an identity tells it."""
        told: dict[str, str | int | float | bool] = asdict(self)
        del told["is_old"]
        if not self.code_sha256:
            del told["code_sha256"]
        if self.is_old:
            return {"dimension": self.dimension, "max_tokens": self.max_tokens}
        return told

    @classmethod
    def of(cls, identity: EncoderIdentity) -> DenseRecipe:
        """The recipe that an identity tells of.

        One without a similarity is of lsr 0.1, or of an encoder of a user's own; its vectors have
        unit length.
        """
        told = identity.parameters
        dimension, max_tokens = (int(told.get(name, 0)) for name in ("dimension", "max_tokens"))
        if "similarity" not in told:
            return cls(dimension, max_tokens, is_old=True)
        names = ("pooling", "query_prompt", "document_prompt", "code_sha256")
        pooling, query, document, code = (str(told.get(name, "")) for name in names)
        similarity = similarity_of(identity)
        return cls(dimension, max_tokens, similarity, pooling, query, document, code_sha256=code)


def similarity_of(identity: EncoderIdentity | None) -> Similarity:
    """The similarity by which a model's vectors are compared: cosine where nothing is said."""
    told = None if identity is None else identity.parameters.get("similarity")
    return "dot" if told == "dot" else "cosine"


def is_tct_colbert(name: str) -> bool:
    """Whether it is the hub id of a model of the authors, whose folder does not say its recipe."""
    return name.startswith("castorini/tct_colbert")


def filled(query: str) -> str:
    """A query with enough [MASK] behind it to be cut at `QUERY_TOKENS`."""
    return query + MASK * QUERY_TOKENS


def scaled_vector(
    vector: NDArray[np.float32], similarity: Similarity, tolerance: float = 0.0
) -> NDArray[np.float32]:
    """A caller's dense vector as it is compared: at unit length for cosine, as it is for dot.

    Args:
        vector: finite, shape (dimension,); zeros stay zeros.
        tolerance: a vector whose length differs less than this from 1 stays as it is.

    Raises:
        InputError: dot, and the vector is so long that a score may not be a number.
    """
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if similarity == "dot":
        if length > LONGEST:
            raise InputError(
                f"the dense vector has the length {length:.3g}; give one of {LONGEST:g} at most"
            )
        return vector
    if length == 0 or abs(length - 1) <= tolerance:
        return vector
    return (vector / length).astype(np.float32)
