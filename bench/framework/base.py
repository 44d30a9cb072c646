"""The checkpoint that all methods start from: cut to fewer layers, with a head that copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentence_transformers.base.modules import Transformer
from transformers import AutoModelForMaskedLM, AutoTokenizer

from lsr.errors import InputError
from lsr.progress import Progress
from lsr.training.config.encoder import EncoderConfig, Table
from lsr.training.config.train import WarmStart
from lsr.training.models.checkpoint import Checkpoint, has_trained_head, loading
from lsr.training.models.sparse_encoder import make_model
from lsr.training.models.warm_start import warm_start

__all__ = ["prepared_base"]


def prepared_base(
    name: str, layers: int | None, texts: Sequence[str], folder: Path, progress: Progress
) -> Path | str:
    """A checkpoint with the first `layers` of another, and a masked-LM head.

    A head that the other lacks is started on `texts`, once for all methods. A checkpoint that
    needs neither stays where it is, and so does one without texts, on which each run starts it.

    Raises:
        InputError: it cannot be loaded, or has fewer layers.
    """
    base = Checkpoint.of(name)
    if layers is None and (not texts or has_trained_head(base)):
        return name
    if (folder / "config.json").exists():
        return folder
    with loading(name):
        config: dict[str, int] = {} if layers is None else {"num_hidden_layers": layers}
        model = AutoModelForMaskedLM.from_pretrained(base.place, **config, **base.options)
        uncut = AutoModelForMaskedLM.from_pretrained(base.place, **base.options)
        whole = uncut.config.num_hidden_layers
        tokenizer = AutoTokenizer.from_pretrained(base.place, **base.options)
    if layers is not None and layers > whole:
        raise InputError(f"--layers {layers}: the base {name} has {whole}; give as many or fewer")
    cut = folder.with_name(f"{folder.name}-cut")
    model.save_pretrained(cut)
    tokenizer.save_pretrained(cut)
    if has_trained_head(base):
        return cut.rename(folder)
    made = make_model(EncoderConfig(base=str(cut), query=Table(weights="ones")), None)
    network = next(
        module
        for module in made.modules()
        if isinstance(module, Transformer) and module.transformer_task == "fill-mask"
    )
    decoder = network.model.get_output_embeddings()
    warm_start(network, decoder, texts, WarmStart(), seed=0, progress=progress)
    tokenizer.save_pretrained(folder)
    network.model.save_pretrained(folder)  # config.json, which says that it is whole, among it
    return folder
