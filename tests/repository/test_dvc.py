"""DVC as a command, and its dvc.lock."""

import pytest

from segcore.repository.dvc import digests, dvc, read_stages
from segcore.runtime.errors import UserError
from tests.support.old_layout import LOCK


def test_what_dvc_refuses_is_an_error(own_git):
    with pytest.raises(UserError, match=r"`dvc status --json` failed: .*not inside of a DVC repository"):
        dvc("status", "--json")


def test_dvc_lock_has_stages_with_digests():
    stages = read_stages(LOCK.encode())
    assert list(stages) == ["train", "evaluate"]
    assert digests(stages["train"]["outs"]) == {"data/model/erfnet.safetensors": "476aaffaccbdd57eb56b37ae7827b502"}


@pytest.mark.parametrize("lock", [b"<<<<<<<", b"[]", b"", b"\xff", b"schema: '2.0'"])
def test_what_dvc_does_not_write_is_an_error(lock):
    with pytest.raises(ValueError, match="not what DVC writes"):
        read_stages(lock)
