"""Windows and macOS, as far as Linux can tell: what they lack is not used, or does without.

There is no such machine here. What they lack is taken away in a process of its own, and what the
code would do there is done.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsr.errors import InputError
from lsr.service import process
from lsr.service.process import check_workers, most_connections

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}
NAMES = {
    "os": "O_DIRECTORY O_DSYNC O_NOFOLLOW O_NONBLOCK O_SYNC WNOHANG chown fchmod fchown fdatasync "
    "fork forkpty geteuid getegid getgid getloadavg getpgid getuid killpg kill mkfifo mknod nice "
    "openpty posix_fadvise posix_fallocate pread preadv pwrite pwritev register_at_fork "
    "sched_getaffinity sched_setaffinity sendfile set_blocking setsid statvfs sync sysconf ttyname "
    "uname wait3 wait4 waitid",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 alarm pause "
    "pthread_kill setitimer sigwait",
    "socket": "AF_UNIX MSG_DONTWAIT MSG_NOSIGNAL SO_REUSEPORT",
    "select": "epoll kqueue poll",
}
"""Names that Windows lacks, or that do something else there."""

PATHS = ("/dev/", "/proc", "/tmp")
ANSWERED = {
    "index/collection/segment_reader.py": {"/dev/fd/"},  # not on Windows
    "index/indexer/limits.py": {"os.sched_getaffinity"},  # asked for first
    "index/storage/resident.py": {
        *("/dev/shm", "fcntl", "os.O_DIRECTORY", "os.O_NOFOLLOW", "os.geteuid", "os.statvfs"),
    },  # only where there is /dev/shm
    "lsr/cli/answers/prompt.py": {"readline"},
    "lsr/machine.py": {"os.kill"},  # not on Windows
    "service/metrics.py": {"/proc"},  # only where there is one
    "service/process.py": {"/dev/fd", "resource"},  # does without
    "service/workers.py": {"os.kill"},  # refused on Windows
}

FAKED = """
import builtins, sys
from pathlib import Path

import filelock, subprocess, multiprocessing  # what they take of Linux is theirs

known, absent = builtins.__import__, set(sys.argv[1].split(","))
def imported(name, globals=None, locals=None, fromlist=(), level=0):
    if name.partition(".")[0] in absent and str((globals or {}).get("__name__")).startswith("lsr"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return known(name, globals, locals, fromlist, level)
builtins.__import__ = imported
sys.modules["uvloop"] = None

import lsr.machine
lsr.machine.WINDOWS = sys.argv[2] == "windows"
from lsr.index.storage import resident
resident.SHARED_MEMORY = Path("nowhere")
from lsr.service import metrics, process
metrics._PROCESSES, process._OPEN_FILES = Path("nowhere"), Path("nowhere")
"""

STEPS = """
import json, socket, threading, time
from typer.testing import CliRunner
import httpx
import lsr
from lsr.cli.app import app
from lsr.service.server import run_server
from lsr.service.settings import Settings

def lsr_(*words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.stderr, done.exception)
    return done.stdout

Path("notes").mkdir()
Path("notes/keys.md").write_text("Keys rotate every ninety days.")
Path("notes/old.md").write_text("An old note on herons.")
lsr_("index", "build", "notes", "idx", "--sparse", "bm25")
Path("notes/new.md").write_text("Keys are cut at noon.")
lsr_("index", "add", "idx", "notes")
lsr_("index", "delete", "idx", "old.md")
lsr_("index", "snapshot", "create", "idx", "--name", "one")
lsr_("index", "merge", "idx")
lsr_("index", "snapshot", "restore", "idx", "one")
found = [hit["doc_id"] for hit in json.loads(lsr_("search", "idx", "keys", "--json"))["hits"]]
assert sorted(found) == ["keys.md", "new.md"], found
lsr_("keys", "create", "me", "--keys", "keys.json")
lsr.SparseIndex.build(lsr.CSR.from_rows([{0: 1.0}])).save("sparse")
lsr.SparseIndex.open("sparse")

servers, announced = [], threading.Event()
listener = socket.create_server(("127.0.0.1", 0))
url = "http://127.0.0.1:%s" % listener.getsockname()[1]
running = threading.Thread(target=run_server, args=(
    {"idx": Path("idx")}, Settings(data_dir=Path("data")), listener, announced.set, servers.append,
))
running.start()
try:
    assert announced.wait(60)
    one = f"{url}/v1/collections/idx"
    body = {"text": "Keys are of brass."}
    assert httpx.put(f"{one}/documents/brass", json=body, timeout=60).status_code in (200, 201)
    said, end = {"hits": []}, time.monotonic() + 60
    while not said["hits"] and time.monotonic() < end:
        said = httpx.post(f"{one}/search", json={"text": "brass"}, timeout=60).json()
    assert [hit["doc_id"] for hit in said["hits"]] == ["brass"], said
    assert "lsr_ready" in httpx.get(f"{url}/metrics").text
finally:
    servers[0].should_exit = True
    running.join(60)
print("done")
"""


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_everything_of_the_core_does_without_what_a_system_lacks(
    system: str, tmp_path: Path
) -> None:
    absent = MODULES if system == "windows" else {"nothing"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FAKED + STEPS, ",".join(sorted(absent)), system],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


def used(path: Path) -> Iterator[str]:
    """Modules, names and paths in a file that not every system has."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ({alias.name for alias in node.names} & MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in NAMES:
            names = {alias.name for alias in node.names} & set(NAMES[node.module].split())
            yield from (f"{node.module}.{name}" for name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, "").split():
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Constant) and str(node.value).startswith(PATHS):
            yield str(node.value)


def test_what_a_system_lacks_is_used_only_where_that_is_answered() -> None:
    found = {}
    for folder in ("lsr", "index", "integrations", "service", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            if names := set(used(path)):
                found[path.relative_to(ROOT).as_posix()] = names
    assert {path: found[path] for path in found if not path.startswith("lsr/index")} == ANSWERED


def test_several_workers_are_refused_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    check_workers(4)
    monkeypatch.setattr(process, "WINDOWS", True)
    check_workers(1)
    with pytest.raises(InputError, match="4 workers .* which Windows has not; serve with one"):
        check_workers(4)


def test_windows_takes_the_connections_that_its_loop_can_wait_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert most_connections(100) == 100
    assert not caplog.records
    most = most_connections(1_000)
    assert 300 < most < 512
    assert "which is all that Windows has for it" in caplog.text
