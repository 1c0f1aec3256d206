"""The licence follows from where the frames are from."""

import pytest

from segcore.files.source import SAMPLE, is_sample, licence
from segcore.runtime.errors import UserError


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A function that sets fetch.source of params.yaml in a new working folder."""
    monkeypatch.chdir(tmp_path)
    return lambda path: (tmp_path / "params.yaml").write_text(f"fetch: {{source: {path}, sha256: null}}")


def test_frames_of_the_sample_have_the_licence_of_the_code(source):
    for path in (SAMPLE, f"./{SAMPLE}"):
        source(path)
        assert is_sample()
        assert licence() == "The frames are drawn by tools/scenes, under the licence of this model's repository."


@pytest.mark.parametrize("path", ["data/idd-lite.tar.gz", "/data/sample.tar.gz"])
def test_other_frames_are_under_the_terms_of_idd(source, path):
    source(path)
    assert not is_sample()
    assert "https://idd.insaan.iiit.ac.in/" in licence() and "forbid passing them on" in licence()


def test_weights_that_training_started_from_have_terms_of_their_own(source):
    for path in (SAMPLE, "data/idd-lite.tar.gz"):
        source(path)
        assert licence(started_from_weights=True).startswith(f"{licence()} The weights that training started from")


def test_without_a_source_there_is_no_licence(source):
    source("[1]")
    with pytest.raises(UserError, match=r"fetch\.source"):
        licence()
