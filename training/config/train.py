"""Config of a training run: one typed object, with unknown keys refused.

A run is one or more stages over the same model. Each choice is a union whose members carry only
their own parameters; `kind` says which. The encoders of both sides (`encoderconfig`), the losses
and the regularisers are independent parts, as in Nguyen et al. (2023).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.training.config.data import DataConfig, MiningConfig, Source
from lsr.training.config.encoder import (
    Anchored,
    ClsMlm,
    Count,
    DocumentSide,
    EncoderConfig,
    Epic,
    Mlm,
    Mlp,
    NotNegative,
    Positive,
    QuerySide,
    Share,
    Strict,
    Table,
)
from lsr.training.config.evaluation import EvaluationConfig
from lsr.training.config.optim import LoraConfig, OptimConfig
from lsr.training.config.own_loss import OwnLoss, loss_tag

__all__ = [
    "Anchored",
    "Bm25Teacher",
    "ClsMlm",
    "CrossEncoderTeacher",
    "DataConfig",
    "DenseTeacher",
    "DocumentSide",
    "EncoderConfig",
    "Ensemble",
    "Epic",
    "EvaluationConfig",
    "GuardConfig",
    "InfoNce",
    "Kl",
    "LoraConfig",
    "Loss",
    "MarginMse",
    "MiningConfig",
    "Mlm",
    "Mlp",
    "OptimConfig",
    "OwnLoss",
    "QuerySide",
    "Regularizer",
    "RowsTeacher",
    "ScoreConfig",
    "ScoreFileTeacher",
    "Source",
    "SparseTeacher",
    "StageConfig",
    "Table",
    "Teacher",
    "TermRecall",
    "TrainConfig",
    "WarmStart",
]

# Supervision


class Bm25Teacher(Strict):
    """BM25 over the run's documents, in the model's own tokens."""

    kind: Literal["bm25"] = "bm25"
    weight: Positive = 1.0
    k1: Positive = 1.2
    b: Share = 0.75


class DenseTeacher(Strict):
    """Any sentence-transformers model, or a plain checkpoint; what is None is as its folder says.

    Attributes:
        max_tokens: a longer text is cut there, or sooner where the model cuts it sooner.
        similarity, pooling, query_prompt, document_prompt, dimensions: as in `DenseOptions`.
        precision: of its network; auto is bfloat16 where the machine computes in it.
        trust_remote_code: run the code that the model brings along.
    """

    kind: Literal["dense"] = "dense"
    model: str = "all-MiniLM-L6-v2"
    weight: Positive = 1.0
    max_tokens: Count = 256
    similarity: Literal["cosine", "dot"] | None = None
    pooling: (
        Literal[
            "cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "tct-colbert", "weightedmean"
        ]
        | None
    ) = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    dimensions: Count | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    trust_remote_code: bool = False


class SparseTeacher(Strict):
    """Any SparseEncoder; `trust_remote_code` runs the code that it brings along."""

    kind: Literal["sparse"] = "sparse"
    model: str
    weight: Positive = 1.0
    trust_remote_code: bool = False


class CrossEncoderTeacher(Strict):
    """Any cross-encoder; it knows the pairs of a query and its own candidates.

    `trust_remote_code` runs the code that the model brings along.
    """

    kind: Literal["cross_encoder"] = "cross_encoder"
    model: str
    weight: Positive = 1.0
    trust_remote_code: bool = False


class ScoreFileTeacher(Strict):
    """Scores made elsewhere, by ids.

    JSON lines of query_id, doc_id, score; or a pickle (`.pkl`, also `.gz` and `.zst`) of a dict of
    query ids to dicts of document ids to scores, as the cross-encoders' scores of MS MARCO are.
    """

    kind: Literal["score_file"] = "score_file"
    path: str
    weight: Positive = 1.0


class RowsTeacher(Strict):
    """Scores that the rows themselves bring.

    It is added by itself where rows have scores and a loss learns from scores; named, it has a
    weight beside other teachers.
    """

    kind: Literal["rows"] = "rows"
    weight: Positive = 1.0


Teacher = Annotated[
    Bm25Teacher
    | DenseTeacher
    | SparseTeacher
    | CrossEncoderTeacher
    | ScoreFileTeacher
    | RowsTeacher,
    Field(discriminator="kind"),
]


class Ensemble(Strict):
    """Ensemble of teachers, whose scores become one (Geng et al. 2024).

    Attributes:
        normalization: of each teacher's scores over a query's candidates.
        scale: what the weighted mean is multiplied with.
        label_share: how much of the target is the labelled positive alone.
    """

    normalization: Literal["min_max", "z_score", "none"] = "min_max"
    scale: Positive = 12.0
    label_share: Share = 0.2


class InfoNce(Strict):
    """Cross-entropy of the labelled positive among candidates.

    Attributes:
        candidates: batch: those of all queries of the batch; own: the query's positive and the
            negatives that it brings (DeepImpact, EPIC, SPARTA).
    """

    kind: Literal["infonce"] = "infonce"
    weight: Positive = 1.0
    candidates: Literal["batch", "own"] = "batch"


class MarginMse(Strict):
    """Squared error of score margins between the positive and each candidate.

    Attributes:
        candidates: as in `InfoNce`, of those that the teachers know.
    """

    kind: Literal["margin_mse"] = "margin_mse"
    weight: Positive = 0.05
    candidates: Literal["batch", "own"] = "batch"


class Kl(Strict):
    """Kullback-Leibler divergence of the student's distribution from the teachers'."""

    kind: Literal["kl"] = "kl"
    weight: Positive = 1.0


class TermRecall(Strict):
    """Squared error of a document's term weights from query term recall (DeepCT)."""

    kind: Literal["term_recall"] = "term_recall"
    weight: Positive = 1.0


Loss = Annotated[
    Annotated[InfoNce, Tag("infonce")]
    | Annotated[MarginMse, Tag("margin_mse")]
    | Annotated[Kl, Tag("kl")]
    | Annotated[TermRecall, Tag("term_recall")]
    | Annotated[OwnLoss, Tag("own")],
    Discriminator(loss_tag),
]


class ScoreConfig(Strict):
    """Scaling of the student's scores before they enter the losses.

    Attributes:
        divide_by_query_mass: by the sum of the query's weights, so that one temperature fits
            queries of all lengths.
        temperature: a number; auto: from the spread of scores in the first batch; learned: from
            there on with the model.
        lexical_terms: the BM25 score of own words that is added as in search, so that the model
            learns
            what that lacks; none without.
    """

    divide_by_query_mass: bool = True
    temperature: Positive | Literal["auto", "learned"] = "auto"
    lexical_terms: LexicalTerms | None = None


class Regularizer(Strict):
    """Penalty that keeps vectors sparse.

    With idf in the query table, flops is IDF-aware FLOPS: terms of little idf earn little for what
    they cost. idf_flops is its equal for documents that hold the idf, under a table of ones.

    Attributes:
        weight: lambda, of the mean over documents whatever the number of processes.
        warmup: share of the steps in which it rises, quadratically.
        flops_over: batch: FLOPS of all documents of a batch together. candidates: the sum over
            candidate positions of FLOPS of the documents there, as in OpenSearch's trainer, whose
            published weights go with it.
        free_terms: documents with no more terms than this are not pushed (l0 mask).
        target_terms: mean active terms that a controller steers lambda to.
        target_flops: retrieval FLOPS, likewise.
        query_weight: lambda of queries' vectors, where a network makes them.
        query_kind: its penalty: FLOPS (SPLADE), or L1 (Efficient-SPLADE, Lassance and Clinchant
            2022).
        top_k: only a document's heaviest terms enter its scores (EPIC); needs `optim.full_head`,
            and goes with `encoder.max_active`, which does the same in search.
        df_share: share of documents from which df_flops counts a term by half and more (alpha).
        df_steepness: how abruptly (beta).
    """

    kind: Literal["flops", "idf_flops", "df_flops", "l1", "none"] = "flops"
    weight: NotNegative = 1e-3
    flops_over: Literal["batch", "candidates"] = "batch"
    warmup: Share = 0.33
    free_terms: Count | None = None
    target_terms: Positive | None = None
    target_flops: Positive | None = None
    anti_zero: NotNegative = 0.0
    query_weight: NotNegative = 0.0
    query_kind: Literal["flops", "l1"] = "flops"
    top_k: Count | None = None
    df_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    df_steepness: Positive = 10.0

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        targets = [each for each in (self.target_terms, self.target_flops) if each is not None]
        if len(targets) > 1:
            raise ValueError("lambda is steered by target_terms or target_flops, not by both")
        if targets and (self.kind == "none" or self.weight == 0):
            raise ValueError("a target needs a kind of regulariser, and a weight above 0 to start")
        return self

    @model_validator(mode="after")
    def _positions_of_flops(self) -> Self:
        if self.flops_over == "candidates" and self.kind not in ("flops", "idf_flops"):
            raise ValueError(
                f"regularizer.flops_over: candidates is for flops and idf_flops, and the kind is "
                f"{self.kind}; leave flops_over out, or choose one of these"
            )
        return self


# Running


class WarmStart(Strict):
    """Growing a masked-LM head on a checkpoint that has none, before anything else.

    Attributes:
        steps: of learning to copy the token itself, the network frozen.
        active_terms: that a document has after the bias is calibrated.
        masked_lm_steps: of masked-LM on the run's documents afterwards.
    """

    steps: Count = 130
    learning_rate: Positive = 1e-3
    active_terms: Positive = 400
    masked_lm_steps: Annotated[int, Field(ge=0)] = 0


class GuardConfig(Strict):
    """Limits beyond which training stops by itself, with a reason."""

    min_terms: NotNegative = 5
    max_terms: Positive = 5000
    after: Annotated[int, Field(ge=0)] = 50
    max_spread: Positive = 10.0


class StageConfig(Strict):
    """One stage: what is trained on, by whom, how."""

    name: str = "train"
    data: DataConfig | None = None
    teachers: tuple[Teacher, ...] = ()
    ensemble: Ensemble = Ensemble()
    losses: tuple[Loss, ...] = (Kl(),)
    scores: ScoreConfig = ScoreConfig()
    regularizer: Regularizer = Regularizer()
    optim: OptimConfig = OptimConfig()

    @model_validator(mode="after")
    def _all_columns(self) -> Self:
        if self.regularizer.top_k is not None and not self.optim.full_head:
            raise ValueError(
                "regularizer.top_k keeps the heaviest of all terms of the vocabulary, and a sample "
                "of columns does not have them; set optim.full_head to true"
            )
        return self

    @model_validator(mode="after")
    def _some_negatives(self) -> Self:
        for loss in self.losses:
            own = isinstance(loss, InfoNce | MarginMse) and loss.candidates == "own"
            if own and self.optim.candidates < 2:
                raise ValueError(
                    f"the loss {loss.kind} compares a query's own candidates, and optim.candidates "
                    f"is {self.optim.candidates}, the positive alone; set it to 2 or more, or the "
                    "loss's candidates to batch"
                )
        return self


class TrainConfig(Strict):
    """A whole run.

    Attributes:
        output: the run folder.
        cache: a folder for what teachers make of texts, which runs may share; default: its own.
        stages: one after another; a stage without data uses that of the stage before.
        idf: where the query table's weights come from: the run's documents, or a corpus.
        search_defaults: how the model is used in search; default: as the base says.
        checkpoints_kept: two at least, so that one is whole while the next is written.
        report_to: reporters of the Hugging Face trainer, such as tensorboard or wandb.
    """

    preset: str | None = None
    output: str
    cache: str | None = None
    seed: int = 0
    encoder: EncoderConfig = EncoderConfig()
    idf: str | None = None
    search_defaults: SearchDefaults | None = None
    warm_start: WarmStart | Literal["auto", "never"] = "auto"
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()
    checkpoint_every: Count = 500
    checkpoints_kept: Annotated[int, Field(ge=2)] = 2
    report_to: tuple[str, ...] = ()
    push_to_hub: str | None = None
