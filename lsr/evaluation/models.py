"""The models of an evaluation: each is opened, and tried, before anything is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lsr.encoders.dense import open_dense_encoder
from lsr.encoders.learned.model_source import LearnedOptions
from lsr.encoders.lexical import words_language
from lsr.encoders.model_code import brings_code
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import BM25, coded_models, open_learned
from lsr.errors import InputError, UnavailableError
from lsr.types import EncoderIdentity

if TYPE_CHECKING:
    from lsr.encoders.dense_recipe import DenseOptions

__all__ = ["Models"]

_PROBE = "a text to try a model with"


class Models:
    """Opens models by name; dense ones stay open, as they learn nothing from a collection.

    Args:
        learned_options: how learned sparse models are used.
        dense_options: how dense models make vectors. Where either trusts models' own code, those
            that bring none are opened without that word.

    Attributes:
        unavailable: name of a model to what is not installed for it.
    """

    def __init__(
        self,
        learned_options: LearnedOptions | None = None,
        dense_options: DenseOptions | None = None,
    ) -> None:
        self.unavailable: dict[str, str] = {}
        self._options = learned_options
        self._dense_options = dense_options
        self._dense: dict[str, DenseEncoder] = {}
        self._identities: dict[tuple[str, str], EncoderIdentity] = {}

    def check(self, sparse: Sequence[str], dense: Sequence[str]) -> None:
        """Open each, and let each encode a few words.

        Raises:
            InputError: there is no such model, it is damaged, or it is of another kind; or code
                is trusted, and no model brings any.
        """
        if self._options is not None and self._options.trust_remote_code:
            coded_models([*sparse, *dense, self._options.query_model or BM25])
        for name in sparse:
            if name == BM25:
                raise InputError(
                    "--sparse names learned models; bm25 is a system, so write --systems bm25"
                )
            try:
                encoder = self.sparse(name)
                self._identities["sparse", name] = encoder.identity
                encoder.encode_documents([_PROBE])
            except UnavailableError as error:
                self.unavailable[name] = str(error)
        for name in dense:
            try:
                self._identities["dense", name] = self.dense(name).identity
            except UnavailableError as error:
                self.unavailable[name] = str(error)

    def sparse(self, name: str, language: str | None = None) -> Encoder:
        """A learned model that has seen no collection. Raises InputError as `open_learned`.

        Args:
            language: of the own words beside it, where it has any; None for what the model says.
        """
        options = self._options
        if options is not None and options.trust_remote_code:
            coded = any(map(brings_code, (name, options.query_model or BM25)))
            options = replace(options, trust_remote_code=coded)
        encoder = open_learned(name, options)
        if language is None or words_language(encoder) in (None, language):
            return encoder
        return open_learned(name, replace(options or LearnedOptions(), language=language))

    def dense(self, name: str) -> DenseEncoder:
        """A dense model. Raises as `open_dense_encoder`."""
        if name not in self._dense:
            options = self._dense_options
            if options is not None and options.trust_remote_code:
                options = replace(options, trust_remote_code=brings_code(name))
            self._dense[name] = open_dense_encoder(name, options=options)
        return self._dense[name]

    def identity(self, side: str, name: str) -> dict[str, object]:
        """All that decides a model's vectors, as plain values; of one that was checked.

        Args:
            side: sparse or dense.
        """
        identity = self._identities[side, name]
        return {"sha256": identity.sha256, **identity.parameters}
