"""Refusals of the hub and of the way to it: one sentence each, with what to do next."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import huggingface_hub.constants
import pytest

import lsr
from lsr.errors import (
    AccessError,
    InputError,
    LsrError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    StorageError,
)
from lsr.hub.faults import telling_faults
from tests.support.hub import Hub, StoredRepository

REPOSITORY = "owner/birds"


@pytest.fixture
def stored(hub: Hub) -> StoredRepository:
    """A repository, with somebody else asking for it."""
    made = hub.repositories[REPOSITORY] = StoredRepository()
    made.commit({"README.md": b"#"}, "initial commit")
    return made


def refused(tmp_path: Path, error: type[LsrError], revision: str | None = None) -> str:
    with pytest.raises(error) as caught:
        lsr.pull(REPOSITORY, tmp_path / "pulled", revision=revision)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pulled").exists()
    return str(caught.value)


def test_no_such_repository(tmp_path: Path, hub: Hub) -> None:
    told = refused(tmp_path, NotFoundError)
    assert told.startswith(f"there is no repository {REPOSITORY} at {hub.url}, or you may not see")
    assert told.endswith("check the name, and log in with `hf auth login`, or set HF_TOKEN")


def test_a_private_one_is_not_there_for_others(
    tmp_path: Path, stored: StoredRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.private = True
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    assert "or you may not see it" in refused(tmp_path, NotFoundError)


def test_a_gated_one(
    tmp_path: Path, hub: Hub, stored: StoredRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    assert f"ask for that at {hub.url}/{REPOSITORY}, then log in" in refused(tmp_path, AccessError)


def test_no_such_revision(tmp_path: Path, hub: Hub, stored: StoredRepository) -> None:
    told = refused(tmp_path, NotFoundError, revision="v9")
    assert told == (f"{REPOSITORY} has no such revision; see {hub.url}/{REPOSITORY}/commits/main")


@pytest.mark.parametrize(
    ("status", "headers", "error", "words"),
    [
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, AccessError,
         "does not know you (Invalid credentials in Authorization header); log in"),
        (403, {}, AccessError, "your token may not read owner/birds"),
        (429, {"Retry-After": "40"}, OverloadedError, "run it again in 40 seconds"),
        (429, {}, OverloadedError, "run it again in some minutes"),
        (500, {}, ServiceError, "the hub failed with status 500"),
        (418, {}, InputError, "the hub does not take this for owner/birds"),
    ],
)  # fmt: skip
def test_statuses(
    tmp_path: Path,
    hub: Hub,
    status: int,
    headers: dict[str, str],
    error: type[LsrError],
    words: str,
) -> None:
    hub.refusals["GET /api/models"] = (status, headers)
    assert words in refused(tmp_path, error)


def test_nobody_there(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nowhere)
    told = refused(tmp_path, ServiceError)
    assert told.startswith(f"{nowhere} cannot be reached, or broke off (")
    assert "check the network and HF_ENDPOINT, and run it again" in told


def test_offline(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    assert "HF_HUB_OFFLINE is set; unset it" in refused(tmp_path, ServiceError)
    assert hub.requests == []


def test_a_push_without_a_token(built: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(built / "none"))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(NotFoundError, match=r"log in with `hf auth login`, or set HF_TOKEN"):
        lsr.push(built, REPOSITORY)
    assert hub.sent() == []


def test_a_push_to_the_repository_of_somebody_else(
    built: Path, hub: Hub, stored: StoredRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    with pytest.raises(AccessError, match=f"your token may not write to {REPOSITORY} .*/tokens"):
        lsr.push(built, REPOSITORY)
    assert list(built.parent.glob(".*")) == []


def test_a_file_that_cannot_be_sent(built: Path, hub: Hub) -> None:
    hub.refusals["PUT /storage"] = (400, {})
    with pytest.raises(InputError, match=f"the hub does not take this for {REPOSITORY}"):
        lsr.push(built, REPOSITORY)


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageError), (errno.ECONNRESET, ServiceError)]
)
def test_faults_of_the_machine(number: int, error: type[LsrError]) -> None:
    with pytest.raises(error, match=os.strerror(number)), telling_faults(REPOSITORY):
        raise OSError(number, os.strerror(number), "/data/pulled")


def test_a_refusal_of_the_xet_storage() -> None:
    with (
        pytest.raises(AccessError, match=r"\(run out\); log in"),
        telling_faults(REPOSITORY),
    ):
        raise PermissionError("run out")


def test_errors_of_ours_pass() -> None:
    with pytest.raises(DeprecationWarning), telling_faults(REPOSITORY):
        raise DeprecationWarning
    with pytest.raises(StorageError, match="^ours$"), telling_faults(REPOSITORY):
        raise StorageError("ours")
