"""Servers that are killed, full, not running or that refuse the key: nothing is lost, and the same command goes on."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.running import wait_until
from tests.support.servers import SERVERS, Server, add_remote
from tests.support.small_disk import seen_by, small_disk
from tests.support.workspace import Workspace

pytestmark = pytest.mark.system

BIG, SMALL = 80 * 10**6, 16  # bytes of the file that takes long, number of the others
FILLER = 90 * 10**6  # bytes: with it, a small disk has no room for the big file
PART = 10**6  # bytes
SECONDS = 120
NOT_RUNNING = {
    "s3": "Could not connect to the endpoint URL",
    "webdav": "Connection refused",
    "ssh": "Connect call failed",
}
REFUSED = {"s3": "Forbidden", "webdav": "401 Unauthorized", "ssh": "Permission denied"}
KEY = {"s3": "secret_access_key", "webdav": "password", "ssh": "keyfile"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Workspace:
    """A repository with a big file and a folder of small ones, and all of it in DVC's cache."""
    root = tmp_path_factory.mktemp("data") / "workspace"
    (root / "small").mkdir(parents=True)
    workspace = Workspace(root)
    workspace.git("init", "--quiet", "--initial-branch=main")
    workspace.sign()
    workspace.dvc("init", "--quiet")
    (root / "big").write_bytes(os.urandom(BIG))
    for number in range(SMALL):
        (root / f"small/{number}").write_bytes(os.urandom(1000))
    workspace.dvc("add", "big", "small")
    workspace.commit("data")
    return workspace


@pytest.fixture
def server(kind, tmp_path, data) -> Iterator[Server]:
    """A new server, which is the default remote of ``data``."""
    with SERVERS[kind](tmp_path / "server") as server:
        add_remote(data, server)
        yield server


def clone(data: Workspace, server: Server, folder: Path) -> Workspace:
    """Return a clone without data, with the keys for the server."""
    folder.mkdir()
    clone = data.clone(folder / "clone")
    add_remote(clone, server)
    return clone


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said that has to fail with a message."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "ERROR: " in done.stderr
    return done.stderr


def kill_during(workspace: Workspace, server: Server, command: str, folder: Path) -> str:
    """Kill the server when a part of the big file is in ``folder``; return what DVC said."""
    with subprocess.Popen(
        ["dvc", command], cwd=workspace.root, env=workspace.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_until(lambda: has_part(folder), pause=0.001)
            server.kill()
            _, said = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    return error_of(subprocess.CompletedProcess(command, process.returncode, stderr=said))


def has_part(folder: Path) -> bool:
    """Whether there is a part of the big file."""
    with suppress(FileNotFoundError):  # a file that is renamed just now
        return any(path.stat().st_size >= PART for path in folder.rglob("*") if path.is_file())
    return False


def damaged(folder: Path) -> list[Path]:
    """The objects in a remote or a cache whose content is not what their name says."""
    objects = [path for path in folder.glob("files/md5/??/*") if not path.name.startswith(".")]
    return [path for path in objects if path.parent.name + path.stem != md5(path)]


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def is_whole(workspace: Workspace, data: Workspace) -> bool:
    """Whether a clone has all data, as it is in ``data``."""
    names = ["big", *(f"small/{number}" for number in range(SMALL))]
    return workspace.status() == set() and all(md5(workspace.root / name) == md5(data.root / name) for name in names)


def test_a_server_that_is_not_running(kind, server, data, tmp_path):
    colleague = clone(data, server, tmp_path / "colleague")
    server.kill()
    assert NOT_RUNNING[kind] in error_of(data.attempt("dvc", "push"))
    server.start()
    data.dvc("push")
    server.kill()
    assert NOT_RUNNING[kind] in error_of(colleague.attempt("dvc", "pull"))
    server.start()
    colleague.dvc("pull")
    assert is_whole(colleague, data)


def test_a_wrong_key(kind, server, data, tmp_path):
    colleague = clone(data, server, tmp_path / "colleague")
    wrong = {"keyfile": str(tmp_path / "server/wrong_key")}.get(KEY[kind], "wrong")
    right, server.options[KEY[kind]] = server.options[KEY[kind]], wrong
    for workspace, command in ((data, "push"), (colleague, "pull")):
        add_remote(workspace, server)
        assert REFUSED[kind] in error_of(workspace.attempt("dvc", command))
    assert server.files() == []
    server.options[KEY[kind]] = right
    for workspace, command in ((data, "push"), (colleague, "pull")):
        add_remote(workspace, server)
        workspace.dvc(command)
    assert is_whole(colleague, data)


def test_a_server_killed_during_push(kind, server, data, tmp_path):
    said = kill_during(data, server, "push", server.folder)
    assert "failed to push data to the cloud" in said
    broken = damaged(server.folder)
    server.start()
    if kind == "webdav":
        assert_found_by_verify(server, data, tmp_path, broken)
    else:
        assert broken == []
    data.dvc("push")
    assert damaged(server.folder) == []
    colleague = clone(data, server, tmp_path / "colleague")
    colleague.dvc("pull")
    assert is_whole(colleague, data)


def assert_found_by_verify(server: Server, data: Workspace, tmp_path: Path, broken: list[Path]) -> None:
    """WebDAV has no temporary names: DVC trusts the part (DVC 10498, 7268), until ``verify`` or a removal by hand."""
    assert [path.stat().st_size < BIG for path in broken] == [True]
    data.dvc("push")
    assert damaged(server.folder) == broken
    trusting, careful = (clone(data, server, tmp_path / name) for name in ("trusting", "careful"))
    trusting.dvc("pull")
    assert not is_whole(trusting, data)
    careful.dvc("remote", "modify", "--local", "team", "verify", "true")
    assert "big" in error_of(careful.attempt("dvc", "pull"))
    assert not (careful.root / "big").exists()
    broken[0].unlink()
    server.kill()  # it remembers what was in the folder
    server.start()


def test_a_server_killed_during_pull(server, data, tmp_path):
    data.dvc("push")
    before = server.files()
    colleague = clone(data, server, tmp_path / "colleague")
    kill_during(colleague, server, "pull", colleague.root / ".dvc/cache")
    assert damaged(colleague.root / ".dvc/cache") == []
    server.start()
    colleague.dvc("pull")
    assert is_whole(colleague, data)
    assert server.files() == before and damaged(server.folder) == []


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A small disk that is nearly full; without the file ``filler`` on it there is room for the data."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as holder:
        if holder is None:
            pytest.skip("this user may not mount a small disk")
        disk = seen_by(holder, tmp_path / "disk")
        (disk / "filler").write_bytes(bytes(FILLER))
        yield disk


def test_a_full_disk_of_the_server(kind, disk, data, tmp_path):
    with SERVERS[kind](disk / "server") as server:
        add_remote(data, server)
        assert "failed to push data to the cloud" in error_of(data.attempt("dvc", "push"))
        (disk / "filler").unlink()
        data.dvc("push")
        assert damaged(server.folder) == []
        colleague = clone(data, server, tmp_path / "colleague")
        colleague.dvc("pull")
        assert is_whole(colleague, data)


def test_a_full_disk_of_the_client(server, disk, data, tmp_path):
    data.dvc("push")
    colleague = clone(data, server, tmp_path / "colleague")
    colleague.dvc("config", "--local", "cache.dir", str(disk / "cache"))
    assert "No space left on device" in error_of(colleague.attempt("dvc", "pull"))
    (disk / "filler").unlink()
    colleague.dvc("pull")
    assert is_whole(colleague, data)
    assert damaged(disk / "cache") == []
