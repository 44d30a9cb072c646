"""Fails when the environment holds a CUDA package: a CPU set-up carries none of them."""

import os
import sys
from importlib.metadata import distributions

CUDA_PREFIXES = ("nvidia-", "cuda-", "triton", "torch-cuda")


def main() -> None:
    """Exit with a message when a CUDA package is installed and not allowed."""
    names = sorted(distribution.metadata["Name"].lower() for distribution in distributions())
    found = [name for name in names if name.startswith(CUDA_PREFIXES)]
    if found and os.environ.get("LSR_ALLOW_CUDA") != "1":
        sys.exit(
            f"error: CUDA packages came in: {', '.join(found)}. Run `make clean`, set "
            "LSR_TORCH_INDEX to an index of CPU wheels for torch, and try again; or set "
            "LSR_ALLOW_CUDA=1 to keep them."
        )


if __name__ == "__main__":
    main()
