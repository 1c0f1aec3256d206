from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.console import UserError
from segcore.labels import CLASSES, VOID
from segcore.sample import SampleSpec, draw_frame, read_spec, write_sample
from tests.tiny import contents

BUILT_IN = Path(__file__).parents[1] / "data/sample.yaml"
# IDD-Lite's own, over its train split, in %
PUBLISHED = np.array([32.4, 2.2, 1.3, 8.1, 11.2, 26.0, 18.9])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The sample that data/sample.yaml describes, drawn by three threads."""
    root = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGCORE_THREADS", "3")
        write_sample(read_spec(BUILT_IN), root)
    return root


def pixels(root: Path, split: str) -> np.ndarray:
    """Count the pixels of each id in the labels of a split."""
    labels = (np.asarray(Image.open(file)) for file in root.glob(f"gtFine/{split}/*/*"))
    return sum(np.bincount(label.ravel(), minlength=256) for label in labels)


def test_the_layout_is_that_of_idd_lite(root):
    spec = read_spec(BUILT_IN)
    for split, frames in (("train", spec.train), ("val", spec.val), ("test", spec.test)):
        images = sorted(root.glob(f"leftImg8bit/{split}/*/*"))
        assert len(images) == frames
        for image in images:
            drive, frame = image.parent.name, image.name.removesuffix("_image.jpg")
            assert drive.isdecimal() and frame.isdecimal() and len(frame) == 6
            assert (root / f"gtFine/{split}/{drive}/{frame}_label.png").exists() == (split != "test")
    assert len(contents(root)) == 2 * (spec.train + spec.val) + spec.test


def test_pictures_are_rgb_jpegs_and_labels_grey_pngs(root):
    for folder, kind in (("leftImg8bit", ("JPEG", "RGB", (320, 227))), ("gtFine", ("PNG", "L", (320, 227)))):
        for file in root.glob(f"{folder}/*/*/*"):
            with Image.open(file) as picture:
                assert (picture.format, picture.mode, picture.size) == kind


def test_no_drive_stands_in_two_splits(root):
    drives = [folder.name for folder in root.glob("leftImg8bit/*/*")]
    assert len(drives) == len(set(drives)) == 8 + 3 + 2


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_class_is_there_in_about_its_published_share(root, split):
    counts = pixels(root, split)
    shares = 100 * counts[: len(CLASSES)] / counts[: len(CLASSES)].sum()
    tolerance = 0.3 if split == "train" else 0.5
    assert (abs(shares - PUBLISHED) < tolerance * PUBLISHED).all(), shares.round(1)
    assert 0 < counts[VOID] < 0.005 * counts.sum()
    assert counts[len(CLASSES) : VOID].sum() == 0


def test_every_class_is_there_in_test_too():
    spec = read_spec(BUILT_IN)
    labels = [np.asarray(draw_frame(spec.seed, "test", number)[1]) for number in range(spec.test)]
    assert set(range(len(CLASSES))) <= set(np.unique(labels).tolist())


def test_labels_lie_where_the_picture_shows_what_they_say(root):
    """Colours vary less within the classes than they do when the label map is moved aside."""
    for label in root.glob("gtFine/val/*/*"):
        image = str(label).replace("gtFine", "leftImg8bit").replace("_label.png", "_image.jpg")
        picture, ids = np.asarray(Image.open(image), np.float64), np.asarray(Image.open(label))
        for moved in ((2, 0), (-2, 0), (0, 2), (0, -2)):
            assert variance_within_classes(picture, ids) < variance_within_classes(picture, np.roll(ids, moved, (0, 1)))


def variance_within_classes(picture: np.ndarray, ids: np.ndarray) -> float:
    return sum(((picture[ids == k] - picture[ids == k].mean(0)) ** 2).sum() for k in np.unique(ids))


def test_a_frame_does_not_depend_on_threads_nor_on_what_else_is_drawn(root, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "1")
    seed = read_spec(BUILT_IN).seed
    write_sample(SampleSpec(seed=seed, train=2, val=1, test=1), tmp_path)
    fewer, all_of_them = contents(tmp_path), contents(root)
    assert len(fewer) == 2 + 2 + 1 + 1 + 1
    assert all(all_of_them[name] == data for name, data in fewer.items())


def test_another_seed_draws_other_streets(root, tmp_path):
    write_sample(SampleSpec(seed=read_spec(BUILT_IN).seed + 1, train=1, val=1, test=1), tmp_path)
    assert not set(contents(tmp_path).values()) & set(contents(root).values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{seed: 1, train: 4, val: 2, test: 2, tset: 2}", "tset: unknown parameter"),
        ("{seed: 1, train: 0, val: 2, test: 2}", "train: input should be greater than or equal to 1; it is 0"),
        ("{seed: abc, train: 4, val: 2, test: 2}", "seed: .* it is 'abc'"),
        ("{seed: -1, train: 4, val: 2, test: 2}", "seed: .* it is -1"),
        ("{seed: 1, train: 4, val: 2}", "test: missing"),
        ("[1, 2]", "a mapping"),
    ],
)
def test_a_wrong_description_names_the_key(tmp_path, text, said):
    path = tmp_path / "sample.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_spec(path)
