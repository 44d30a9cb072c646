"""Texts put together for a network in torch: what its tokenizer makes of them, batch by batch.

A vector shall be a function of its text. Padding changes the order in which attention sums, so
batches on a CPU hold texts of one number of tokens; and on some processors, those of Intel with
AVX-512 among them, a matrix product sums a row in another order by how many rows stand beside it,
so there each text is a batch. On a GPU such batches would be too small.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SparseEncoder

__all__ = [
    "Batching",
    "of_one_length",
    "one_by_one",
    "padded",
    "places_alike",
    "rows_stand_alone",
]

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


def one_by_one(
    model: SparseEncoder, texts: Sequence[str], side: str, prompt: str | None
) -> Iterator[Batch]:
    """Each text by itself, for a CPU whose matrix products depend on the number of rows."""
    for place, text in enumerate(texts):
        yield [place], model.preprocess([text], task=side, prompt=prompt)


def places_alike(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of texts of one number of tokens, up to so many at once, the longest first.

    Args:
        lengths: tokens of each text; those of none are left out.
    """
    alike: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        alike.setdefault(length, []).append(place)
    for length in sorted(alike, reverse=True):
        places = alike[length] if length else []
        for start in range(0, len(places), most):
            yield places[start : start + most]


@cache
def rows_stand_alone(dtype: torch.dtype) -> bool:
    """Whether matrix products on this CPU give rows the same bits among any number of others.

    Tried once with numbers and sizes as networks have them.
    """
    import torch

    source = torch.Generator().manual_seed(0)
    for width, height in ((384, 384), (384, 1536), (1536, 384)):
        weight = torch.randn(height, width, generator=source).to(dtype)
        bias = torch.randn(height, generator=source).to(dtype)
        for length in (3, 9, 31, 57, 128):
            rows = torch.randn(16, length, width, generator=source).to(dtype)
            alone = torch.nn.functional.linear(rows[:1], weight, bias)[0]
            for texts in (2, 3, 7, 16):
                among = torch.nn.functional.linear(rows[:texts], weight, bias)[0]
                if not torch.equal(among, alone):
                    return False
    return True


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
