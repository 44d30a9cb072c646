"""A learned sparse model in the layouts of others: OpenSearch's, and sentence-transformers'.

OpenSearch's doc-only models are a Hugging Face masked language model in the folder itself, with
`idf.json` (token to query weight) beside it; the files of a `Router` make the same folder load in
sentence-transformers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.query_table import QueryTable
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.encoders.model_code import settle_code
from lsr.errors import InputError
from lsr.training.export.folder import publishing

__all__ = ["export_opensearch", "export_sentence_transformers"]

_MODULES = "sentence_transformers.sparse_encoder.modules"
_TYPES = {
    "query_0_SparseStaticEmbedding": f"{_MODULES}.sparse_static_embedding.SparseStaticEmbedding",
    "": "sentence_transformers.base.modules.transformer.Transformer",
    "document_1_SpladePooling": f"{_MODULES}.splade_pooling.SpladePooling",
}
_POOLING = "document_1_SpladePooling"
_TABLE = "query_0_SparseStaticEmbedding"


def export_sentence_transformers(
    model: str, folder: Path, *, trust_remote_code: bool = False
) -> Path:
    """Save a model as sentence-transformers saves a `SparseEncoder`.

    Args:
        trust_remote_code: run the code that the model brings along; it is copied too.

    Raises:
        InputError: there is no such model, or the place is taken by something else.
        StorageError: the folder cannot be written.
    """
    source = ModelFolder.open(model)
    encoder = TorchNetwork(source, "fp32", trust_remote_code=trust_remote_code).encoder
    with publishing(folder) as staging:
        encoder.save_pretrained(str(staging))
        settle_code(staging)
        if source.defaults != SearchDefaults():
            source.defaults.write(staging)
    return folder


def export_opensearch(model: str, folder: Path, *, trust_remote_code: bool = False) -> Path:
    """Save an inference-free model in OpenSearch's layout.

    The masked language model, its tokenizer and `idf.json` lie in the folder itself. The files
    that sentence-transformers needs besides lie in folders of their own.

    Args:
        trust_remote_code: run the code that the model brings along; it is copied too.

    Raises:
        InputError: there is no such model, it has no query table or is no masked language model
            with SPLADE's pooling, or the place is taken by something else.
        StorageError: the folder cannot be written.
    """
    source = ModelFolder.open(model)
    table = QueryTable.open(source)
    encoder = TorchNetwork(source, "fp32", trust_remote_code=trust_remote_code).encoder
    routes: Any = getattr(encoder[0], "sub_modules", {})
    modules = list(routes["document"]) if "document" in routes else []
    stock = (
        len(modules) == 2
        and isinstance(modules[0], Transformer)
        and modules[0].transformer_task == "fill-mask"
    )
    if not stock or type(modules[1]) is not SpladePooling:
        raise InputError(
            f"{model} is no masked language model with SPLADE's pooling for documents and a table "
            "for queries, which is what OpenSearch serves; export it to ONNX instead"
        )
    idf = {
        token: round(weight, 7)
        for token, weight in zip(table.vocabulary, table.weights.tolist(), strict=True)
        if weight > 0
    }
    with publishing(folder) as staging:
        transformer, pooling = modules
        for name in (_POOLING, _TABLE):
            (staging / name).mkdir()
        transformer.save(str(staging))
        settle_code(staging)
        pooling.save(str(staging / _POOLING))
        routes["query"][0].save(str(staging / _TABLE))
        _write(staging / "idf.json", idf)
        _write(
            staging / "router_config.json",
            {
                "types": _TYPES,
                "structure": {"query": [_TABLE], "document": ["", _POOLING]},
                "parameters": {"default_route": "document", "allow_empty_key": True},
            },
        )
        router = "sentence_transformers.base.modules.router.Router"
        _write(staging / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": router}])
        said = {
            "model_type": "SparseEncoder",
            "similarity_fn_name": "dot",
            "prompts": source.prompts,
        }
        _write(staging / "config_sentence_transformers.json", said)
    return folder


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
