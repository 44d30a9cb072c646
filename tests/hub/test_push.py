"""An index brought to a repository: its files, one commit, what stays and what goes."""

from __future__ import annotations

from pathlib import Path

import pytest

import lsr
from lsr.errors import ConflictError, IndexCorruptError, InputError, ServiceError
from lsr.hub.cards import WRITTEN
from lsr.index.live.live_collection import LiveCollection
from lsr.index.storage.manifest import MANIFEST, Manifest
from tests.support.hub import Hub, StoredRepository
from tests.support.live import killed, put

REPOSITORY = "owner/birds"
BESIDE = {".gitattributes", "README.md", "snapshot.json", MANIFEST}
NOT_ADDED = lsr.Document("yak", "A yak grazes.")


def files_of(hub: Hub) -> dict[str, bytes]:
    return hub.repositories[REPOSITORY].files()


def test_a_push_is_the_published_generation_and_a_card(built: Path, hub: Hub) -> None:
    done = lsr.push(built, REPOSITORY, private=True)
    manifest = Manifest.read(built)
    assert set(files_of(hub)) == {*manifest.files, *BESIDE}
    for name in manifest.files:
        assert files_of(hub)[name] == (built / name).read_bytes()
    stored = hub.repositories[REPOSITORY]
    assert stored.private
    assert stored.messages == ["initial commit", "Generation 1: 7 documents"]
    assert (done.kind, done.created, done.removed) == ("index", True, ())
    assert done.commit == stored.branches["main"][-1][0]
    assert set(done.sent) == set(files_of(hub)) - {".gitattributes"}
    assert done.size_bytes == sum(len(files_of(hub)[name]) for name in done.sent)
    assert done.address == f"{hub.url}/{REPOSITORY}"
    assert list(built.parent.glob(".*")) == []


def test_a_second_push_sends_nothing(built: Path, hub: Hub) -> None:
    first = lsr.push(built, REPOSITORY)
    hub.requests.clear()
    second = lsr.push(built, REPOSITORY)
    assert hub.sent() == []
    assert (second.sent, second.removed, second.size_bytes) == ((), (), 0)
    assert (second.commit, second.created) == (first.commit, False)
    assert second.n_files == len(first.sent)


def test_a_dry_run_says_the_same_and_changes_nothing(built: Path, hub: Hub) -> None:
    told = lsr.push(built, REPOSITORY, dry_run=True)
    assert (told.created, told.commit, hub.sent(), hub.repositories) == (True, None, [], {})
    assert lsr.push(built, REPOSITORY).sent == told.sent


def test_a_new_generation_replaces_the_files_of_the_old_one(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    before = set(files_of(hub))
    with lsr.open(built) as index:
        index.add([NOT_ADDED])
        index.merge()
    told = lsr.push(built, REPOSITORY, dry_run=True)
    done = lsr.push(built, REPOSITORY, message="A yak")
    assert set(files_of(hub)) == {*Manifest.read(built).files, *BESIDE}
    assert set(done.removed) == before - set(files_of(hub))
    assert done.removed
    assert (told.sent, told.removed) == (done.sent, done.removed)
    stored = hub.repositories[REPOSITORY]
    assert len(stored.branches["main"]) == 3
    assert stored.messages[-1] == "A yak"


def test_segments_that_stay_are_not_sent_again(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    with lsr.open(built) as index:
        index.add([NOT_ADDED])
    done = lsr.push(built, REPOSITORY)
    assert not any(name.startswith("segment-000001/arrays") for name in done.sent)
    assert any(name.startswith("segment-000002/") for name in done.sent)


def test_somebody_publishes_and_merges_meanwhile(built: Path, hub: Hub, tmp_path: Path) -> None:
    changes: list[object] = []

    def change(stage: str, done: int, total: int | None) -> None:
        if stage == "upload" and not changes:
            with lsr.open(built) as index:
                changes.extend([index.add([NOT_ADDED]), index.merge()])

    lsr.push(built, REPOSITORY, progress=change)
    assert len(changes) == 2
    with lsr.open(lsr.pull(REPOSITORY, tmp_path / "pulled").path) as index:
        assert (index.reader.manifest.generation, len(index)) == (1, 7)
    assert lsr.push(built, REPOSITORY).removed


def test_what_a_killed_service_left_is_published_first(built: Path, hub: Hub) -> None:
    live = LiveCollection.open(built)
    live.write([put("yak", "a yak")])
    killed(live)
    told = lsr.push(built, REPOSITORY, dry_run=True)
    assert (told.n_unpublished, Manifest.read(built).n_documents) == (1, 7)
    done = lsr.push(built, REPOSITORY)
    assert (done.n_unpublished, Manifest.read(built).n_documents) == (0, 8)
    assert hub.repositories[REPOSITORY].messages[-1] == "Generation 2: 8 documents"
    assert not any("sqlite" in name and "/" not in name for name in files_of(hub))
    assert done.left_out == ()


def test_writes_that_a_service_has_not_published_are_counted(built: Path, hub: Hub) -> None:
    with LiveCollection.open(built) as live:
        live.write([put("yak", "a yak"), put("gnu", "a gnu")])
        done = lsr.push(built, REPOSITORY)
    assert done.n_unpublished == 2
    assert "7 documents" in hub.repositories[REPOSITORY].messages[-1]


def test_settings_go_along_and_other_files_do_not(built: Path, hub: Hub) -> None:
    for name in ("plan.json", "notes.txt"):
        (built / name).write_text("{}")
    (built / "onnx").mkdir()
    for name in ("model.onnx", "evil.py"):
        (built / "onnx" / name).write_bytes(b"a graph")
    done = lsr.push(built, REPOSITORY)
    assert {"plan.json", "onnx/model.onnx"} <= set(done.sent)
    assert done.left_out == ("notes.txt", "onnx/evil.py")
    assert not {"notes.txt", "onnx/evil.py"} & set(files_of(hub))


def test_a_card_is_written_anew_until_somebody_takes_it_over(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    assert WRITTEN in files_of(hub)["README.md"].decode()
    hub.repositories[REPOSITORY].commit({**files_of(hub), "README.md": b"# Mine"}, "a card")
    with lsr.open(built) as index:
        index.add([NOT_ADDED])
    assert "README.md" not in lsr.push(built, REPOSITORY).sent
    assert files_of(hub)["README.md"] == b"# Mine"
    hub.repositories[REPOSITORY].commit({**files_of(hub), "README.md": WRITTEN.encode()}, "again")
    assert lsr.push(built, REPOSITORY).sent == ("README.md",)


def test_a_branch(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY, revision="first")
    lsr.push(built, REPOSITORY, revision="second")
    branches = hub.repositories[REPOSITORY].branches
    assert set(branches) == {"main", "first", "second"}
    assert set(branches["main"][-1][1]) == {".gitattributes"}
    assert MANIFEST in branches["first"][-1][1]
    assert branches["first"][-1][1] == branches["second"][-1][1]


@pytest.mark.parametrize("held", ["model.safetensors", "manifest.json"])
def test_a_repository_of_something_else_is_left_alone(built: Path, hub: Hub, held: str) -> None:
    stored = hub.repositories[REPOSITORY] = StoredRepository()
    stored.commit({held: b"theirs", "README.md": b"# Theirs"}, "theirs")
    hub.requests.clear()
    with pytest.raises(ConflictError, match=f"owner/birds holds .*{held}.*; nothing was changed"):
        lsr.push(built, REPOSITORY)
    assert hub.sent() == []


def test_a_file_of_somebody_beside_an_index_is_not_removed(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    stored = hub.repositories[REPOSITORY]
    stored.commit({**stored.files(), "run.py": b"pass"}, "a script")
    with pytest.raises(ConflictError, match=r"holds run\.py, which is no part of an index"):
        lsr.push(built, REPOSITORY)


def test_private_is_not_said_of_a_public_repository(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    with pytest.raises(ConflictError, match=r"there and public; .*owner/birds/settings"):
        lsr.push(built, REPOSITORY, private=True)


def test_a_push_of_somebody_else_meanwhile(built: Path, hub: Hub) -> None:
    lsr.push(built, REPOSITORY)
    with lsr.open(built) as index:
        index.add([NOT_ADDED])
    stored = hub.repositories[REPOSITORY]

    def change(stage: str, done: int, total: int | None) -> None:
        if stage == "upload" and stored.messages[-1] != "theirs":
            stored.commit(stored.files(), "theirs")

    with pytest.raises(ConflictError, match="was changed by somebody else meanwhile"):
        lsr.push(built, REPOSITORY, progress=change)
    assert stored.messages[-1] == "theirs"


def test_a_push_that_stops_goes_on(built: Path, hub: Hub) -> None:
    hub.refusals["POST .*/commit/"] = (500, {})
    with pytest.raises(ServiceError, match="the hub failed with status 500"):
        lsr.push(built, REPOSITORY)
    assert any(each.startswith("PUT") for each in hub.requests)
    hub.refusals.clear()
    hub.requests.clear()
    lsr.push(built, REPOSITORY)
    assert not any(each.startswith("PUT") for each in hub.requests)
    assert MANIFEST in files_of(hub)


def test_a_damaged_index_is_not_pushed(built: Path, hub: Hub) -> None:
    arrays = built / "segment-000001" / "arrays.bin"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"?")
    with pytest.raises(IndexCorruptError, match=r"arrays\.bin has changed"):
        lsr.push(built, REPOSITORY)
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["birds", "a/b/c", "/b", "owner/na me", "owner/x..y"])
def test_a_name_that_cannot_be_one(built: Path, hub: Hub, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a repository of the hub; give OWNER/NAME"):
        lsr.push(built, name)


def test_nothing_to_push(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(InputError, match="there is no index or model at"):
        lsr.push(tmp_path / "none", REPOSITORY)
    with pytest.raises(InputError, match=r"neither an index .* nor a model .*; check the path"):
        lsr.push(tmp_path, REPOSITORY)
