"""A notebook in a real kernel: what cells show, with bars and a running event loop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="the package nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="the package nbclient is not installed")
pytest.importorskip("ipykernel", reason="the package ipykernel is not installed")

CELLS = [
    'import lsr, pandas as pd\nframe = pd.DataFrame({"doc_id": ["a"], "text": ["<b>Keys</b>"]})',
    'index = lsr.build(frame, "my-index", sparse="bm25", progress=True)\nindex',
    'index.search("keys")',
    'await index.asearch("keys", k=1)',
    'index.search_many(["keys"]).to_dataframe()',
]


@pytest.mark.filterwarnings("default")
def test_cells_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    )
    asyncio.run(client.async_execute())
    shown = [_shown(cell.outputs) for cell in notebook.cells]
    assert "text/html" not in shown[0]
    assert "1 document<br>sparse bm25" in shown[1]["text/html"]
    assert shown[1]["text/plain"] == "Collection('my-index', 1 document, sparse bm25)"
    told = json.dumps([cell.outputs for cell in notebook.cells[1:2]])
    assert "reading documents" in told
    assert "&lt;b&gt;<mark>Keys</mark>&lt;/b&gt;" in shown[2]["text/html"]
    assert shown[3]["text/html"] == shown[2]["text/html"]
    assert "dataframe" in shown[4]["text/html"]


def _shown(outputs: list[Any]) -> dict[str, str]:
    """The result of a cell, by kind."""
    return next((dict(out.data) for out in outputs if out.output_type == "execute_result"), {})
