"""Vectors as functions of their texts: how many change with their neighbours, and what it costs.

    python -m bench.relevance.vectors_of_texts --corpus path/to/scifact [--documents 200]
    [--passes 3] [--chunk 250] [--only int8] [--export]

Two ways of each network: padded batches of texts of nearly one length, as version 0.1 computed,
and the way of today. Both encode the documents in chunks of all, of 37 and of 1; counted are
vectors that are not equal in bits to those of the chunk of all. For documents a second, of CPU
time, the two take turns chunk by chunk (of 250, as a collection is built, or of --chunk), and the
least of all passes counts, of each chunk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lsr.datasets.open import open_judged_corpus
from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.onnx_network import TOKENIZER_FILE, OnnxNetwork
from lsr.encoders.learned.packed_model import GRAPH_FOLDER
from lsr.encoders.learned.text_batches import padded
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.sparse import CSR

__all__ = ["main"]

OLD_TEXTS, OLD_TOKENS = 16, 1_024
"""Texts and tokens in a batch of a graph, in version 0.1."""

Encode = Callable[[Sequence[str]], CSR]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="vectors that change with their neighbours")
    parser.add_argument("--model", default="doc-mini")
    parser.add_argument("--corpus", required=True, help="a BEIR folder or an ir_datasets id")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--chunk", type=int, default=250, help="documents between two turns")
    parser.add_argument("--export", action="store_true", help="export to ONNX in fp32 too")
    parser.add_argument("--only", help="networks, comma-separated: int8, onnx-fp32, fp32, bf16")
    given = parser.parse_args()
    documents = open_judged_corpus(given.corpus).documents()
    texts = [document.full_text for document in islice(documents, given.documents)]
    print("| network | way | differ, chunks of 37 | of 1 | by at most | documents a CPU second |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        for name, ways in _networks(given.model, Path(work) if given.export else None).items():
            if not given.only or name in given.only.split(","):
                _print(name, ways, texts, given.passes, given.chunk)


def _networks(model: str, work: Path | None) -> dict[str, tuple[Encode, Encode]]:
    """By network, its former way and today's."""
    folder = ModelFolder.open(model)
    found: dict[str, tuple[Encode, Encode]] = {}
    graphs = {"int8": folder.path / GRAPH_FOLDER}
    if work is not None:
        from lsr.training.export.onnx import export_sparse_onnx

        graphs["onnx-fp32"] = export_sparse_onnx(model, work / "fp32", "fp32").folder
    for name, place in graphs.items():
        graph, tokenizer = OnnxNetwork(place), Tokenizer.from_file(str(place / TOKENIZER_FILE))
        found[name] = (partial(_formerly, graph, tokenizer), partial(graph.encode, side="document"))
    for precision in ("fp32", "bf16"):
        old, new = TorchNetwork(folder, precision), TorchNetwork(folder, precision)
        old.batches = partial(padded, times=1)
        found[precision] = (
            partial(old.encode, side="document"),
            partial(new.encode, side="document"),
        )
    return found


def _formerly(graph: OnnxNetwork, tokenizer: Any, texts: Sequence[str]) -> CSR:
    """Longest first, in padded batches."""
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    parts, start, size = [], 0, OLD_TEXTS
    while start < len(order):
        batch = [texts[i] for i in order[start : start + size]]
        fits = max(OLD_TOKENS // len(tokenizer.encode(batch[0]).ids), 1)
        if fits < len(batch):
            size = fits
            continue
        parts.append(graph.rows(batch))
        start += size
        size = min(fits, OLD_TEXTS)
    return CSR.concatenate(parts).take(np.argsort(order).tolist())


def _print(
    name: str, ways: tuple[Encode, Encode], texts: list[str], passes: int, chunk: int
) -> None:
    starts = range(0, len(texts), chunk)
    seconds = np.full((len(ways), passes, len(starts)), np.inf)
    for number in range(passes):
        for part, start in enumerate(starts):
            for way in np.roll(range(len(ways)), number).tolist():
                began = time.process_time()
                ways[way](texts[start : start + chunk])
                seconds[way, number, part] = time.process_time() - began
    best = seconds.min(axis=1).sum(axis=1)
    for i, (way, encode) in enumerate(zip(("padded batches", "today"), ways, strict=True)):
        whole = _in_chunks(encode, texts, len(texts))
        others = [np.abs(whole - _in_chunks(encode, texts, size)) for size in (37, 1)]
        few, single = (int((other > 0).any(axis=1).sum()) for other in others)
        most = max(float(other.max()) for other in others)
        print(
            f"| {name} | {way} | {few} | {single} | {most:.2g} of {whole.max():.2f} "
            f"| {len(texts) / best[i]:.1f} |",
            flush=True,
        )
    print(f"{name}: {best[0] / best[1]:.3f} times as many documents a second as before", flush=True)


def _in_chunks(encode: Encode, texts: list[str], size: int) -> np.ndarray:
    parts = [encode(texts[i : i + size]) for i in range(0, len(texts), size)]
    return np.asarray(to_scipy(CSR.concatenate(parts)).toarray())


if __name__ == "__main__":
    main()
