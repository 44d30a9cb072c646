"""Parts of names that programs and catalogues have: `parseMetrics`, `HTTPServer`, `AB1234`."""

from __future__ import annotations

__all__ = ["MAX_PARTS", "parts_of"]

MAX_PARTS = 8
"""What has more is data, not a name."""


def parts_of(word: str) -> list[tuple[int, int]]:
    """Places of the parts of a word as it is written; none where it is in one piece.

    A part starts at a capital after a small letter, at the last capital of several before a small
    letter, and between letters and digits. Those of one character are left out, and so is a number
    that is left alone: `python3` has `python`, `x10` is in one piece.
    """
    if word.islower() or word.isupper() or (word[-1] == "s" and word[:-1].isupper()):
        if word.isalpha():
            return []
    elif word.isalpha() and not any(map(str.isupper, word[1:])):
        return []
    starts = [0]
    for at in range(1, len(word)):
        before, here = word[at - 1], word[at]
        if here.isdigit() != before.isdigit():
            starts.append(at)
        elif here.isupper() and not before.isdigit():
            follows = at + 1 < len(word) and word[at + 1].islower()
            if before.islower() or (before.isupper() and follows):
                starts.append(at)
    if not 1 < len(starts) <= MAX_PARTS:
        return []
    ends = [*starts[1:], len(word)]
    parts = [(start, end) for start, end in zip(starts, ends, strict=True) if end - start > 1]
    is_number = len(parts) == 1 and word[slice(*parts[0])].isdigit()
    return [] if is_number else parts
