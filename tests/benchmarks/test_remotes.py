"""The benchmark of DVC remotes, run small."""

import pytest

from benchmarks import remotes
from tests.support import tiny
from tests.support.servers import SERVERS, missing


@pytest.mark.system
@pytest.mark.skipif(bool(missing("webdav")), reason=missing("webdav") or "installed")
def test_remotes_has_a_row_for_each_command_with_the_files_on_the_server(tmp_path, monkeypatch):
    monkeypatch.setattr(remotes, "SERVERS", {"webdav": SERVERS["webdav"]})
    tiny.write_tar(tmp_path / "data.tar.gz", tiny.scenes(4, 2, 2))
    rows = remotes.measure(tmp_path / "work", tmp_path / "data.tar.gz")
    assert [(row["server"], row["jobs"], row["command"]) for row in rows] == [
        ("webdav", "1", command) for command in ("push", "push again", "pull", "pull again")
    ]
    assert {row["files"] for row in rows} == {len(cached_files(tmp_path / "work/here/workspace"))}
    assert all(row["seconds"] > 0 and row["MB"] > 0 for row in rows)
    assert all((row["MB/s"] is None) == ("again" in row["command"]) for row in rows)


def cached_files(root):
    """The objects in DVC's cache of a workspace."""
    return [path for path in (root / ".dvc/cache/files").rglob("*") if path.is_file()]
