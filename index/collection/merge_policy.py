"""Policy of merging segments: few and large search fast, many and small write fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lsr.errors import InputError
from lsr.index.storage.manifest import SegmentRecord
from lsr.options import check_options, option

__all__ = ["MergePolicy"]

MANY = 2**31 - 1


@dataclass(frozen=True)
class MergePolicy:
    """Tiers by size: one segment more than a tier holds merges these and all smaller ones.

    So a document is rewritten about once for each tier that it passes through. Sizes count the
    documents that are not deleted.

    Raises:
        InputError: a number is out of its range.
    """

    segments_per_tier: int = option(8, "segments of about one size, at most", low=1, high=MANY)
    first_tier: int = option(1_000, "documents, below which all are of one size", low=1, high=MANY)
    growth: int = option(8, "how many times larger segments of the next tier are", low=2, high=MANY)
    max_deleted: float = option(
        0.5, "largest share of deleted rows; a segment with more is rewritten", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_options(self, error=InputError)

    def tier(self, n_documents: int) -> int:
        """The tier of a segment of `n_documents` documents, from 0."""
        tier, most = 0, self.first_tier
        while n_documents > most:
            tier, most = tier + 1, most * self.growth
        return tier

    def chosen(self, segments: Sequence[SegmentRecord], n_new: int) -> list[SegmentRecord]:
        """The segments to merge with new documents into one, in their order.

        Args:
            segments: as they are; a segment without documents is never chosen.
            n_new: new documents, which need a segment anyway.
        """
        candidates = [segment for segment in segments if segment.n_documents]
        chosen = {
            segment.name
            for segment in candidates
            if segment.n_deleted > self.max_deleted * segment.n_rows
        }
        while True:
            rest = [segment for segment in candidates if segment.name not in chosen]
            n_merged = n_new + sum(each.n_documents for each in candidates if each not in rest)
            tiers = Counter(self.tier(segment.n_documents) for segment in rest)
            tiers[self.tier(n_merged)] += 1
            full = max((t for t, n in tiers.items() if n > self.segments_per_tier), default=-1)
            if full < 0:
                return [segment for segment in candidates if segment.name in chosen]
            chosen |= {each.name for each in rest if self.tier(each.n_documents) <= full}
