"""Layouts of other descriptions: parts, images beside labels, any order of the placeholders, and proposals."""

import re
from pathlib import Path

import pytest
import yaml

from segcore.fetch.layouts import LayoutMapper
from segcore.files.description import SETS, Description, read_description
from tests.support.idd_lite import DESCRIPTION
from tests.support.layouts import mapped, places, refusal
from tests.support.running import ROOT

PUBLISHED = [ROOT / SETS / f"{name}.yaml" for name in ("cityscapes", "cityscapes_idd", "idd", "idd_lite")]
FULL = {
    "layouts": [
        {
            "images": "leftImg8bit/{split}/{drive}/{frame}_leftImg8bit.{png|jpg}",
            "labels": "gtFine/{split}/{drive}/{frame}_gtFine_levelIds.png",
        },
        {
            "images": "leftImg8bit/{split}/{drive}/{frame}_leftImg8bit.{png|jpg}",
            "labels": "gtFine/{split}/{drive}/{frame}_gtFine_polygons.json",
            "encoding": "polygons",
        },
    ],
    "parts": ["Part_I", "partII"],
    "ignore": ["*_Color.png", "*.txt"],
    "splits": {"train": {"folders": ["train", "Training"]}, "val": {"folders": ["dev"]}},
}
PARTS = {
    "x/Part_I/leftImg8bit/Train/0/1_leftImg8bit.png": "leftImg8bit/train/0/1_image.png",
    "x/partII/leftImg8bit/TRAINING/1/1_leftImg8bit.jpg": "leftImg8bit/train/1/1_image.jpg",
    "x/partII/leftImg8bit/dev/2/1_leftImg8bit.jpg": "leftImg8bit/val/2/1_image.jpg",
    "x/PART_I/gtFine/train/0/1_gtFine_polygons.json": "found/1/train/0/1.json",
    "x/Part_I/gtFine/train/0/1_gtFine_levelIds.png": "found/0/train/0/1.png",
    "x/partII/gtFine/dev/2/1_gtFine_polygons.json": "found/1/val/2/1.json",
    "x/partII/gtFine/test/3/1_gtFine_polygons.json": None,
    "x/partII/gtFine/dev/2/1_gtFine_color.png": None,
    "x/partII/gtFine/val/2/1_gtFine_polygons.json": None,
}


def described(changes):
    """A description with other values than IDD-Lite's, as a YAML file would have them."""
    names = {name: each | {"names": [name]} for name, each in DESCRIPTION.model_dump()["classes"].items()}
    return Description.model_validate(DESCRIPTION.model_dump() | {"name": "Full", "classes": names} | changes)


def test_parts_are_one_set_and_layouts_have_ranks():
    mapper, found = mapped(*PARTS, description=described(FULL))
    mapper.finish()
    assert found == [place and Path(place) for place in PARTS.values()]
    assert mapper.passed_over.count == 0  # neither what is ignored, nor labels of test


def test_a_pattern_of_several_layouts_is_named_once():
    first = next(iter(PARTS))
    said = refusal(first, "x/partII/leftImg8bit/test/1/1.png", description=described(FULL))
    assert said.count("in Full an image is named leftImg8bit/{split}/{drive}/{frame}_leftImg8bit.{png|jpg}, of") == 1
    assert said.count("{split}") == 1


def test_a_part_beside_a_different_folder_is_a_second_set():
    first, second, *_ = PARTS
    said = refusal(first, second.replace("partII", "part3"), description=described(FULL))
    assert said == "more than one data set in it: x/Part_I/leftImg8bit, x/part3/leftImg8bit; keep one of them"
    assert "more than one data set" in refusal(first, second, description=described(FULL | {"parts": []}))


def test_the_same_frame_in_two_parts_or_with_two_suffixes():
    first = next(iter(PARTS))
    for second in (first.replace("Part_I", "partII"), first.replace(".png", ".jpg")):
        said = refusal(first, second, description=described(FULL))
        assert said == f"{second}: a second file for the frame of {first}; remove one of them"


SIDE_BY_SIDE = {"images": "{split}/{frame}.png", "labels": "{split}/{frame}_mask.png"}


def test_images_and_labels_side_by_side():
    """`{frame}.png` fits the labels, too."""
    mapper = LayoutMapper(described({"layouts": [SIDE_BY_SIDE]}), "source")
    assert [str(mapper.place(f"train/{name}.png")) for name in ("a_mask", "a", "b", "b_mask")] == [
        "found/0/train/train/a.png",
        "leftImg8bit/train/train/a_image.png",
        "leftImg8bit/train/train/b_image.png",
        "found/0/train/train/b.png",
    ]
    mapper.finish()


def test_a_test_image_that_is_named_as_a_label_is_not_lost():
    said = refusal("train/a.png", "test/3.png", "test/4_mask.png", description=described({"layouts": [SIDE_BY_SIDE]}))
    assert said.startswith("'test/4_mask.png' fits images and labels of the description, and there is no frame")
    mapper, _ = mapped("test/4_mask.png", "test/4.png", description=described({"layouts": [SIDE_BY_SIDE]}))
    mapper.finish()


def test_labels_in_a_folder_below_that_of_the_images():
    description = described({"layouts": [{"images": "{split}/{frame}.png", "labels": "masks/{split}/{frame}.png"}]})
    mapper = LayoutMapper(description, "source")
    assert str(mapper.place("x/masks/val/1.png")) == "found/0/val/val/1.png"
    assert str(mapper.place("x/val/1.png")) == "leftImg8bit/val/val/1_image.png"
    mapper.finish()


def test_labels_of_two_layouts_in_two_folders():
    layouts = [{"images": "images/{split}/{frame}.jpg", "labels": f"{kind}/{{split}}/{{frame}}.png"} for kind in "ab"]
    mapper = LayoutMapper(described({"layouts": layouts}), "source")
    assert [str(mapper.place(f"{kind}/train/1.png")) for kind in "ab"] == [
        "found/0/train/train/1.png",
        "found/1/train/train/1.png",
    ]


def test_drives_above_the_splits():
    layout = {"images": "rgb/{drive}/{split}/{frame}.png", "labels": "seg/{drive}/{split}/{frame}.png"}
    mapper = LayoutMapper(described({"layouts": [layout]}), "source")
    assert [str(mapper.place(f"{path}/1.png")) for path in ("rgb/a/train", "rgb/b/val", "seg/a/train")] == [
        "leftImg8bit/train/a/1_image.png",
        "leftImg8bit/val/b/1_image.png",
        "found/0/train/a/1.png",
    ]
    mapper.finish()


@pytest.mark.parametrize("path", ["train/images/a_1.jpg", "images/train_a_1.jpg", "train/a/1.jpg", "a/train/1/x.jpg"])
def test_splits_and_drives_anywhere_in_a_pattern(path):
    patterns = {
        "train/images/a_1.jpg": "{split}/images/{drive}_{frame}.jpg",
        "images/train_a_1.jpg": "images/{split}_{drive}_{frame}.jpg",
        "train/a/1.jpg": "{split}/{drive}/{frame}.jpg",
        "a/train/1/x.jpg": "{drive}/{split}/{frame}/x.jpg",
    }
    labels = patterns[path].replace("images", "labels").replace(".jpg", ".png")
    description = described({"layouts": [{"images": patterns[path], "labels": labels}]})
    label = path.replace("images", "labels").replace(".jpg", ".png")
    mapper, found = mapped(f"top/{path}", f"top/{label}", description=description)
    mapper.finish()
    assert found == [Path("leftImg8bit/train/a/1_image.jpg"), Path("found/0/train/a/1.png")]


@pytest.fixture
def sets(tmp_path):
    """A folder of descriptions: IDD-Lite's, one of a different layout, and one that cannot be read."""
    (tmp_path / "lite.yaml").write_text((ROOT / SETS / "idd_lite.yaml").read_text())
    (tmp_path / "full.yaml").write_text(yaml.safe_dump(described(FULL).model_dump(mode="json"), sort_keys=False))
    (tmp_path / "broken.yaml").write_text("name: [")
    (tmp_path / "folder.yaml").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "path",
    ["Part_I/leftImg8bit/train/0/005506_leftImg8bit.png", "leftImg8bit/train/frankfurt/frankfurt_0_2_leftImg8bit.jpg"],
)
def test_a_description_that_fits_is_named(sets, path):
    said = refusal("gtFine/train/0/005506_gtFine_polygons.json", path, sets=sets)
    assert said == (
        f"{path!r}: not named as an image of IDD-Lite; set fetch.dataset to {sets}/full.yaml, which reads such names"
    )


def test_a_description_that_fits_where_nothing_does(sets):
    path = "x/images/train/7/01.jpg"
    said = refusal("notes.png", path, "x/labels/train/7/01.png", description=described(FULL), sets=sets)
    assert (
        said
        == f"{path!r}: not named as an image of Full; set fetch.dataset to {sets}/lite.yaml, which reads such names"
    )


def test_several_descriptions_that_fit(sets):
    (sets / "more.yaml").write_text((sets / "full.yaml").read_text().replace("Full", "More"))
    said = refusal("leftImg8bit/train/0/1_leftImg8bit.png", sets=sets)
    assert said.endswith(f"; set fetch.dataset to {sets}/full.yaml or {sets}/more.yaml, which reads such names")


def test_pictures_beside_a_data_set_that_fit_a_different_description(sets):
    beside = "docs/images/train/1.jpg"
    for paths in [(*PARTS, beside), (beside, *PARTS)]:
        mapped(*paths, description=described(FULL), sets=sets)[0].finish()


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_descriptions_of_this_repository_place_what_their_layouts_name(path):
    """No glob to ignore hides an image or a label that a layout reads."""
    description = read_description(path)
    for rank, layout in enumerate(description.layouts):
        image, label = map(example, (layout.images, layout.labels))
        drive = "a" if "{drive}" in layout.images else "train"
        assert places(image, label, description=description) == [
            Path(f"leftImg8bit/train/{drive}/1_image{Path(image).suffix}"),
            Path(f"found/{rank}/train/{drive}/1{Path(label).suffix}"),
        ]


def example(pattern):
    """A path that fits a pattern: the first of the alternatives, and its own name for each placeholder."""
    for text, value in (("{split}", "train"), ("{drive}", "a"), ("{frame}", "1")):
        pattern = pattern.replace(text, value)
    return re.sub(r"\{([^|]*)\|[^}]*\}", r"\1", pattern)
