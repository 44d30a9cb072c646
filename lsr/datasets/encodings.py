"""Text of bytes whose encoding nobody says: UTF-8, UTF-16 with or without a mark, or detected."""

from __future__ import annotations

import codecs
import re

__all__ = ["decoded"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 32_768  # bytes that the detector looks at; it takes a second for a megabyte
_MOST_FOREIGN = 0.2  # share of bytes above 127 in text of an alphabet that ASCII mostly covers
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TYPOGRAPHY = frozenset("‘’‚“”„†‡•…–—€™«»°§©®·±×¿¡´¨ \u00ad")


def decoded(
    data: bytes, encoding: str | None = None, declared: str | None = None
) -> tuple[str, str | None]:
    """The text, and the encoding where it was guessed (None: it is certain).

    `encoding` is obeyed; `declared` is what the file says of itself, tried after UTF-8. Without
    either, text that is mostly ASCII is tried as cp1252, which holds Latin-1; the rest is left to
    charset-normalizer where that is installed.

    Raises:
        ValueError: says why it is not text.
    """
    if encoding is not None:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), None
        except UnicodeError as error:
            raise ValueError(f"is not {encoding}") from error
    for mark, name in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(name), None
            except UnicodeError as error:
                raise ValueError(f"starts as {name} and goes on as something else") from error
    if wide := _wide(data):
        return wide
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError:
        pass
    if declared is not None:
        try:
            return data.decode(declared), None
        except (LookupError, UnicodeError):
            pass
    return _western(data) or _detected(data)


def _wide(data: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark: zeros in one half of the bytes only, and no controls."""
    if len(data) < 4 or len(data) % 2 or b"\0" not in data:
        return None
    sample = data[: 2 * _SAMPLE]
    zeros = (sample[::2].count(0), sample[1::2].count(0))
    if min(zeros) * 20 > max(zeros):
        return None
    name = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        text = data.decode(name)
    except UnicodeError:
        return None
    # a stray zero in ASCII would make rare signs of its neighbours: one script's blanks are needed
    likely = max(zeros) * 50 >= len(sample) // 2
    return (text, name) if likely and not _CONTROL.search(text) else None


def _western(data: bytes) -> tuple[str, str] | None:
    """cp1252 where a few letters among ASCII are accented."""
    foreign = sum(byte > 127 for byte in data[: 2 * _SAMPLE])
    if foreign > _MOST_FOREIGN * min(len(data), 2 * _SAMPLE):
        return None
    try:
        text = data.decode("cp1252")
    except UnicodeError:
        return None
    if _CONTROL.search(text):
        return None
    beyond = {character for character in text if ord(character) > 127}
    plausible = all(character.isalpha() or character in _TYPOGRAPHY for character in beyond)
    return (text, "cp1252") if plausible else None


def _detected(data: bytes) -> tuple[str, str]:
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise ValueError("is not UTF-8, and no detector is installed") from error
    best = from_bytes(data[:_SAMPLE]).best()
    if best is None:
        raise ValueError("is not text")
    try:
        return data.decode(best.encoding), best.encoding
    except UnicodeError as error:
        raise ValueError(f"is not UTF-8, and {best.encoding} only in part") from error
