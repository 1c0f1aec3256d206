"""The sample in git is what tools/sample.py draws, and resembles IDD-Lite."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.dataset.classes import VOID
from segcore.dataset.frames import LABELLED, SPLITS
from tests.support import tiny
from tests.support.idd_lite import CLASSES
from tools import sample
from tools.scenes.street import KINDS

pytestmark = pytest.mark.slow

# IDD-Lite's own, over its train split, in %
PUBLISHED = np.array([32.4, 2.2, 1.3, 8.1, 11.2, 26.0, 18.9])

FILES = tiny.sample()


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    """The sample, drawn by three threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGCORE_THREADS", "3")
        return sample.draw_sample()


def opened(name: str) -> Image.Image:
    return Image.open(BytesIO(FILES[name]))


def test_the_archive_has_what_the_program_draws(drawn):
    assert drawn == FILES


def test_the_bytes_of_the_archive_do_not_depend_on_time_or_user(tmp_path, monkeypatch):
    files = dict(list(FILES.items())[:4])
    monkeypatch.setattr(sample, "draw_sample", lambda: dict(reversed(files.items())))
    sample.main(tmp_path / "x.tar.gz")
    assert (tmp_path / "x.tar.gz").read_bytes() == sample.pack(files)
    assert tiny.read_tar(tmp_path / "x.tar.gz") == files


def test_the_archive_is_small_enough_for_git():
    assert tiny.SAMPLE.stat().st_size < 2e6


def test_the_layout_is_that_of_idd_lite():
    images = [Path(name) for name in FILES if name.startswith("leftImg8bit/")]
    for split in SPLITS:
        frames = [image for image in images if image.parts[1] == split]
        drives, frames_of_each = sample.DRIVES[split]
        assert len(frames) == drives * frames_of_each
        assert len({image.parts[2] for image in frames}) == drives
    for image in images:
        split, drive, frame = image.parts[1], image.parts[2], image.name.removesuffix("_image.jpg")
        assert drive.isdecimal() and frame.isdecimal() and len(frame) == 6
        assert (f"gtFine/{split}/{drive}/{frame}_label.png" in FILES) == (split in LABELLED)
    assert len({(image.parts[2]) for image in images}) == sum(drives for drives, _ in sample.DRIVES.values())


def test_a_comparison_has_intervals():
    assert sample.DRIVES["val"][0] >= 10  # fewer drives give no verdict


def test_every_kind_of_street_is_in_train_and_val():
    for split in LABELLED:
        assert sample.DRIVES[split][0] >= len(KINDS)  # consecutive drives differ in kind


def test_pictures_are_rgb_jpegs_and_labels_grey_pngs():
    expected = {"leftImg8bit": ("JPEG", "RGB", (320, 227)), "gtFine": ("PNG", "L", (320, 227))}
    for name in FILES:
        picture = opened(name)
        assert (picture.format, picture.mode, picture.size) == expected[name.split("/")[0]]


@pytest.mark.parametrize("split", LABELLED)
def test_every_class_has_about_its_published_share(split):
    counts = np.zeros(256, int)
    for name in FILES:
        if name.startswith(f"gtFine/{split}/"):
            counts += np.bincount(np.asarray(opened(name)).ravel(), minlength=256)
    shares = 100 * counts[: len(CLASSES)] / counts[: len(CLASSES)].sum()
    assert (abs(shares - PUBLISHED) < 0.3 * PUBLISHED).all(), shares.round(1)
    assert 0 < counts[VOID] < 0.005 * counts.sum()
    assert counts[len(CLASSES) : VOID].sum() == 0


def test_every_class_is_in_test_too():
    drives, frames = sample.DRIVES["test"]
    labels = [np.asarray(sample.draw_frame(sample.SEED, "test", d, i)[1]) for d in range(drives) for i in range(frames)]
    assert set(range(len(CLASSES))) <= set(np.unique(labels).tolist())


def test_labels_fit_their_picture():
    """Colours vary less within the classes than they do when the label map is shifted."""
    for name in FILES:
        if name.startswith("gtFine/val/"):
            image = name.replace("gtFine", "leftImg8bit").replace("_label.png", "_image.jpg")
            picture, ids = np.asarray(opened(image), np.float64), np.asarray(opened(name))
            for shift in ((2, 0), (-2, 0), (0, 2), (0, -2)):
                assert variance_within(ids, picture) < variance_within(np.roll(ids, shift, (0, 1)), picture)


def variance_within(ids: np.ndarray, picture: np.ndarray) -> float:
    return sum(((picture[ids == k] - picture[ids == k].mean(0)) ** 2).sum() for k in np.unique(ids))


def test_a_frame_does_not_depend_on_what_else_is_drawn():
    alone = sample.encode_frame(sample.SEED, "train", 3, 1)
    assert len(alone) == 2
    assert {name: FILES[name] for name in alone} == alone


def test_a_different_seed_draws_different_streets():
    assert not set(sample.encode_frame(sample.SEED + 1, "train", 0, 0).values()) & set(FILES.values())
