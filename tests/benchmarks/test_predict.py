"""The benchmarks of predict run on a tiny workspace."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import predict, report, tiles
from segcore.dataset.frames import Frame
from segcore.files.images import NATIVE
from segcore.files.model import MODEL
from tests.support.idd_lite import CLASSES
from tests.support.tiny_model import save_tiny_model

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["benchmark"])
    save_tiny_model(MODEL)
    rng = np.random.default_rng(1)
    for i in range(16):
        frame = Frame("val", "1", f"{i:03}")
        for path in (frame.image(".jpg"), frame.label):
            (NATIVE / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (45, 64, 3), dtype=np.uint8)).save(NATIVE / frame.image(".jpg"))
        Image.fromarray(rng.integers(0, 7, (45, 64), dtype=np.uint8)).save(NATIVE / frame.label)
    return tmp_path


def rows(name):
    return json.loads((report.RESULTS / f"{name}.json").read_text())["rows"]


def test_rates(workspace):
    predict.main(rounds=1, frames=9)
    assert [row["pictures"] for row in rows("predict")] == ["network alone", "frames × 1", "frames × 4"]
    assert all(row["per second"] > 0 for row in rows("predict"))
    assert rows("predict")[0]["ratio"] == 1


def test_tiles(workspace):
    tiles.main()
    assert len(rows("tiles")) == 5
    assert all(0 < row[name] < 1 for row in rows("tiles") for name in ("resized", "tiled"))
    assert rows("tiles")[-1]["resized"] != rows("tiles")[-1]["tiled"]


def test_a_mosaic_is_made_of_frames_in_rows():
    scenes, [mosaic, *_] = list(tiles.enlarged(1, CLASSES)), list(tiles.mosaics(2, CLASSES))
    picture, labels = np.asarray(mosaic[0]), mosaic[1]
    assert np.array_equal(picture[:45, 64:], np.asarray(scenes[1][0]))
    assert np.array_equal(labels[45:, :64], scenes[2][1])
