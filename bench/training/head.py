"""What a masked-LM head costs: all logits at once, in parts, and for query columns alone.

`python -m bench.training.head` runs each way in a process of its own, forward and backward, and
prints seconds and peak memory above that of its inputs. The plain way is sentence-transformers'
`SpladePooling` over all logits.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

WAYS = ("plain", "chunked", "columns")
DOCUMENTS, TOKENS, HIDDEN, TERMS, COLUMNS = 32, 256, 384, 30522, 1500
ACTIVE = 300
"""Terms that a document keeps: the bias is set so, as a trained head's is."""


def main() -> None:
    """Measure every way and print a table, or one way and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--precision", choices=("fp32", "bf16"), action="append")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    precisions = given.precision or ["fp32", "bf16"]
    if given.way:
        print(json.dumps(_measure(given.way, precisions[0], given.threads, given.repeats)))
        return
    print(f"{DOCUMENTS} x {TOKENS} tokens, H {HIDDEN}, V {TERMS}, {COLUMNS} query columns")
    for precision in precisions:
        plain: dict[str, float] = {}
        for way in WAYS:
            command = [
                sys.executable,
                "-m",
                "bench.training.head",
                "--way",
                way,
                "--precision",
                precision,
            ]
            command += ["--threads", str(given.threads), "--repeats", str(given.repeats)]
            found = json.loads(subprocess.check_output(command))
            plain = plain or found
            print(
                f"{precision} {way:8} {found['seconds']:7.3f} s "
                f"({found['seconds'] / plain['seconds']:.3f} of plain) "
                f"{found['mib']:7.0f} MiB ({found['mib'] / plain['mib']:.3f} of plain)"
            )


def _measure(way: str, precision: str, threads: int, repeats: int) -> dict[str, float]:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from lsr.training.models.activations import activate
    from lsr.training.models.chunked_head import pooled_logits_max

    def weights_of(h: Any) -> Any:
        if way == "plain":
            features = {"token_embeddings": decoder(h), "attention_mask": mask}
            return SpladePooling("max")(features)["sentence_embedding"]
        wanted = columns if way == "columns" else None
        logits = pooled_logits_max(h, mask, decoder.weight, decoder.bias, wanted)
        return activate(logits, "relu", "log1p")

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    h = torch.randn(DOCUMENTS, TOKENS, HIDDEN, requires_grad=True)
    mask = torch.ones(DOCUMENTS, TOKENS, dtype=torch.int64)
    decoder = torch.nn.Linear(HIDDEN, TERMS)
    with torch.no_grad():
        logits = (h[0] @ decoder.weight.T).amax(0)
        decoder.bias.fill_(-float(logits.topk(ACTIVE).values[-1]))
    columns = torch.randperm(TERMS)[:COLUMNS]
    del logits
    before = _peak_mib()
    seconds = []
    for _ in range(repeats):
        h.grad = decoder.weight.grad = decoder.bias.grad = None
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            weights = weights_of(h)
        (weights.float().mean(0) ** 2).sum().backward()
        seconds.append(time.perf_counter() - start)
        del weights
    return {"seconds": min(seconds), "mib": _peak_mib() - before}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
