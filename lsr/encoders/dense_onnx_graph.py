"""A sentence-transformers model as two files: its tokenizer, and one ONNX graph.

Reaches torch only when a model is written.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lsr.encoders.dense_onnx import TOKEN_COLUMNS
from lsr.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn

__all__ = [
    "EXAMPLE_TEXTS",
    "inexpressible",
    "quiet",
    "text_vectors",
    "write_graph",
    "write_tokenizer",
]

EXAMPLE_TEXTS = ["An example, of some words", "and another"]
"""What graphs are traced with."""

ONE_FILE_BYTES = 1 << 30
"""Larger weights go into a file beside the graph, which itself must stay below 2 GB."""


class Tokenizing(Protocol):
    """A model, or its first module: it has a tokenizer, and a length where texts are cut."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def max_seq_length(self) -> int | None: ...


def inexpressible(name: str, reason: str) -> InputError:
    """Error for a model that cannot be used in ONNX."""
    return InputError(
        f"the model {name!r} cannot be exported to ONNX ({reason}); use it without exporting"
    )


def write_tokenizer(path: Path, model: Tokenizing, name: str) -> None:
    """Write the model's tokenizer, which truncates as the model does and pads to the longest.

    Raises:
        InputError: it is not of the package tokenizers, or has no token for padding.
    """
    from tokenizers import Tokenizer

    source = model.tokenizer
    if getattr(source, "backend_tokenizer", None) is None or source.pad_token_id is None:
        raise inexpressible(name, "its tokenizer is not of the package tokenizers, or cannot pad")
    tokenizer = Tokenizer.from_str(source.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    if model.max_seq_length:
        tokenizer.enable_truncation(model.max_seq_length, direction=source.truncation_side)
    tokenizer.enable_padding(
        direction=source.padding_side,
        pad_id=source.pad_token_id,
        pad_type_id=source.pad_token_type_id,
        pad_token=source.pad_token,
    )
    tokenizer.save(str(path))


def write_graph(
    path: Path, module: nn.Module, features: Mapping[str, Any], output: str, name: str, opset: int
) -> tuple[str, ...]:
    """Trace a module and write it as one graph.

    Its inputs are int64, shape (batch, tokens), both free; its output is float32.

    Args:
        module: float32, on the CPU; it takes keywords of `TOKEN_COLUMNS`.
        features: what the model's tokenizer gives of two texts.
        output: the name of the output.
        name: of the model, for errors.
        opset: which operators there are, as ONNX counts its versions.

    Returns:
        The names of the inputs, of those in `TOKEN_COLUMNS`.

    Raises:
        InputError: torch's exporter cannot do it, or the model takes other inputs.
    """
    import torch

    taken = {key for key, value in features.items() if torch.is_tensor(value)}
    if not taken <= set(TOKEN_COLUMNS):
        raise inexpressible(name, f"it takes {', '.join(sorted(taken))}")
    example = {key: features[key] for key in TOKEN_COLUMNS if key in taken}
    dynamic = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    weights = sum(value.numel() * value.element_size() for value in module.state_dict().values())
    try:
        with quiet():
            program = torch.onnx.export(
                module.eval(),
                kwargs=example,
                input_names=list(example),
                output_names=[output],
                dynamic_shapes=dict.fromkeys(example, dynamic),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # as in every export by dynamo
            for node in program.model.graph.all_nodes():
                node.metadata_props.clear()  # stack traces, with paths of this machine
            program.save(str(path), external_data=weights > ONE_FILE_BYTES)
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise inexpressible(name, reason) from error
    return tuple(example)


def text_vectors(model: SentenceTransformer, *, unit: bool) -> nn.Module:
    """The module from token ids to vectors of shape (batch, dimension), as in torch.

    Args:
        unit: whether they are brought to unit length.
    """
    import torch

    dimension = model.get_embedding_dimension()

    class TextVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self,
            input_ids: Tensor,
            attention_mask: Tensor | None = None,
            token_type_ids: Tensor | None = None,
        ) -> Tensor:
            given = zip(TOKEN_COLUMNS, (input_ids, attention_mask, token_type_ids), strict=True)
            features = {key: value for key, value in given if value is not None}
            vectors: Tensor = self.model(features)["sentence_embedding"][:, :dimension]
            return torch.nn.functional.normalize(vectors, p=2, dim=1) if unit else vectors

    return TextVectors()


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what exporters and quantisers say, which is for their authors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
