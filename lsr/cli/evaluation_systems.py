"""The systems of `lsr eval`, from its options; options that no system uses are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsr.encoders.dense import DEFAULT_DENSE_MODEL
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.errors import InputError
from lsr.evaluation.feedback_grid import FeedbackPoint
from lsr.evaluation.lucene import LuceneBm25
from lsr.evaluation.system_names import (
    SystemSpec,
    chosen_kinds,
    has_dense_feedback,
    is_learned,
    is_tuned,
    named_systems,
    needs_dense,
)

__all__ = ["DEFAULT_SYSTEMS", "systems_asked_for"]

DEFAULT_SYSTEMS = "bm25,learned"


def systems_asked_for(
    systems: str | None,
    sparse: Sequence[str],
    dense: Sequence[str],
    has_runs: bool,
    options: Mapping[str, object],
    points: Sequence[FeedbackPoint] = (),
) -> list[SystemSpec]:
    """Systems to be made; a model that is named is measured, whether its system is named or not.

    Args:
        systems: names as typed; None for the default, or, beside runs of files, for none.
        options: by name, without dashes; None or False where they were not given.
        points: settings that systems with dense feedback are measured with.

    Raises:
        InputError: there is no such system, or an option is of none of those asked for.
    """
    kinds: list[str] = []
    if systems is not None or not (has_runs or sparse or dense):
        kinds = chosen_kinds(DEFAULT_SYSTEMS if systems is None else systems)
    elif not has_runs:
        kinds = ["bm25"]
    if sparse and not any(is_learned(kind) for kind in kinds):
        kinds.append("learned")
    if dense and not any(needs_dense(kind) for kind in kinds):
        kinds.append("dense")
    _refuse_unused(kinds, options)
    return named_systems(kinds, sparse or [DEFAULT_MODEL], dense or [DEFAULT_DENSE_MODEL], points)


def _refuse_unused(kinds: Sequence[str], options: Mapping[str, object]) -> None:
    given = [
        name for name, value in options.items() if value not in (None, "") and value is not False
    ]
    ours = any(not is_learned(k) and k not in ("dense", "prf:dense", _LUCENE) for k in kinds)
    used = {
        "k1": ours or _LUCENE in kinds,
        "b": ours or _LUCENE in kinds,
        "language": ours or any(is_learned(kind) for kind in kinds),
        **dict.fromkeys(_OF_TUNED, any(is_tuned(kind) for kind in kinds)),
        **dict.fromkeys(_OF_FEEDBACK, any(has_dense_feedback(kind) for kind in kinds)),
        **dict.fromkeys(_OF_DENSE, any(needs_dense(kind) for kind in kinds)),
        "trust-remote-code": any(is_learned(kind) or needs_dense(kind) for kind in kinds),
    }
    learned = any(is_learned(kind) for kind in kinds)
    for name in given:
        if not used.get(name, learned):
            needed = next(
                (what for what, names in _OF.items() if name in names),
                "bm25" if name in ("k1", "b", "language") else "learned",
            )
            raise InputError(
                f"--{name} is of systems like {needed}, and there is none among "
                f"{', '.join(kinds) or 'those asked for'}; leave it out, or name one in --systems"
            )
    if "language" in given and _LUCENE in kinds:
        raise InputError(
            f"{_LUCENE} analyses English whatever --language says; leave one of the two out"
        )


_LUCENE = LuceneBm25.name
_OF_DENSE = (
    "dense-similarity",
    "dense-pooling",
    "dense-query-prompt",
    "dense-document-prompt",
    "dense-dimensions",
    "dense-max-tokens",
)
_OF_TUNED = ("tune-split", "tune-queries", "tune-sparse")
_OF_FEEDBACK = ("prf-depth", "prf-method", "prf-alpha", "choose-on")
_OF = {"tuned": _OF_TUNED, "dense": _OF_DENSE, "prf:both": _OF_FEEDBACK}
