"""Data sets of other descriptions than IDD-Lite's, and the built-in sample under any path."""

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segcore.files.dataset import read_dataset
from tests.support import tiny
from tests.support.fetching import IDD_LITE, described, fetch_with, fetched, full
from tests.support.idd_lite import SAMPLE

pytestmark = pytest.mark.slow


def assert_full(cwd: Path) -> None:
    """Check the frames, and labels whose ids are those of the two classes."""
    found = fetched(cwd)
    for name, data in tiny.published().items():
        if name.startswith("gtFine"):
            ids = np.array(Image.open(io.BytesIO(data)))
            expected = np.where(ids == 255, 255, ids > 3)
            np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(found[name]))), expected)
        else:
            assert found[name] == data
    assert len(found) == len(tiny.published())


def test_archives_of_images_and_labels_in_a_folder(tmp_path):
    """As Cityscapes is published."""
    (tmp_path / "source").mkdir()
    for name in ("leftImg8bit", "gtFine"):
        files = {path: data for path, data in full().items() if path.startswith(name)}
        tiny.write_zip(tmp_path / f"source/{name}_trainvaltest.zip", files | {"license.txt": b"", "README": b""})
    (tmp_path / "source/leftImg8bit_trainextra.zip").write_bytes(b"PK\3\4 is still being downloaded")
    done = fetch_with(tmp_path, {"dataset": described(tmp_path, ignore=["*_trainextra.zip"]), "source": "source"})
    assert done.returncode == 0, done.stderr
    assert_full(tmp_path)
    assert "as published" not in done.stdout
    assert read_dataset(tmp_path / "data/raw/dataset.json").model_dump() == {
        "name": "Full",
        "about": "Frames of two parts.",
        "home": None,
        "licence": {"terms": "For tests.", "spdx": "mit"},
        "classes": {"road": (9, 9, 9), "sky": (99, 9, 9)},
        "protocol": "native",
        "sample": False,
    }


@pytest.mark.parametrize("in_archives", [True, False])
def test_two_parts_in_a_folder(tmp_path, in_archives):
    """As IDD is published: two archives, each of its own folder with images and labels."""
    (tmp_path / "source").mkdir()
    for part, drives in (("part_1", "ac"), ("part_2", "bd")):
        files = tiny.under(part, {name: data for name, data in full().items() if name.split("/")[2] in drives})
        if in_archives:
            tiny.write_tar(tmp_path / f"source/{part}.tar.gz", files)
        else:
            tiny.write_folder(tmp_path / "source", files)
    done = fetch_with(tmp_path, {"dataset": described(tmp_path), "source": "source"})
    assert done.returncode == 0, done.stderr
    assert_full(tmp_path)


@pytest.mark.parametrize("name", ["copy.bin", "sample.tar.gz"])
def test_the_sample_under_any_path(tmp_path, name):
    """It has its own name and licence. The same files in a different archive are not known to be the sample."""
    content = yaml.safe_load(Path(IDD_LITE).read_text())
    content["sample"]["source"] = str(tiny.SAMPLE)
    (tmp_path / "set.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (tmp_path / name).write_bytes(tiny.SAMPLE.read_bytes())
    done = fetch_with(tmp_path, {"dataset": "set.yaml", "source": name})
    assert done.returncode == 0, done.stderr
    assert read_dataset(tmp_path / "data/raw/dataset.json") == SAMPLE
    assert "as published" not in done.stdout

    (tmp_path / name).write_bytes(tiny.SAMPLE.read_bytes() + bytes(10))  # zeros behind a gzip stream are padding
    done = fetch_with(tmp_path, {"dataset": "set.yaml", "source": name})
    assert done.returncode == 0, done.stderr
    assert not read_dataset(tmp_path / "data/raw/dataset.json").sample
    assert "train has 18 frames, 1,403 as published" in done.stdout
