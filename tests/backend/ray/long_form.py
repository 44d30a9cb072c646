"""Nodes that are lost under clients, and come back. Run by `test_on_a_cluster.py`."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.scale.ray_nodes import Nodes
from lsr.backend.ray.tasks import RayTasks
from lsr.backend.sharded_collection import shard_of
from lsr.errors import ShardsMissingError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import plan_from
from tests.backend.ray.collections import PARTIAL, check_answers, is_whole, on_ray, until
from tests.backend.test_answers import PLANS, QUERIES, told

SECONDS = 30


def test_a_node_is_lost_under_clients(nodes: Nodes, folder: Path, one: CollectionReader) -> None:
    """None of their searches fails, and none is answered otherwise than by one index."""
    plans = [plan_from(given) for given in PLANS]
    expected = {
        (text, place): told(one.search(text, plan=plan))
        for text in QUERIES
        for place, plan in enumerate(plans)
    }
    end = threading.Event()

    with on_ray(folder, 2) as found:

        def client(_: int) -> int:
            n = 0
            while not end.is_set():
                for (text, place), answer in expected.items():
                    assert told(found.search(text, plan=plans[place])) == answer
                    n += 1
            return n

        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(client, number) for number in range(2)]
            time.sleep(SECONDS / 6)
            nodes.kill()
            time.sleep(SECONDS / 3)
            nodes.add()
            time.sleep(SECONDS / 2)
            end.set()
            assert sum(each.result() for each in done) > 100


def test_shards_without_a_node_and_with_one_again(
    nodes: Nodes, folder: Path, one: CollectionReader
) -> None:
    until(lambda: nodes.n_alive() == 2)
    with on_ray(folder, 1) as found, on_ray(folder, 1):  # both, so that there is no room elsewhere
        check_answers(found, one)
        nodes.kill()
        until(lambda: not is_whole(found))
        with pytest.raises(ShardsMissingError, match="1 of 2 shards did not answer"):
            found.search("heron")
        answer = found.search("heron river", k=70, plan=PARTIAL)
        assert answer.shards is not None
        assert (answer.shards.total, answer.shards.ok) == (2, 1)
        assert {shard_of(hit.document.doc_id, 2) for hit in answer.hits} in ({0}, {1})
        assert [notice.code for notice in answer.warnings] == ["shards_missing"]
        nodes.add()
        until(lambda: is_whole(found))
        check_answers(found, one)


def slow(folder: Path, number: int) -> None:
    (folder / f"{number}-begun").touch()
    time.sleep(2 if number else 0.2)
    (folder / f"{number}-done").touch()


def test_an_interrupt_cancels_what_is_left(nodes: Nodes, tmp_path: Path) -> None:
    def interrupting(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RayTasks(nodes.address).map(slow, [(tmp_path, n) for n in range(12)], interrupting)
    time.sleep(4)
    assert [path.name for path in tmp_path.glob("*-done")] == ["0-done"]
