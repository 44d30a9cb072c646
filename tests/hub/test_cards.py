"""Cards of indexes: YAML that can be read, figures, and no paths of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from lsr.hub.cards import WRITTEN, index_card
from lsr.index.snapshots.snapshots import Snapshots
from lsr.index.storage.manifest import Manifest
from lsr.types import EncoderIdentity


def test_the_card_of_an_index(built: Path) -> None:
    with Snapshots(built).published() as (_, listing):
        manifest = Manifest.read(built)
        dense = EncoderIdentity("dense", "owner/dense", "0", {"dimension": 384})
        manifest = replace(manifest, dense=dense, source="/home/me/birds", passages={"tokens": 9})
        card = index_card(manifest, listing, "owner/birds", ["/home/me/model"])
    _, front, text = card.split("---\n", 2)
    content = yaml.safe_load(front)
    assert content["library_name"] == "lsr"
    assert content["tags"] == ["lsr", "index", "learned-sparse-retrieval", "sparse", "dense"]
    assert set(content) == {"library_name", "tags"}
    assert WRITTEN in text
    assert "| documents | 7 |" in text
    assert "[owner/dense](https://huggingface.co/owner/dense), 384 dimensions" in text
    assert "`bm25` (k1 0.9, b 0.4, language english)" in text
    assert "| read from | `birds` |" in text
    assert "the model `model`" in text
    assert "/home" not in text
    assert 'lsr.open(lsr.pull("owner/birds", "birds").path)' in text
    assert "lsr pull owner/birds birds\nlsr search birds " in text
