"""Optimisation of a stage."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lsr.training.config.encoder import Count, NotNegative, Positive, Share, Strict

__all__ = ["LoraConfig", "OptimConfig"]


class LoraConfig(Strict):
    """Low-rank adapters beside the network's linear layers (Hu et al. 2021), by peft.

    They are trained in place of the network, and added to its weights at the end of the stage.

    Attributes:
        rank: of the two matrices of an adapter.
        alpha: an adapter's product is scaled by alpha / rank.
        dropout: of what an adapter is given, while it is trained.
        targets: names of linear layers, such as query and value, or ends of their paths; none
            given: all linear layers of the network, without its head.
    """

    rank: Count = 16
    alpha: Count = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[str, ...] = ()


class OptimConfig(Strict):
    """Learning rates are of the network, of its head, and of a learned query table.

    Attributes:
        steps: optimizer steps.
        queries: in a batch, over all processes.
        candidates: documents of each query in a batch: its positive, then negatives.
        micro_batch: documents encoded at once; it changes memory, not the result.
        max_tokens: of one forward pass, padding included; an upper bound beside micro_batch.
        max_document_tokens: read of a document while training, evaluation in between included; the
            model itself reads what its encoder says. Null: the same.
        recompute: encode each micro-batch again in the backward pass, so that memory is that of
            one, not of all.
        gradient_checkpointing: keep the network's layers' inputs alone for the backward pass, which
            encodes each layer again: less memory within a micro-batch, the same gradients.
        lora: train low-rank adapters in place of the network.
        freeze_backbone, freeze_embeddings: what is not trained; the embeddings are the decoder's
            matrix too, where the two are tied.
        dropout: of the network while it is trained. On a CPU, drawing the numbers takes longer than
            the products (docs/experiments/2026-11-22-first-run-by-config.md).
        precision: of the forward pass; auto is bfloat16 where the machine computes in it.
    """

    steps: Count = 1000
    queries: Count = 32
    candidates: Annotated[int, Field(ge=1)] = 2
    micro_batch: Count = 32
    max_tokens: Count = 16384
    max_document_tokens: Count | None = None
    recompute: bool = False
    gradient_checkpointing: bool = False
    lora: LoraConfig | None = None
    lr: Positive = 5e-5
    head_lr: Positive | None = None
    table_lr: Positive = 1e-3
    freeze_backbone: bool = False
    freeze_embeddings: bool = False
    warmup: Share = 0.05
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: NotNegative = 0.01
    max_grad_norm: Positive = 1.0
    dropout: Share = 0.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    sampled_columns: Count = 1024
    full_head: bool = False
    compile: bool = False

    @model_validator(mode="after")
    def _network_is_trained(self) -> Self:
        if self.freeze_backbone and self.lora is not None:
            raise ValueError(
                "lora trains adapters in a network that freeze_backbone keeps as it is; leave one "
                "of the two out"
            )
        if self.freeze_backbone and self.gradient_checkpointing:
            raise ValueError(
                "gradient_checkpointing saves what the network keeps for its gradients, and "
                "freeze_backbone leaves it without; leave one of the two out"
            )
        return self
