"""Shards in copies: hedges, suspects, the lost, deadlines; on a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from lsr.backend.ray_options import RayOptions
from lsr.backend.replicated_shards import Patience, ReplicatedShards
from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    InputError,
    LsrError,
    ModelError,
    QueryError,
    ServiceError,
)

NEVER = float("inf")


@dataclass
class Scripted:
    """Copies whose answers take as long as a test says, and may be errors.

    Attributes:
        takes: seconds until a copy answers a method.
        pings: seconds until it answers a ping.
        errors: what a copy raises, pings too.
    """

    n_shards: int = 2
    n_copies: int = 2
    n_hosts: int = 1_000
    now: float = 0.0
    takes: dict[tuple[int, int], float] = field(default_factory=dict)
    pings: dict[tuple[int, int], float] = field(default_factory=dict)
    errors: dict[tuple[int, int], Exception] = field(default_factory=dict)
    asked: list[tuple[int, int, str]] = field(default_factory=list)
    is_closed: bool = False
    due: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def host(self, shard: int, copy: int) -> int:
        return (shard + copy) % self.n_hosts

    def ask(self, shard: int, copy: int, method: str, given: Sequence[Any]) -> int:
        self.asked.append((shard, copy, method))
        times = self.pings if method == "ping" else self.takes
        self.due.append(self.now + times.get((shard, copy), 0.001))
        return len(self.asked) - 1

    def ready(self, asked: Sequence[Any], n: int, seconds: float) -> Sequence[Any]:
        in_order = sorted(asked, key=lambda each: self.due[each])
        self.now = max(self.now, min(self.due[in_order[n - 1]], self.now + seconds))
        return [each for each in in_order[:n] if self.due[each] <= self.now]

    def take(self, asked: Any) -> Any:
        shard, copy, method = self.asked[asked]
        if (shard, copy) in self.errors:
            raise self.errors[shard, copy]
        return f"{method} by {shard}/{copy}"

    def close(self) -> None:
        self.is_closed = True

    def searches(self) -> list[tuple[int, int]]:
        return [(shard, copy) for shard, copy, method in self.asked if method == "search"]


def opened(copies: Scripted, **patience: float) -> ReplicatedShards:
    return ReplicatedShards(copies, Patience(**patience), copies.clock)


BOTH: dict[int, tuple[Any, ...]] = {0: (), 1: ()}


def test_copies_are_asked_in_turn() -> None:
    copies = Scripted()
    shards = opened(copies)
    for _ in range(4):
        called = shards.call("search", BOTH)
        assert set(called.answers) == {0, 1}
        assert not called.failures
    every = [(shard, copy) for shard in (0, 1) for copy in (0, 1)]
    assert sorted(copies.searches()) == sorted(every * 2)
    for _ in range(4):
        shards.call("search", {0: ()})
    assert {copy for shard, copy in copies.searches() if shard == 0} == {0, 1}
    assert shards.hedged == 0
    shards.close()
    assert copies.is_closed


def test_a_late_copy_is_hedged_and_asked_last_until_it_answers_a_ping() -> None:
    copies = Scripted(n_shards=1)
    shards = opened(copies)
    copies.takes[0, 0] = copies.pings[0, 0] = 3.0
    begin = copies.now
    answers = [shards.call("search", {0: ()}).answers[0] for _ in range(6)]
    assert answers == ["search by 0/1"] * 6
    assert shards.hedged == 1
    assert copies.now - begin == pytest.approx(0.25 + 6 * 0.001)
    assert copies.searches().count((0, 0)) == 1
    copies.takes.clear()
    copies.now += 3
    found = {shards.call("search", {0: ()}).answers[0] for _ in range(4)}
    assert found == {"search by 0/0", "search by 0/1"}


def test_neighbours_of_a_late_copy_are_asked_last() -> None:
    copies = Scripted(n_shards=4, n_hosts=2)
    shards = opened(copies)
    lost = [(shard, copy) for shard in range(4) for copy in (0, 1) if copies.host(shard, copy)]
    copies.takes = dict.fromkeys(lost, NEVER)
    copies.pings = dict.fromkeys(lost, NEVER)
    begin = copies.now
    for shard in (0, 0, 1, 1, 2, 2, 3, 3):
        assert shards.call("search", {shard: ()}).answers
    assert copies.now - begin < 0.3
    assert shards.hedged == 1


def test_copies_that_are_all_slow_are_waited_for() -> None:
    copies = Scripted()
    shards = opened(copies)
    copies.takes = {(shard, copy): 2.0 for shard in (0, 1) for copy in (0, 1)}
    for _ in range(3):
        assert set(shards.call("search", BOTH).answers) == {0, 1}
    copies.takes = dict.fromkeys(copies.takes, 11.0)
    called = shards.call("search", BOTH)
    assert "no answer in 10000 ms" in str(called.failures[1])
    assert set(called.failures) == {0, 1}


def test_a_lost_shard_fails_at_once_and_is_found_again() -> None:
    copies = Scripted()
    shards = opened(copies)
    gone = {(1, 0): ServiceError("its node died"), (1, 1): OSError("no route")}
    copies.errors.update(gone)
    for _ in range(20):
        begin = copies.now
        called = shards.call("search", BOTH)
        assert set(called.answers) == {0}
        assert copies.now - begin < 0.01
    assert len([each for each in copies.searches() if each[0] == 1]) == 2
    told = {f"none of its copies answers ({error})" for error in gone.values()}
    assert str(called.failures[1]) in told
    copies.errors.clear()
    copies.now += 60
    assert set(shards.call("search", BOTH).answers) == {0, 1}


def test_a_copy_that_does_not_answer_pings_either_is_lost() -> None:
    copies = Scripted(n_shards=1)
    shards = opened(copies)
    for place in ((0, 0), (0, 1)):
        copies.takes[place] = copies.pings[place] = NEVER
    assert "no answer in 10000 ms" in str(shards.call("search", {0: ()}).failures[0])
    begin = copies.now
    failures = [shards.call("search", {0: ()}).failures[0] for _ in range(10)]
    assert all("none of its copies answers (no answer in 1000 ms)" in str(e) for e in failures)
    assert copies.now - begin <= 0.251
    copies.takes.clear()
    copies.pings.clear()
    copies.now += 11
    assert shards.call("search", {0: ()}).answers


def test_a_copy_that_fails_is_followed_by_another() -> None:
    copies = Scripted(n_shards=1)
    shards = opened(copies)
    copies.errors[0, 0] = IndexCorruptError("the copy is damaged")
    begin = copies.now
    assert [shards.call("search", {0: ()}).answers[0] for _ in range(4)] == ["search by 0/1"] * 4
    assert copies.now - begin < 0.1
    assert shards.hedged == 0


@pytest.mark.parametrize("error", [ModelError("not finite"), RuntimeError("bad")])
def test_errors_of_the_work_are_no_loss(error: Exception) -> None:
    copies = Scripted()
    shards = opened(copies)
    copies.errors = {(1, copy): error for copy in (0, 1)}
    called = shards.call("search", BOTH)
    assert (set(called.answers), called.failures) == ({0}, {1: error})
    copies.errors.clear()
    assert set(shards.call("search", BOTH).answers) == {0, 1}
    copies.errors = {(1, copy): QueryError("empty") for copy in (0, 1)}
    with pytest.raises(QueryError, match="empty"):
        shards.call("search", BOTH)
    copies.errors = {(1, copy): KeyError("a mistake") for copy in (0, 1)}
    with pytest.raises(KeyError):
        shards.call("search", BOTH)


def test_start() -> None:
    copies = Scripted(pings={(0, 1): 5.0, (1, 0): 40.0, (1, 1): NEVER})
    shards = opened(copies)
    assert copies.now == pytest.approx(50.0)  # one of each after 40, then ten more
    assert [shards.call("search", {1: ()}).answers[1] for _ in "abc"] == ["search by 1/0"] * 3
    copies = Scripted(errors={(1, 0): IndexMissingError("gone"), (1, 1): IndexMissingError("gone")})
    copies.pings[0, 0] = copies.pings[0, 1] = 20.0
    with pytest.raises(IndexMissingError, match="gone"):
        opened(copies)
    assert copies.now < 1
    assert copies.is_closed
    copies = Scripted(pings={(0, 0): NEVER, (0, 1): NEVER})
    with pytest.raises(LsrError, match="no copy of shard 0 was open in 120 s; see whether"):
        opened(copies)


def test_values_out_of_range() -> None:
    with pytest.raises(InputError, match="hedge_ms is 0; it must be a number from"):
        Patience(hedge_ms=0)
    with pytest.raises(InputError, match="replicas is 0; it must be a whole number from 1 to 64"):
        RayOptions(replicas=0)
