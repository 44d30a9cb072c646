"""`Guard`: in front of every route, the one place where requests are refused before they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsr.service.limits.admission import Admission, overloaded
from lsr.service.limits.bodies import BodyRules, drained, has_body, whole
from lsr.service.limits.deadline import Deadline
from lsr.service.limits.rate_limit import RateLimit
from lsr.service.problems import Refusal
from lsr.service.security.authenticator import Authenticator, is_same_origin
from lsr.service.security.grant import EVERYTHING, Grant
from lsr.service.security.route_rules import UNKNOWN, Rule, rule_of

__all__ = ["Checks", "Guard"]

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Checks:
    """Questions of a guard, in this order.

    Attributes:
        rate: by key, or by address where there are no keys.
        seconds: a request's time by kind; None for no end.
        origins: of other sites whose pages may call.
        is_route: whether the application has a route for a request.
    """

    authenticator: Authenticator
    rate: RateLimit
    bodies: BodyRules
    admission: Admission
    seconds: Mapping[str, float | None]
    origins: frozenset[str]
    is_route: Callable[[Scope], bool]


class Guard:
    """Finds the rule of a request, and lets it in or not.

    It puts a `Grant` and a `Deadline` into the request's state. Where a key has a filter, no good
    answer leaves a route that did not ask for it.
    """

    def __init__(self, app: ASGIApp, checks: Checks) -> None:
        self._app = app
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = rule_of(scope["method"], scope["path"])
        if found is None and not self._checks.is_route(scope):
            await self._app(scope, receive, send)
            return
        rule, parts = found or (UNKNOWN, {})
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            grant = self._let_in(rule, parts.get("collection"), headers, scope)
            given = await self._body(rule, headers, scope, receive)
        except Refusal as refusal:
            await _answer(refusal, rule, headers, scope, receive, send)
            return
        if given is None:
            return
        sending = _checked(grant, send) if grant.filter is not None else send
        await self._run(rule, headers, scope, given, sending)

    def _let_in(
        self, rule: Rule, collection: str | None, headers: Mapping[str, str], scope: Scope
    ) -> Grant:
        """The grant of a request, which is in its state from then on. Raises Refusal."""
        checks, state, method = self._checks, scope["state"], scope["method"]
        state["rule"] = rule.template
        state["deadline"] = Deadline(checks.seconds.get(rule.kind))
        if state.get("crowded") and rule.kind != "health":
            raise overloaded()
        if rule.scope is None:
            return EVERYTHING
        grant = checks.authenticator.grant(headers, method).for_request()
        state["grant"] = grant
        state["key_name"] = grant.name
        if rule.kind != "health":
            checks.rate.check(grant.name or (scope.get("client") or ("",))[0])
        if method in _CHANGING and "authorization" not in headers and "x-api-key" not in headers:
            self._check_origin(headers, method)
        if not grant.may(rule.scope):
            raise Refusal(
                403,
                "forbidden",
                f"{method} {rule.path} needs a key of scope {rule.scope}, and this one's is "
                f"{grant.scope}; use another key",
            )
        if grant.is_limited:
            _check_limited(grant, rule, collection, scope)
        return grant

    def _check_origin(self, headers: Mapping[str, str], method: str) -> None:
        """A page of another site must not change anything with what a browser adds by itself."""
        foreign = "origin" in headers or "sec-fetch-site" in headers
        if foreign and not is_same_origin(headers, method):
            if headers.get("origin") in self._checks.origins or "*" in self._checks.origins:
                return
            detail = "pages of other sites may not do this; allow theirs by --cors, or send a key"
            raise Refusal(403, "forbidden", detail)

    async def _body(
        self, rule: Rule, headers: Mapping[str, str], scope: Scope, receive: Receive
    ) -> Receive | None:
        """The body, read unless it is a stream: half of one must not keep a place in a gate.

        None when the client left. Raises Refusal.
        """
        if not has_body(headers):
            return receive
        bodies = self._checks.bodies
        limit = bodies.check(rule.body, headers, scope["method"], rule.path)
        return receive if limit is None else await whole(bodies.counted(receive, limit))

    async def _run(
        self,
        rule: Rule,
        headers: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        gate = self._checks.admission.gate(rule.kind)
        if gate is None:
            await self._app(scope, receive, send)
            return
        try:
            is_in = await gate.enter(scope["state"]["deadline"])
        except Refusal as refusal:
            await _answer(refusal, rule, headers, scope, receive, send)
            return
        if is_in:
            try:
                await self._app(scope, receive, send)
            finally:
                gate.leave()


def _check_limited(grant: Grant, rule: Rule, collection: str | None, scope: Scope) -> None:
    if rule.limited == "refused" and (grant.filter is not None or collection is None):
        detail = f"{rule.path} is not for keys that are limited to some collections or documents"
        raise Refusal(403, "forbidden", detail)
    if rule.limited == "harmless":
        grant.asked = True
    if collection is None:
        return
    if not grant.allows(collection):
        raise Refusal(403, "forbidden", f"this key is not for collection {collection[:64]!r}")
    # what was checked is what is asked: an alias may be set anew before the route reads it
    real = grant.real_name(collection)
    if real != collection:
        front = rule.path.partition("{collection}")[0]
        scope["path"] = front + real + scope["path"][len(front) + len(collection) :]


def _checked(grant: Grant, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 300 and not grant.asked:
            raise RuntimeError("a route answered without asking for the filter of the key")
        await send(message)

    return sending


async def _answer(
    refusal: Refusal,
    rule: Rule,
    headers: Mapping[str, str],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    response: Response = refusal.response(scope["path"])
    wants_sign_in = rule.is_page and not scope["path"].endswith("/results")
    if refusal.status_code == 401 and wants_sign_in and scope["method"] == "GET":
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        response = RedirectResponse(f"/sign-in?next={quote(target, safe='')}", 303)
    is_over = not has_body(headers) or ("expect" not in headers and await drained(receive))
    if scope["state"].get("crowded") or not is_over:
        response.headers["Connection"] = "close"
    await response(scope, receive, send)
