"""Requests to a service as a whole, and how their answers are read. Nothing here sends anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

from lsr.client.call import Call, Flow, RawAnswer, part, record
from lsr.client.collection_calls import json_call
from lsr.client.records import read_record
from lsr.client.resources import CollectionInfo, Key, Task
from lsr.client.search_request import Fields, Plan
from lsr.client.waiting import ended, task_call

__all__ = ["Passages", "ServiceCalls"]

Passages = bool | Mapping[str, int] | Any
"""Whether documents are split, or tokens, overlap and whole, or an `lsr.PassageSettings`."""


class ServiceCalls:
    """Requests to a service."""

    def ready(self) -> Call[bool]:
        """Whether the service is ready. Raises OverloadedError when it is not yet."""
        return Call("GET", "/readyz", lambda answer: answer.status == 200, repeatable=True)

    def collections(self) -> Call[list[CollectionInfo]]:
        """Descriptions of all collections; `error` says why one cannot be opened."""
        return Call(
            "GET",
            "/v1/collections",
            _collections,
            repeatable=True,
        )

    def create_collection(
        self,
        name: str,
        *,
        sparse: str | None = None,
        dense: str | None = None,
        dense_options: Mapping[str, object] | None = None,
        language: str | None = None,
        lexical_weight: float | None = None,
        passages: Passages | None = None,
        default_plan: Plan | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Call[CollectionInfo]:
        """Make an empty collection.

        Args:
            sparse: "bm25", or the name of a learned model; the service's default when left out.
            dense: a dense model, or None.
            dense_options: similarity, pooling, query_prompt, document_prompt, dimensions and
                max_tokens of that model, as far as they are not to be as it says.
            language: of BM25's words, or of the own words beside a learned model.
            lexical_weight: of a learned model: weight of the documents' own words.
            passages: whether long documents are split, or how: `tokens`, `overlap` and `whole`, or
                an `lsr.PassageSettings`.
            default_plan: how it is searched where a search does not say.
            fields: types that metadata fields must have: text, number, boolean or date.

        Raises:
            ExistsError: there is one of this name.
        """
        plan = default_plan
        if is_dataclass(plan) and not isinstance(plan, type):
            plan = asdict(plan)
        split = passages
        if is_dataclass(split) and not isinstance(split, type):
            split = asdict(split)
        given = {
            "sparse": sparse,
            "dense": dense,
            "dense_options": dict(dense_options) if dense_options is not None else None,
            "language": language,
            "lexical_weight": lexical_weight,
            "passages": split,
            "default_plan": plan,
            "fields": dict(fields) if fields is not None else None,
        }
        body = {key: value for key, value in given.items() if value is not None}
        return json_call("PUT", f"/v1/collections/{part(name)}", CollectionInfo, body)

    def delete_collection(self, name: str) -> Call[None]:
        """Delete a collection. Raises NotFoundError."""
        return Call("DELETE", f"/v1/collections/{part(name)}", _nothing)

    def aliases(self) -> Call[dict[str, str]]:
        """Collections by alias."""
        return Call("GET", "/v1/aliases", _aliases, repeatable=True)

    def set_alias(self, alias: str, collection: str) -> Call[dict[str, str]]:
        """Let an alias stand for a collection; the aliases after that."""
        call = json_call("PUT", f"/v1/aliases/{part(alias)}", _Aliases, {"collection": collection})
        return _as_aliases(call)

    def delete_alias(self, alias: str) -> Call[dict[str, str]]:
        """Remove an alias; the aliases after that. Raises NotFoundError."""
        return Call("DELETE", f"/v1/aliases/{part(alias)}", _aliases)

    def change_aliases(self, changes: Mapping[str, str | None]) -> Call[dict[str, str]]:
        """Set several aliases at once, all or none; None removes one."""
        actions = [{"alias": name, "collection": target} for name, target in changes.items()]
        return _as_aliases(json_call("POST", "/v1/aliases", _Aliases, {"actions": actions}))

    def tasks(self, collection: str | None = None, limit: int | None = None) -> Call[list[Task]]:
        """Tasks, the newest first."""
        return Call(
            "GET",
            "/v1/tasks",
            lambda answer: read_record(_Tasks, answer.json()).tasks,
            params={"collection": collection, "limit": limit},
            repeatable=True,
        )

    def task(self, task_id: str) -> Call[Task]:
        """The state of a task. Raises NotFoundError."""
        return task_call(task_id)

    def cancel(self, task_id: str) -> Call[Task]:
        """Cancel a task; one that is running ends a little later."""
        return Call("DELETE", f"/v1/tasks/{part(task_id)}", record(Task))

    def wait(self, task: Task, timeout: float | None = None) -> Flow[Task]:
        """Wait for the end of a task.

        Args:
            timeout: seconds to wait at most, or None.

        Raises:
            ServiceError: it has failed, or goes on after the timeout.
            TaskCancelledError: it was cancelled.
        """
        return ended(task, timeout)

    def keys(self) -> Call[list[Key]]:
        """All API keys, without their secrets; for admins."""
        return Call(
            "GET",
            "/v1/keys",
            lambda answer: read_record(_Keys, answer.json()).keys,
            repeatable=True,
        )

    def create_key(
        self,
        name: str,
        *,
        scope: Literal["read", "write", "admin"] = "read",
        collections: Sequence[str] | None = None,
        filter: Fields | None = None,  # noqa: A002
    ) -> Call[Key]:
        """Make an API key; `key` of the result is shown this once.

        Args:
            collections: names or aliases that it is limited to.
            filter: what every document must match that it reads or writes.
        """
        given: dict[str, Any] = {"name": name, "scope": scope}
        if collections is not None:
            given["collections"] = list(collections)
        if filter is not None:
            given["filter"] = filter
        return json_call("POST", "/v1/keys", Key, given)

    def delete_key(self, key_id: str) -> Call[Key]:
        """Revoke an API key, from the next request on. Raises NotFoundError."""
        return Call("DELETE", f"/v1/keys/{part(key_id)}", record(Key))


@dataclass(frozen=True)
class _Unusable:
    name: str
    detail: str


@dataclass(frozen=True)
class _Collections:
    collections: list[CollectionInfo]
    unusable: list[_Unusable] = field(default_factory=list)


@dataclass(frozen=True)
class _Aliases:
    aliases: dict[str, str]


@dataclass(frozen=True)
class _Tasks:
    tasks: list[Task]


@dataclass(frozen=True)
class _Keys:
    keys: list[Key]


def _nothing(answer: RawAnswer) -> None:
    """Read nothing."""


def _collections(answer: RawAnswer) -> list[CollectionInfo]:
    found = read_record(_Collections, answer.json())
    closed = [CollectionInfo(each.name, 0, 0, error=each.detail) for each in found.unusable]
    return sorted(found.collections + closed, key=lambda each: each.name)


def _aliases(answer: RawAnswer) -> dict[str, str]:
    return read_record(_Aliases, answer.json()).aliases


def _as_aliases(call: Call[_Aliases]) -> Call[dict[str, str]]:
    return Call(
        call.method,
        call.path,
        _aliases,
        headers=call.headers,
        content=call.content,
        repeatable=True,
    )
