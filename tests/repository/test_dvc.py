"""DVC as a command, and its dvc.lock."""

import re
import sys

import pytest

from segcore.repository.dvc import LOCKED_PLUGINS, digests, dvc, explain, read_stages
from segcore.runtime.errors import UserError
from tests.support.old_layout import LOCK
from tests.support.workspace import ROOT


def test_what_dvc_refuses_is_an_error(own_git):
    with pytest.raises(UserError, match=r"`dvc status --json` failed: .*not inside of a DVC repository"):
        dvc("status", "--json")


def test_an_error_is_one_line_with_its_cause():
    error = ValueError("unable\n to read")
    error.__cause__ = KeyError()
    assert explain(error) == "unable to read: KeyError"
    error.__cause__ = ValueError("to read")
    assert explain(error) == "unable to read"


@pytest.mark.parametrize(
    "text",
    [
        "s3 is supported, but requires 'dvc-s3' to be installed",
        "URL 's3://b/p' is supported but requires these missing dependencies: ['dvc-s3']",
    ],
)
def test_a_missing_plugin_is_named_with_the_command_that_installs_it(text, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert explain(text) == f"{text} (`pip install 'dvc[s3]'`)"
    assert explain(f"{text}. Run: pip install 'dvc[s3]'") == f"{text}. Run: pip install 'dvc[s3]'"
    (tmp_path / "installed").touch()
    assert explain(text) == f"{text} (`make remotes`)"
    other = text.replace("s3", "oss")
    assert explain(other) == f"{other} (`pip install 'dvc[oss]'`)"


def test_make_installs_the_plugins_that_are_locked():
    every, plugins = (
        set(re.findall(r"^dvc-(\w+)==", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-remotes.lock")
    )
    assert plugins - every == LOCKED_PLUGINS


def test_dvc_lock_has_stages_with_digests():
    stages = read_stages(LOCK.encode())
    assert list(stages) == ["train", "evaluate"]
    assert digests(stages["train"]["outs"]) == {"data/model/erfnet.safetensors": "476aaffaccbdd57eb56b37ae7827b502"}


@pytest.mark.parametrize("lock", [b"<<<<<<<", b"[]", b"", b"\xff", b"schema: '2.0'"])
def test_what_dvc_does_not_write_is_an_error(lock):
    with pytest.raises(ValueError, match="not what DVC writes"):
        read_stages(lock)
