"""Hard negatives and neighbour groups, by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.errors import InputError, StorageError
from lsr.retrieval.retriever import Ranking
from lsr.training.config.train import MiningConfig
from lsr.training.teachers.mining import Mined, mine, mine_once, neighbour_groups
from lsr.training.teachers.protocol import Rows, Scores, Teacher
from lsr.training.teachers.score_file import ScoreFile


class Table:
    """A teacher whose scores are given; documents that score 0 or less are not ranked."""

    def __init__(self, table: list[list[float]], name: str = "table") -> None:
        self.name = name
        self.identity = f"{name} {table}"
        self.table = np.array(table, np.float32)
        self.n_ranked = 0

    def prepare(self, queries: object, documents: object, progress: object) -> None: ...

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        return self.table[query_rows][:, document_rows]

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        self.n_ranked += len(query_rows)
        rows = np.full((len(query_rows), depth), -1, np.int32)
        scores = np.zeros((len(query_rows), depth), np.float32)
        for i, row in enumerate(query_rows):
            order = np.argsort(-self.table[row], kind="stable")
            order = order[self.table[row, order] > 0][:depth]
            rows[i, : len(order)] = order
            scores[i, : len(order)] = self.table[row, order]
        return Ranking(rows, scores)


DOCUMENTS = ["zero", "one", "two", "three", "four", "five"]


def mined(
    table: Sequence[Sequence[float]] | Sequence[Table],
    positives: list[int],
    *,
    queries: list[str] | None = None,
    documents: list[str] | None = None,
    seed: int = 0,
    weights: list[float] | None = None,
    **config: object,
) -> list[list[int]]:
    """Hard negatives of each query; by default all within the margin's reach."""
    teachers = [row for row in table if isinstance(row, Table)]
    teachers = teachers or [Table([list(row) for row in table if not isinstance(row, Table)])]
    options = {"per_query": 9, "margin": 0.0, **config}
    found = mine(
        teachers,
        queries or [f"query {i}" for i in range(len(positives))],
        documents or DOCUMENTS,
        np.array(positives),
        MiningConfig.model_validate(options),
        seed=seed,
        weights=weights,
    )
    assert found.indptr.dtype == np.int64
    assert found.rows.dtype == np.int32
    assert found.indptr[0] == 0
    assert found.indptr[-1] == len(found.rows)
    return [found.of(i).tolist() for i in range(len(positives))]


def test_the_table_is_a_teacher() -> None:
    assert isinstance(Table([[1]]), Teacher)


def test_best_ranked_first_without_the_positive() -> None:
    assert mined([[9, 5, 7, 0, 1, 8]], [0]) == [[5, 2, 1, 4]]
    assert mined([[9, 5, 7, 0, 1, 8]], [0], last_rank=2) == [[5, 2]]
    assert mined([[9, 5, 7, 0, 1, 8]], [0], first_rank=2, last_rank=3) == [[2, 1]]
    assert mined([[9, 5, 7, 0, 1, 8]], [0], first_rank=5) == [[]]


def test_the_margin() -> None:
    # the list runs from 1 to 11, so the scores are 1, .9, .8, .5 and 0; the positive's is .9
    table = [[10.0, 11.0, 9.0, 6.0, 1.0, 0.0]]
    assert mined(table, [0], margin=0.0) == [[2, 3, 4]], "what scores above the positive is out"
    assert mined(table, [0], margin=0.05) == [[2, 3, 4]]
    assert mined(table, [0], margin=0.15) == [[3, 4]]
    assert mined(table, [0], margin=0.45) == [[4]]
    assert mined(table, [0], margin=0.95) == [[]]
    assert mined(table, [-1], margin=0.95) == [[1, 0, 2, 3, 4]], "no positive, no margin"
    # of four, the list runs from 6 to 11, and the scores are 1, .8, .6 and 0. Ranks are counted
    # before the margin takes candidates away
    assert mined(table, [0], margin=0.15, first_rank=2, last_rank=3) == [[2, 3]]
    assert mined(table, [0], margin=0.25, first_rank=2, last_rank=3) == [[3]]


def test_a_positive_that_is_not_listed_has_a_score_all_the_same() -> None:
    # listed: 8, 4 and 2, so the positive's 1 becomes -1/6 and all score above it
    assert mined([[1, 8, 4, 2, 0, 0]], [0], last_rank=2) == [[]]
    assert mined([[0, 8, 4, 2, 0, 0]], [0]) == [[]]
    assert mined([[0, 0, 0, 0, 0, 0]], [0]) == [[]], "nothing is listed"


def test_all_positives_of_a_query_are_left_out() -> None:
    table = [[9, 8, 7, 6, 5, 4], [9, 8, 7, 6, 5, 4], [9, 8, 7, 6, 5, 4]]
    queries = ["which one", "another", "Which  one"]
    assert mined(table, [0, 0, 2], queries=queries) == [[1, 3, 4, 5], [1, 2, 3, 4, 5], [3, 4, 5]]
    assert mined(table, [0, 0, 2], queries=queries, last_rank=2) == [[1, 3], [1, 2], [3]]


def test_documents_of_equal_text_are_left_out() -> None:
    documents = ["A heron.", "rain", "a  HERON. ", "Rain", "snow", "hail"]
    assert mined([[9, 8, 7, 6, 5, 4]], [0], documents=documents) == [[1, 4, 5]]
    assert mined([[9, 8, 7, 6, 5, 4]], [-1], documents=documents) == [[0, 1, 4, 5]]


def test_the_ensemble_is_the_mean_over_the_union() -> None:
    first = Table([[10, 8, 6.5, 0, 0, 0]], "first")
    second = Table([[5, 0, 1, 3, 0, 0]], "second")
    # depth 1 and a positive: first lists 0, 1 and second 0, 3. Over the union 0, 1, 3 the first's
    # scores are 1, .8, 0 and the second's 1, 0, .6
    assert mined([first, second], [0], last_rank=1) == [[1]]
    # over 0, 1, 2, 3: first 1, .8, .65, 0; second 1, 0, .2, .6; mean 1, .4, .425, .3
    assert mined([first, second], [0], last_rank=2) == [[2, 1]]
    assert mined([first, second], [0], last_rank=2, weights=[1, 3]) == [[3, 2]]
    assert mined([first, second], [0], margin=0.65) == [[3]]
    assert mined([first, second], [0], margin=0.55) == [[2, 1, 3]]


def test_the_draw_depends_on_seed_and_row_alone() -> None:
    drawn = np.random.default_rng(5)
    table = drawn.random((40, 30)).tolist()
    documents = [f"document {i}" for i in range(30)]
    options = {"per_query": 3, "documents": documents}
    whole = mined(table, [-1] * 40, **options)  # type: ignore[arg-type]
    assert whole == mined(table, [-1] * 40, **options)  # type: ignore[arg-type]
    assert whole[:7] == mined(table[:7], [-1] * 7, **options)  # type: ignore[arg-type]
    assert whole != mined(table, [-1] * 40, seed=1, **options)  # type: ignore[arg-type]
    assert {len(set(rows)) for rows in whole} == {3}
    ranks = [np.argsort(np.argsort(-np.array(table[i])))[rows] for i, rows in enumerate(whole)]
    assert all((np.diff(rank) > 0).all() for rank in ranks), "in the order of the ranking"
    assert len({int(r) for rank in ranks for r in rank}) > 20, "from all ranks"


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(6)
    teachers = [Table(drawn.random((23, 17)).tolist(), f"t{i}") for i in range(2)]
    documents = [f"document {i}" for i in range(17)]
    positives = drawn.integers(-1, 17, 23).tolist()
    whole = mined(teachers, positives, documents=documents, last_rank=5, margin=0.1)
    monkeypatch.setattr("lsr.training.teachers.mining.RANKED_AT_ONCE", 5)
    monkeypatch.setattr("lsr.training.teachers.mining.SCORED_AT_ONCE", 2)
    assert mined(teachers, positives, documents=documents, last_rank=5, margin=0.1) == whole
    assert any(whole)


def test_nothing_is_a_case() -> None:
    assert mined([[]], [], documents=["a"]) == []
    assert mined([[1.0]], [0], documents=["a"]) == [[]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mine([], ["q"], ["d"], np.array([0]), MiningConfig()), "need a teacher that rank"),
        (lambda: mined([[1.0]], [0], first_rank=3, last_rank=2), "from rank 3 to 2"),
        (lambda: mined([Table([[1]])], [0], weights=[1, 2]), "1 teachers need as many weights"),
        (lambda: mined([Table([[1]])], [0], weights=[0]), "weights above 0"),
        (
            lambda: mine(
                [ScoreFile(Path("made.jsonl"), ["q"], ["d"])],
                ["q"],
                ["d"],
                np.array([0]),
                MiningConfig(),
            ),
            "the teacher made.jsonl knows chosen pairs only and cannot rank",
        ),
        (lambda: neighbour_groups(np.zeros((2, 2)), 0), "groups of 0 queries"),
    ],
)
def test_refusals(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# Kept on disk


def kept(folder: Path, teacher: Table, **changed: object) -> Mined:
    options: dict[str, object] = {
        "queries": ["q"],
        "documents": DOCUMENTS,
        "positives": np.array([0]),
        "config": MiningConfig(margin=0.0),
        **changed,
    }
    return mine_once(folder, [teacher], **options)  # type: ignore[arg-type]


def test_mined_once(tmp_path: Path) -> None:
    teacher = Table([[9, 5, 7, 0, 1, 8]])
    first = kept(tmp_path / "cache", teacher)
    assert first.of(0).tolist() == [5, 2, 1, 4]
    assert teacher.n_ranked == 1
    again = kept(tmp_path / "cache", teacher)
    np.testing.assert_array_equal(again.rows, first.rows)
    np.testing.assert_array_equal(again.indptr, first.indptr)
    assert teacher.n_ranked == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"queries": ["r"]},
        {"documents": [*DOCUMENTS[:-1], "six"]},
        {"positives": np.array([1])},
        {"config": MiningConfig(margin=0.01)},
        {"seed": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_has_changed_is_mined_again(tmp_path: Path, changed: dict[str, object]) -> None:
    teacher = Table([[9, 5, 7, 0, 1, 8]])
    kept(tmp_path, teacher)
    kept(tmp_path, teacher, **changed)
    assert teacher.n_ranked == 2
    kept(tmp_path, Table([[9, 5, 7, 0, 1, 7]]))
    assert len(list(tmp_path.iterdir())) == 3


def test_damaged_negatives_are_mined_again(tmp_path: Path) -> None:
    teacher = Table([[9, 5, 7, 0, 1, 8]])
    first = kept(tmp_path, teacher)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for content in (b"", whole[:-40], whole[: len(whole) // 2], whole.replace(b"\5\0", b"\4\0")):
        path.write_bytes(content)
        np.testing.assert_array_equal(kept(tmp_path, teacher).rows, first.rows)
        assert path.read_bytes() == whole
    assert teacher.n_ranked == 5


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written"):
        kept(tmp_path / "file", Table([[9, 5, 7, 0, 1, 8]]))
    assert (tmp_path / "file").read_text() == "mine"


# Neighbours


def clusters(n_clusters: int, size: int) -> NDArray[np.float32]:
    """Unit vectors in tight clusters: row i is of cluster i % n_clusters."""
    drawn = np.random.default_rng(2)
    centres = np.eye(n_clusters, dtype=np.float32)
    vectors = np.tile(centres, (size, 1)) + 0.01 * drawn.random((n_clusters * size, n_clusters))
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def test_neighbours_are_put_together() -> None:
    groups = neighbour_groups(clusters(5, 4), 4)
    assert groups.dtype == np.int32
    of_cluster = [set(groups[cluster::5].tolist()) for cluster in range(5)]
    assert {len(some) for some in of_cluster} == {1}
    assert set().union(*of_cluster) == set(range(5))


def test_a_group_that_stays_small_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsr.training.teachers.mining.NEIGHBOURS", 4)
    for seed in range(9):  # in some of these orders, all leftovers come last anyway
        groups = neighbour_groups(clusters(4, 5), 4, seed=seed)
        members = [np.flatnonzero(groups == group) % 4 for group in range(5)]
        assert [len(set(some.tolist())) for some in members] == [1, 1, 1, 1, 4]


@pytest.mark.parametrize(("n", "size", "chunk"), [(23, 8, 100), (24, 8, 7), (3, 8, 100), (9, 1, 4)])
def test_groups_are_full_but_the_last(n: int, size: int, chunk: int) -> None:
    vectors = np.random.default_rng(n).normal(size=(n, 6)).astype(np.float16)
    groups = neighbour_groups(vectors, size, chunk=chunk)
    counts = np.bincount(groups)
    assert counts.sum() == n
    assert (counts[:-1] == size).all()
    assert 0 < counts[-1] <= size
    np.testing.assert_array_equal(groups, neighbour_groups(vectors, size, chunk=chunk))


def test_groups_depend_on_the_seed_and_may_be_none() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
    assert (neighbour_groups(vectors) != neighbour_groups(vectors, seed=1)).any()
    assert neighbour_groups(np.zeros((0, 6), np.float32)).shape == (0,)
