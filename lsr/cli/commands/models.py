"""`lsr models`: list the installed sparse models."""

from __future__ import annotations

from dataclasses import asdict

from lsr.cli.console import print_json, print_table
from lsr.cli.index_options import AsJson
from lsr.encoders.learned.bundled_models import ShippedModel, bundled_models

__all__ = ["models"]


def models(as_json: AsJson = False) -> None:
    """List the installed sparse models; their names can be used as MODEL.

    Terms and retrieval FLOPS are means over the collections in the last column, measured by make
    report-encoder; the models were not trained on them.

    Example: lsr models --json
    """
    found = bundled_models()
    if as_json:
        print_json([asdict(each) | {"folder": str(each.folder)} for each in found])
        return
    print_table(
        "Installed sparse models",
        ("name", "MB", "terms", "FLOPS", "nDCG@10"),
        [_line(each) for each in found],
    )


def _line(model: ShippedModel) -> tuple[str, ...]:
    known = ["-" if each is None else f"{each:.2f}" for each in (model.terms, model.flops)]
    scores = ", ".join(f"{name} {score:.3f}" for name, score in model.scores.items())
    return (model.name, f"{model.size_bytes / 1e6:.1f}", *known, scores or "-")
