"""Texts put together for a network in torch: what its tokenizer makes of them, batch by batch.

Matrix products give a row the same bits whatever rows stand beside it, but padding does not: an
attention over padded tokens is summed in another order. So batches on a CPU hold texts of one
number of tokens, and a vector is a function of its text. On a GPU such batches would be too small.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

__all__ = ["Batching", "of_one_length", "padded"]

BATCH_TOKENS = 4_096
"""Tokens in a batch, padding included; a batch has at most `BATCH_TEXTS` texts."""
BATCH_TEXTS = 64
GPU_TIMES = 8
"""Factor by which batches are larger on a GPU."""

Batch = tuple[list[int], dict[str, Any]]
"""Places of texts among those given, and features of them, a row each."""


class Batching(Protocol):
    """A way to put texts together; places need not be in order."""

    def __call__(
        self, model: SparseEncoder, texts: Sequence[str], side: str, prompt: str | None
    ) -> Iterator[Batch]: ...


def of_one_length(
    model: SparseEncoder, texts: Sequence[str], side: str, prompt: str | None
) -> Iterator[Batch]:
    """Batches without padding, for a CPU."""
    import torch

    features = [model.preprocess([text], task=side, prompt=prompt) for text in texts]
    alike: dict[Hashable, list[int]] = {}
    for place, each in enumerate(features):
        alike.setdefault(_form(each, place), []).append(place)
    for places in alike.values():
        size = min(max(BATCH_TOKENS // _length(features[places[0]]), 1), BATCH_TEXTS)
        for start in range(0, len(places), size):
            rows = [features[place] for place in places[start : start + size]]
            joined = {
                key: torch.cat([row[key] for row in rows])
                if isinstance(value, torch.Tensor) and len(rows) > 1
                else value
                for key, value in rows[0].items()
            }
            yield places[start : start + size], joined


def padded(
    model: SparseEncoder,
    texts: Sequence[str],
    side: str,
    prompt: str | None,
    *,
    times: int = GPU_TIMES,
) -> Iterator[Batch]:
    """Batches of consecutive texts, padded to the longest, on the model's device.

    Args:
        texts: longest first, so that a batch holds texts of nearly one length.
        times: how much larger batches are than those of a CPU.
    """
    most = BATCH_TEXTS * times
    start, size = 0, most
    while start < len(texts):
        features = model.preprocess(list(texts[start : start + size]), task=side, prompt=prompt)
        fits = max(BATCH_TOKENS * times // _length(features), 1)
        if fits < min(size, len(texts) - start):
            size = fits
            continue  # the texts that come are no longer than these
        yield (
            list(range(start, min(start + size, len(texts)))),
            {
                key: value.to(model.device) if hasattr(value, "to") else value
                for key, value in features.items()
            },
        )
        start += size
        size = min(fits, most)


def _form(features: dict[str, Any], place: int) -> Hashable:
    """Equal for texts whose features can be joined; of one text alone where none can."""
    import torch

    form: list[Hashable] = []
    for key, value in features.items():
        if isinstance(value, torch.Tensor) and value.ndim == 2 and value.shape[0] == 1:
            form += [key, value.shape[1]]
        elif isinstance(value, str | int):
            form += [key, value]
        else:
            return place
    return tuple(form)


def _length(features: dict[str, Any]) -> int:
    ids = features.get("input_ids")
    return max(ids.shape[-1], 1) if ids is not None else 1
