"""`make install` installs DVC's plugins where a remote needs one, from a lock of their own."""

import os
import re
from pathlib import Path

import pytest
from dvc.config import Config

from tests.support.making import make, program
from tests.support.running import git
from tests.support.workspace import ROOT

# A Python that makes environments with itself, and writes down what it is told to install.
INSTALLER = """#!/bin/sh
case "$1 $2" in
    "-m venv") rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python;;
    "-m pip") for last; do :; done; echo "$last" >> installs;;
esac
"""
ALL, REMOTES = "requirements.lock", "requirements-remotes.lock"


@pytest.fixture
def installs(own_git, tmp_path, monkeypatch):
    """A function that runs make in a working folder without an environment, and returns what it installed."""
    git("init")
    program("bin/python", INSTALLER)
    for lock in (ALL, REMOTES):
        Path(lock).touch()
    Path(".dvc").mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of the user"))

    def run(target: str = "install") -> list[str]:
        done = make(target, "PYTHON=bin/python", XDG_CONFIG_HOME=os.environ["XDG_CONFIG_HOME"])
        assert done.returncode == 0, done.stderr
        Path("messages").write_text(done.stderr)
        found = Path("installs").read_text().split() if Path("installs").exists() else []
        Path("installs").unlink(missing_ok=True)
        return found

    return run


def add_remote(url: str, level: str = "repo") -> None:
    """Configure a remote as `dvc remote add` does."""
    with Config(".dvc", validate=False).edit(level, validate=False) as config:
        config["remote"]["team"] = {"url": url}


def change(lock: str) -> None:
    """Make a lock newer than all that make has made, and than the other lock."""
    for path in [*Path(".venv").iterdir(), Path(ALL), Path(REMOTES)]:
        os.utime(path, (0, 0))
    Path(lock).touch()


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("s3://bucket/path", "repo"),
        ("s3://bucket/a, 'b' #c", "repo"),  # in quotes
        ("ssh://host/path", "local"),
        ("webdav://host/path", "global"),
        ("webdavs://host/path", "repo"),
        ("gs://bucket", "repo"),
        ("azure://container", "repo"),
    ],
)
def test_a_remote_that_needs_a_plugin_has_it_installed_once(installs, url, level):
    add_remote(url, level)
    assert installs() == [ALL, REMOTES]
    assert installs() == []


@pytest.mark.parametrize("url", ["", "/mnt/team", "../s3", "https://host/s3://bucket", "http://host"])
def test_a_remote_that_needs_none_has_none_installed(installs, url):
    if url:
        add_remote(url)
    assert installs() == [ALL]
    for _ in range(2):
        assert installs("remotes") == [REMOTES]


def test_plugins_that_are_asked_for_are_installed_again(installs):
    add_remote("s3://bucket/path")
    assert installs("remotes") == [ALL, REMOTES]
    assert installs("remotes") == [REMOTES]


def test_plugins_are_installed_when_a_remote_is_configured_later(installs):
    assert installs() == [ALL]
    add_remote("/mnt/team")
    assert installs() == []
    add_remote("s3://bucket/path")
    assert installs() == [REMOTES]
    add_remote("s3://bucket/elsewhere")
    assert installs() == []


def test_a_changed_lock_loses_no_plugin(installs):
    add_remote("s3://bucket/path")
    installs()
    change(REMOTES)
    assert installs() == [REMOTES]
    change(ALL)
    assert installs() == [ALL, REMOTES]
    assert installs() == []


@pytest.mark.parametrize("kind", ["gdrive", "hdfs", "oss", "webhdfs"])
def test_a_plugin_that_is_not_locked_is_named_once_for_each_environment(installs, kind):
    add_remote(f"{kind}://host/path")
    for _ in range(2):
        assert installs() == [ALL]
        assert f".venv/bin/pip install 'dvc[{kind}]'" in Path("messages").read_text()
        assert installs() == []
        assert Path("messages").read_text() == ""
        change(ALL)


def test_the_locks_agree_and_pip_checks_all_that_they_name():
    every, remotes = (read_lock(lock) for lock in (ALL, REMOTES))
    assert remotes.keys() - every.keys()
    assert {name: remotes[name] for name in remotes.keys() & every.keys() if remotes[name] != every[name]} == {}


def read_lock(name: str) -> dict[str, list[str]]:
    """Return the versions of each package in a lock where each has hashes and comes from whatever index pip uses."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    versions: dict[str, list[str]] = {}
    for entry in text.replace("\\\n", "").splitlines():
        package = re.fullmatch(r"([a-z0-9-]+)==(\S+)( ; .*?)?( +--hash=sha256:[0-9a-f]{64})+", entry)
        assert package, entry
        versions.setdefault(package[1], []).append(package[2])
    return versions
