"""`RULES`: of every route who may use it, how much of it runs at once, and what its body may be.

A route that is not listed is for unlimited keys of scope admin alone, and a test names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from lsr.service.security.grant import Scope

__all__ = ["RULES", "UNKNOWN", "Kind", "Rule", "rule_of"]

Kind = Literal["health", "light", "search", "write", "heavy"]
Body = Literal["none", "json", "bulk", "tar", "form"]
Limited = Literal["applied", "harmless", "refused"]


@dataclass(frozen=True)
class Rule:
    """The declaration of a route.

    Attributes:
        methods: space between them. HEAD goes with GET.
        path: the route's template.
        scope: what a key must allow; None for a route that needs no key.
        kind: which cap on requests in flight it counts for.
        body: what its body may be: `bulk` is JSON or a stream of JSON lines.
        limited: what keys for some collections or documents find here. `applied`: the route
            itself asks the grant; `harmless`: it says nothing that they may not know;
            `refused`: it is not for them.
        is_page: whether people are led to the sign-in form.
    """

    methods: str
    path: str
    scope: Scope | None
    kind: Kind = "light"
    body: Body = "none"
    limited: Limited = "refused"
    is_page: bool = False
    pattern: re.Pattern[str] = field(init=False, repr=False)
    template: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", self.path.replace(":path}", "}"))
        pattern = re.sub(r"\\\{(\w+):path\\\}", r"(?P<\1>.*)", re.escape(self.path))
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
        object.__setattr__(self, "pattern", re.compile(pattern, re.DOTALL))


_ONE = "/v1/collections/{collection}"
_DOCUMENT = f"{_ONE}/documents/{{doc_id:path}}"

RULES: tuple[Rule, ...] = (
    Rule("POST", f"{_ONE}/search", "read", "search", "json", "applied"),
    Rule("POST", f"{_ONE}/msearch", "read", "search", "json", "applied"),
    Rule("POST", f"{_ONE}/explain", "read", "search", "json", "applied"),
    Rule("POST", f"{_ONE}/encode", "read", "search", "json", "harmless"),
    Rule("GET", f"{_ONE}/suggest", "read", "search", limited="applied"),
    Rule("POST", f"{_ONE}/documents/delete", "write", "write", "json", "applied"),
    Rule("POST", f"{_ONE}/documents", "write", "write", "bulk", "applied"),
    Rule("GET", f"{_ONE}/documents", "read", limited="applied"),
    Rule("GET", f"{_ONE}/export", "read", "heavy", limited="applied"),
    Rule("GET", _DOCUMENT, "read", limited="applied"),
    Rule("PUT PATCH", _DOCUMENT, "write", "write", "json", "applied"),
    Rule("DELETE", _DOCUMENT, "write", "write", limited="applied"),
    Rule("GET", _ONE, "read", limited="applied"),
    Rule("PUT", _ONE, "admin", "heavy", "json"),
    Rule("DELETE", _ONE, "admin", "heavy"),
    Rule("POST", f"{_ONE}/merge", "admin", "heavy", "json"),
    Rule("POST", f"{_ONE}/rebuild", "admin", "heavy", "json"),
    Rule("POST", f"{_ONE}/calibrate", "admin", "heavy", "json"),
    Rule("POST", f"{_ONE}/publish", "admin", "heavy", "json"),
    Rule("POST", f"{_ONE}/restore", "admin", "heavy", "json"),
    Rule("PUT", f"{_ONE}/restore", "admin", "heavy", "tar"),
    Rule("GET", f"{_ONE}/snapshots", "admin"),
    Rule("POST", f"{_ONE}/snapshots", "admin", "heavy", "json"),
    Rule("GET", f"{_ONE}/snapshots/{{snapshot}}", "admin", "heavy"),
    Rule("DELETE", f"{_ONE}/snapshots/{{snapshot}}", "admin", "heavy"),
    Rule("POST", f"{_ONE}/snapshots/{{snapshot}}/verify", "admin", "heavy", "json"),
    Rule("GET", "/v1/collections", "read", limited="applied"),
    Rule("GET", "/v1/aliases", "read"),
    Rule("POST", "/v1/aliases", "admin", "write", "json"),
    Rule("PUT", "/v1/aliases/{alias}", "admin", "write", "json"),
    Rule("DELETE", "/v1/aliases/{alias}", "admin", "write"),
    Rule("GET", "/v1/tasks", "read"),
    Rule("GET", "/v1/tasks/{task_id}", "read"),
    Rule("DELETE", "/v1/tasks/{task_id}", "admin", "write"),
    Rule("GET", "/v1/keys", "admin"),
    Rule("POST", "/v1/keys", "admin", "write", "json"),
    Rule("DELETE", "/v1/keys/{key_id}", "admin", "write"),
    Rule("GET", "/livez", None, "health"),
    Rule("GET", "/readyz", None, "health"),
    Rule("GET", "/metrics", "read", "health"),
    Rule("GET", "/collections", "read", limited="applied", is_page=True),
    Rule("GET", "/c/{collection}/about", "read", limited="applied", is_page=True),
    Rule("GET", "/c/{collection}/compare", "read", "search", limited="applied", is_page=True),
    Rule("GET", "/c/{collection}/results", "read", "search", limited="applied", is_page=True),
    Rule("GET", "/c/{collection}/documents/{doc_id:path}", "read", limited="applied", is_page=True),
    Rule("GET", "/c/{collection}", "read", "search", limited="applied", is_page=True),
    Rule("GET", "/", "read", "search", limited="applied", is_page=True),
    Rule("GET", "/sign-in", None),
    Rule("POST", "/sign-in", None, body="form"),
    Rule("POST", "/sign-out", None, body="form"),
    Rule("GET", "/static/{path:path}", None),
    Rule("GET", "/static-offline-docs/{path:path}", None),
    Rule("GET", "/docs", None),
    Rule("GET", "/docs/oauth2-redirect", None),
    Rule("GET", "/openapi.json", None),
)
"""In the order in which they are tried."""

UNKNOWN = Rule("", "other", "admin", "heavy", "bulk")
"""The rule of a route that has none of its own."""


def _by_method() -> dict[str, tuple[Rule, ...]]:
    methods = {method for rule in RULES for method in rule.methods.split()}
    return {
        method: tuple(rule for rule in RULES if method in rule.methods.split())
        for method in methods
    }


_BY_METHOD = _by_method()


def rule_of(method: str, path: str) -> tuple[Rule, dict[str, str]] | None:
    """The rule of a request, and the parts of its path by name; None where none is listed."""
    for rule in _BY_METHOD.get(method, ()):
        found = rule.pattern.fullmatch(path)
        if found is not None:
            return rule, found.groupdict()
    return None
