"""Answers of a service as the records of a local search, so that one code prints both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsr.encoders.analysis import Analyzer
from lsr.errors import InputError, ServiceError

if TYPE_CHECKING:
    from lsr.client.answers import SearchAnswer
    from lsr.client.resources import CollectionInfo
    from lsr.retrieval.answers.answer import Answer

__all__ = ["local_answer", "remote_analyzer"]


def remote_analyzer(info: CollectionInfo) -> Analyzer:
    """The analyzer of a service's collection: of the language of its words, or of English.

    Raises:
        ServiceError: this version does not know its language.
    """
    model = info.models.get("sparse")
    language = model.parameters.get("language") if model else None
    try:
        return Analyzer() if language is None else Analyzer(str(language))
    except InputError as error:
        raise ServiceError(f"{error}; use this version's lsr with the service") from error


def local_answer(text: str, answer: SearchAnswer) -> Answer:
    """A service's answer as one of a local search.

    Raises:
        ServiceError: a part of it is not as this version knows it.
    """
    from pydantic import TypeAdapter, ValidationError

    from lsr.retrieval.answer import Collapsed, FacetCounts, FoundPassage, Hit, PrfReport
    from lsr.retrieval.answers.answer import Answer
    from lsr.retrieval.explanation import Explanation
    from lsr.retrieval.hybrid import Notice
    from lsr.retrieval.plan import SearchPlan
    from lsr.types import Document

    explanations, facets = TypeAdapter(Explanation), TypeAdapter(FacetCounts)
    try:
        hits = tuple(
            Hit(
                Document(hit.doc_id, hit.text or "", hit.title or "", dict(hit.metadata or {})),
                hit.score,
                explanations.validate_python(hit.explanation.raw) if hit.explanation else None,
                Collapsed(hit.collapsed.value, hit.collapsed.n_hits) if hit.collapsed else None,
                tuple(FoundPassage(**vars(passage)) for passage in hit.passages),
            )
            for hit in answer.hits
        )
        plan = TypeAdapter(SearchPlan).validate_python(answer.plan)
        return Answer(
            text=text,
            mode=plan.mode or "sparse",
            hits=hits,
            total=answer.total,
            plan=plan,
            generation=answer.generation,
            prf=TypeAdapter(PrfReport).validate_python(answer.prf.raw),
            warnings=tuple(Notice(each.code, each.detail) for each in answer.warnings),
            took_ms=dict(answer.took_ms),
            n_matches=answer.n_matches,
            facets=tuple(facets.validate_python(each.raw) for each in answer.facets),
        )
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise ServiceError(
            f"the service's answer is of another version ({place}: {found['msg'].lower()}); use "
            "this version's lsr with it"
        ) from error
