"""The model card: what a model is, what it was trained on and how, and what it scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from sentence_transformers import SparseEncoder

from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import written_config
from lsr.training.loop.evaluator import SetFigures
from lsr.training.models.checkpoint import is_own_code
from lsr.training.models.finished_base import side_kinds
from lsr.training.models.sparse_encoder import needs_this_package

__all__ = ["write_model_card"]


def write_model_card(
    model_folder: Path,
    model: SparseEncoder,
    config: TrainConfig,
    counts: Mapping[str, int],
    figures: Sequence[SetFigures],
    notes: Sequence[str],
) -> None:
    """Write README.md into the folder of a model.

    Args:
        model: as it is in the folder.
        counts: rows by source.
        figures: of the evaluation sets, measured with this model.
        notes: what went otherwise than planned: why it stopped, what overlapped.
    """
    lines = [
        *_opening(model, config),
        "## Trained on",
        "",
        "| source | rows |",
        "|---|---|",
        *(f"| {name} | {n:,} |" for name, n in counts.items()),
        "",
    ]
    if figures:
        lines += _measured(figures)
    if notes:
        lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    lines += [
        "## Made by",
        "",
        f"`lsr train` (lsr-search {version('lsr-search')}) with this config:",
        "",
        "```yaml",
        _without_folders(written_config(config)).rstrip(),
        "```",
        "",
    ]
    (model_folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _opening(model: SparseEncoder, config: TrainConfig) -> list[str]:
    query, document = side_kinds(model)
    side = "a tokenizer and a weight table; no network" if query == "table" else query
    loads = 'model = SparseEncoder("this folder")'
    own: list[str] = []
    has_code = any(map(is_own_code, model.modules()))
    if has_code or needs_this_package(model):
        loads = 'model = SparseEncoder("this folder", trust_remote_code=True)'
    if has_code:
        own += [
            "Its network is code that lies in this folder, as its base brought it along. It runs "
            "only where it is trusted, so read it first; `lsr index build` takes "
            "`--trust-remote-code`.",
            "",
        ]
    if needs_this_package(model):
        own += ["Its heads are classes of this package: `pip install lsr-search[train]` first.", ""]
    return [
        "---",
        "library_name: sentence-transformers",
        "tags: [sparse-encoder, learned-sparse-retrieval, splade]",
        f"base_model: {_without_folders(config.encoder.base)}",
        "---",
        "",
        "# A learned sparse encoder",
        "",
        f"Queries: {side}. Documents: {document}, from "
        f"{_without_folders(config.encoder.base)}, "
        f"up to {config.encoder.max_document_tokens} tokens.",
        "",
        *own,
        "```python",
        "from sentence_transformers import SparseEncoder",
        "",
        loads,
        'documents = model.encode_document(["a text"])',
        'queries = model.encode_query(["a question"])',
        "```",
        "",
    ]


def _measured(figures: Sequence[SetFigures]) -> list[str]:
    return [
        "## Measured",
        "",
        "| set | nDCG@10 | R@100 | active terms | retrieval FLOPS |",
        "|---|---|---|---|---|",
        *(
            f"| {each.name} | {each.metrics['nDCG@10']:.4f} | {each.metrics['R@100']:.4f} "
            f"| {each.terms:.0f} | {each.flops:.2f} |"
            for each in figures
        ),
        "",
        "Exact search, texts cut at the model's length. Other systems by the same measure: "
        "`lsr eval`.",
        "",
    ]


def _without_folders(text: str) -> str:
    """Absolute paths cut to their last two parts: cards are read on other machines."""
    return re.sub(r"(?<![\w/}])/(?:[^\s'\"/]+/)*([^\s'\"/]+/[^\s'\"/]+)", r"\1", text)
