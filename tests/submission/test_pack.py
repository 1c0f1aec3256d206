"""The archive for IDD-Lite's organisers, packed from predictions made by hand."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.files.arrays import Row, write_rows
from segcore.runtime.errors import UserError
from segcore.submission.pack import ORGANISERS, SUBMISSION, pack
from tests.support.idd_lite import DESCRIPTION, save_dataset
from tests.support.running import ROOT
from tests.support.tiny import ids, png

FRAMES = [("7", "000002"), ("7", "000010"), ("12", "000001"), ("größe", "1")]
TEST = Path("data/predictions/test")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> None:
    """A working folder with predictions of four test frames, 8×6 pixels, and one of val."""
    monkeypatch.chdir(tmp_path)
    Path("data/arrays").mkdir(parents=True)
    frames = [Frame("val", "3", "000004"), *(Frame("test", *names) for names in FRAMES)]
    write_rows(Path("data/arrays/frames.csv"), [Row(frame, 6, 8) for frame in frames])
    for frame in frames:
        predict(Path("data/predictions") / frame.prediction, len(frame.name))
    save_dataset(Path(), **dict(DESCRIPTION.dataset(sample=False)))
    ORGANISERS.parent.mkdir()
    shutil.copyfile(ROOT / ORGANISERS, ORGANISERS)


def predict(path: Path, seed: int) -> None:
    """Write class ids without void."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(ids(seed=seed) % 7))


def test_the_archive_has_the_predictions_of_test_where_the_organisers_look_for_them():
    assert pack() == "data/submission.zip: 4 predictions of 3 drives"
    with zipfile.ZipFile(SUBMISSION) as archive:
        assert archive.testzip() is None
        archive.extractall("preds")
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
    # Their script replaces the folder of the ground truth in its path by that of the predictions.
    expected = {Path("gts", drive, f"{name}_label.png"): TEST / drive / f"{name}_label.png" for drive, name in FRAMES}
    extracted = {path for path in Path("preds").rglob("*") if path.is_file()}
    assert extracted == {Path(str(truth).replace("gts", "preds")) for truth in expected}
    for truth, prediction in expected.items():
        submitted = Path(str(truth).replace("gts", "preds"))
        assert submitted.read_bytes() == prediction.read_bytes()
        with Image.open(submitted) as picture:
            assert (picture.mode, picture.size) == ("L", (8, 6))
            assert np.asarray(picture).max() < 7


def test_the_same_predictions_give_the_same_bytes():
    pack()
    first = SUBMISSION.read_bytes()
    for path in sorted(TEST.rglob("*.png"), reverse=True):
        content = path.read_bytes()
        path.unlink()  # a new file is listed elsewhere in its folder
        path.write_bytes(content)
        path.chmod(0o600)
        os.utime(path, (2_000_000_000, 2_000_000_000))
    table = Path("data/arrays/frames.csv").read_text().splitlines()
    Path("data/arrays/frames.csv").write_text("\n".join([table[0], *reversed(table[1:])]))
    pack()
    assert SUBMISSION.read_bytes() == first


def remove() -> None:
    (TEST / "7/000002_label.png").unlink()
    (TEST / "12/000001_label.png").unlink()


def add() -> None:
    predict(TEST / "12/000009_label.png", 1)


def add_other_files() -> None:
    (TEST / ".DS_Store").touch()
    (TEST / "12/000001_label.png~").touch()


def shrink() -> None:
    (TEST / "12/000001_label.png").write_bytes(png(ids((6, 8)) % 7))


def submit_void() -> None:
    for drive in ("7/000010", "12/000001"):
        (TEST / f"{drive}_label.png").write_bytes(png(ids()))


def submit_colours() -> None:
    (TEST / "7/000002_label.png").write_bytes(png(np.zeros((6, 8, 3), np.uint8)))


def submit_ids_of_a_different_set() -> None:
    (TEST / "7/000002_label.png").write_bytes(png(np.full((6, 8), 7, np.uint8)))


def cut() -> None:
    path = TEST / "größe/1_label.png"
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove, ["2 of 4 test frames have no prediction", "test/12/000001_label.png", "drives: 12, 7"]),
        (add, ["1 of 5 predictions are of no test frame", "test/12/000009_label.png", "drives: 12"]),
        (add_other_files, ["2 of 6 predictions are of no test frame", "test/.DS_Store"]),
        (shrink, ["1 of 4 predictions cannot", "test/12/000001_label.png: its size is 6×8, its frame's 8×6"]),
        (submit_void, ["2 of 4 predictions cannot", "test/12/000001_label.png: 255 (void) is not a class"]),
        (submit_colours, ["1 of 4 predictions cannot", "test/7/000002_label.png: grey of 8 bits was expected"]),
        (submit_ids_of_a_different_set, ["test/7/000002_label.png: 7 is no id of the 7 classes"]),
        (cut, ["1 of 4 predictions cannot", "test/größe/1_label.png: unreadable"]),
    ],
)
def test_predictions_that_do_not_fit_the_test_frames_are_refused(damage, said):
    SUBMISSION.write_text("old")
    damage()
    with pytest.raises(UserError) as refused:
        pack()
    assert [part for part in [*said, "run `dvc repro"] if part not in str(refused.value)] == []
    assert SUBMISSION.read_text() == "old"
    assert [path.name for path in Path("data").iterdir() if path.is_file()] == ["submission.zip"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"name": "the built-in sample", "sample": True}, "the built-in sample"),
        ({"name": "IDD-Lite", "sample": True}, "IDD-Lite"),
        ({"name": "Cityscapes"}, "Cityscapes"),
        ({"name": "IDD"}, "IDD"),
        ({"classes": dict(reversed(DESCRIPTION.dataset(sample=False).classes.items()))}, "IDD-Lite"),
    ],
)
def test_a_different_data_set_is_not_submitted(changes, name):
    SUBMISSION.write_text("old")
    save_dataset(Path(), **dict(DESCRIPTION.dataset(sample=False)) | changes)
    with pytest.raises(
        UserError, match=f"data/raw/dataset.json: the data set is {name}.* the format of IDD-Lite's organisers"
    ):
        pack()
    assert SUBMISSION.read_text() == "old"


def test_without_the_data_set_s_description_nothing_is_submitted():
    Path("data/raw/dataset.json").unlink()
    with pytest.raises(
        UserError, match=r"dataset\.json is missing: `dvc pull data/raw` gets it.*, `dvc repro fetch` makes"
    ):
        pack()
    assert not SUBMISSION.exists()


def test_without_test_frames_there_is_nothing_to_submit():
    write_rows(Path("data/arrays/frames.csv"), [Row(Frame("val", "3", "000004"), 6, 8)])
    with pytest.raises(UserError, match="it lists no test frames"):
        pack()
