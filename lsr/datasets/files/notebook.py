"""Jupyter notebooks: text and code of the cells, and the beginnings of textual outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lsr.datasets.files.content import Content, Extracted, Unreadable
from lsr.datasets.files.markdown import first_heading

__all__ = ["NOTEBOOK_SUFFIXES", "read_notebook"]

NOTEBOOK_SUFFIXES = (".ipynb",)
_MOST_OUTPUT = 2_000  # characters of one cell's output
_MOST_OUTPUTS = 20_000  # characters of all outputs of a notebook


def read_notebook(content: Content) -> list[Extracted]:
    """One text: cells with a blank line between, each code cell before its output.

    Outputs other than text are left out; long ones are cut, and that is told.

    Raises:
        Unreadable: it is no notebook.
    """
    try:
        notebook = json.loads(content.text())
        if "worksheets" in notebook:  # format 3
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        else:
            cells = notebook["cells"]
        pieces: list[str] = []
        headings: list[str] = []
        left = _MOST_OUTPUTS
        n_cut = 0
        for cell in cells:
            source = _joined(cell.get("source", cell.get("input", "")))
            pieces.append(source)
            if cell.get("cell_type") == "markdown":
                headings.append(source)
            output = "\n".join(filter(None, _outputs(cell)))
            shown = output[: min(_MOST_OUTPUT, left)]
            n_cut += len(shown) < len(output)
            left -= len(shown)
            pieces.append(shown)
        metadata = notebook.get("metadata", {})
        language = metadata.get("kernelspec", {}).get("language")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("is no notebook") from error
    if n_cut:
        reason = f"outputs are read up to {_MOST_OUTPUT:,} characters"
        content.left_out.append((f"{n_cut} outputs", reason))
    title = next(filter(None, map(first_heading, headings)), "")
    text = "\n\n".join(piece for piece in (each.strip("\n") for each in pieces) if piece)
    return [Extracted(text, title, {"language": language} if isinstance(language, str) else {})]


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell.get("outputs", ()):
        text = output.get("text", output.get("data", {}).get("text/plain", ""))
        yield _joined(text).strip("\n")


def _joined(lines: object) -> str:
    if isinstance(lines, list):
        return "".join(str(line) for line in lines)
    return lines if isinstance(lines, str) else ""
