"""Keys at rest: hashed, private, compared in constant time, seen by other processes."""

from __future__ import annotations

import hmac
import json
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.errors import InputError, NotFoundError, StorageError
from lsr.service.security.keys import KeyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_kept_as_a_hash_in_a_private_file(path: Path) -> None:
    key, secret = KeyFile(path).create("shop", "read", collections=["birds"], filter={"t": "a"})
    content = path.read_text("utf-8")
    assert secret.startswith(f"lsr_{key.id}_")
    assert len(secret.split("_", 2)[2]) >= 43  # 32 bytes
    assert secret.split("_", 2)[2] not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyFile(path).find(secret) == key
    assert (key.collections, key.filter) == (("birds",), {"t": "a"})


def test_only_the_whole_key_is_found(path: Path) -> None:
    file = KeyFile(path)
    key, secret = file.create("one", "read")
    _, other = file.create("two", "admin")
    mixed = f"lsr_{key.id}_{other.split('_', 2)[2]}"
    for wrong in ("", "lsr", secret[:-1], secret + "x", secret.upper(), mixed, f"lsr_{key.id}_"):
        assert file.find(wrong) is None, wrong


def test_keys_are_compared_in_constant_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    same = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return same(one, other)

    file = KeyFile(path)
    _, secret = file.create("one", "read")
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert file.find(secret) is not None
    assert file.find("lsr_unknown_x") is None  # one that is not there costs the same
    assert len(compared) == 2
    assert all(len(one) == len(other) == 64 for one, other in compared)


def test_other_processes_changes_are_seen(path: Path) -> None:
    here, there = KeyFile(path), KeyFile(path)
    key, secret = there.create("one", "write")
    assert here.find(secret) == key
    assert there.revoke(key.id) == key
    assert here.find(secret) is None
    with pytest.raises(NotFoundError, match="there is no key"):
        here.revoke(key.id)


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [KeyFile(path).create("k", "read") for _ in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeyFile(path).list()) == 20


def test_what_is_no_key_is_refused(path: Path) -> None:
    file = KeyFile(path)
    for name, scope, names, where in (
        ("", "read", None, None),
        ("two\nlines", "read", None, None),
        ("k", "root", None, None),
        ("k", "read", ["../x"], None),
        ("k", "read", None, {"tenant": {"like": "a"}}),
    ):
        with pytest.raises(InputError):
            file.create(name, scope, collections=names, filter=where)
    assert not path.exists()
    path.write_text("{}")
    with pytest.raises(StorageError, match="is not a file of keys"):
        file.list()


def test_the_command_makes_lists_and_revokes(path: Path) -> None:
    run = CliRunner().invoke
    made = run(app, ["keys", "create", "shop", "--keys", str(path), "--filter", '{"t": "a"}'])
    assert made.exit_code == 0, made.output
    key = KeyFile(path).find(made.stdout.strip())
    assert key is not None
    assert (key.scope, key.filter) == ("read", {"t": "a"})
    listed = run(app, ["keys", "list", "--keys", str(path), "--json"])
    assert [row["id"] for row in json.loads(listed.stdout)] == [key.id]
    assert made.stdout.strip() not in listed.output
    assert key.id in run(app, ["keys", "list", "--keys", str(path)]).output
    assert run(app, ["keys", "revoke", key.id, "--keys", str(path)]).exit_code == 0
    assert KeyFile(path).list() == []
    wrong = run(app, ["keys", "create", "k", "--keys", str(path), "--filter", "{"])
    assert wrong.exit_code == 2
    assert "--filter is not JSON" in wrong.output
