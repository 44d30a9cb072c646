"""Memory within a number of bytes: what is kept, and what goes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lsr.bounded_memory import BoundedMemory


def test_what_was_used_longest_ago_goes_first() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(30)
    for number, key in enumerate("abc"):
        memory.put(key, number, 10)
    assert memory.get("a") == 0
    memory.put("d", 3, 10)
    assert memory.get("b") is None
    assert [memory.get(key) for key in "acd"] == [0, 2, 3]
    assert (len(memory), memory.n_bytes) == (3, 30)


def test_bytes_are_those_of_what_is_kept() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(30)
    memory.put("a", 1, 10)
    memory.put("a", 2, 20)
    assert (memory.get("a"), memory.n_bytes) == (2, 20)
    memory.put("large", 3, 31)
    assert memory.get("large") is None
    memory.put("b", 4, 30)
    assert (memory.get("a"), memory.get("b"), memory.n_bytes) == (None, 4, 30)


def test_threads_share_it() -> None:
    memory: BoundedMemory[int, int] = BoundedMemory(50)

    def use(first: int) -> None:
        for key in range(first, first + 2_000):
            memory.put(key, key, 1)
            assert memory.get(key % 70) in (None, key % 70)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(memory) == memory.n_bytes == 50


def test_several_are_asked_for_at_once() -> None:
    memory: BoundedMemory[int, str] = BoundedMemory(3)
    for key in (1, 2, 3):
        memory.put(key, f"v{key}", 1)
    assert memory.several([2, 9, 1, 2]) == ["v2", None, "v1", "v2"]
    memory.put(4, "v4", 1)
    assert memory.several([1, 2, 3, 4]) == ["v1", "v2", None, "v4"]
