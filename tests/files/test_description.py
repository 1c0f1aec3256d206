"""The descriptions of data sets: those of data/sets, and what is wrong with others."""

import contextlib
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mutations import mutate
from segcore.files.description import SETS, Description, read_description
from segcore.runtime.errors import UserError
from tests.support.running import ROOT

PUBLISHED = [ROOT / SETS / f"{name}.yaml" for name in ("cityscapes", "cityscapes_idd", "idd", "idd_lite")]
GOOD = """
name: Two classes
about: Roads below skies.
home: https://example.org/
licence: {terms: Do as you like., spdx: CC0-1.0}
classes:
  road: {colour: [128, 64, 128], ids: [0, 7], names: [road, lane]}
  sky: {colour: [70, 130, 180], ids: [1], names: [sky]}
void: {ids: [255], names: [fog], mask: [[0, 0, 0]]}
layouts:
  - {images: "images/{split}/{frame}.png", labels: "labels/{split}/{frame}.png"}
"""


def write(folder: Path, change: dict[str, Any]) -> Path:
    """A description with a different value at each path of keys, such as ``classes.sky.ids``; None removes the key."""
    values = yaml.safe_load(GOOD)
    for keys, value in change.items():
        *parents, last = keys.split(".")
        target = values
        for parent in parents:
            target = target[int(parent) if isinstance(target, list) else parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    path = folder / "set.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def read(folder: Path, change: dict[str, Any]) -> Description:
    return read_description(write(folder, change))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_description_of_this_repository_is_read(path):
    description = read_description(path)
    dataset = description.dataset(sample=False)
    assert (dataset.name, dataset.names) == (description.name, list(description.classes))
    assert path.name in (ROOT / "docs/datasets.md").read_text()


def test_the_examples_of_the_document_are_read(tmp_path):
    examples = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/datasets.md").read_text(), re.MULTILINE | re.DOTALL)
    for number, text in enumerate(examples):
        (tmp_path / f"{number}.yaml").write_text(text)
    streets, towns = (read_description(tmp_path / f"{number}.yaml") for number in range(len(examples)))
    assert streets.name == "Streets"
    assert towns.model_fields_set == Description.model_fields.keys() - {"sample"}  # each key is shown


def test_the_names_of_the_descriptions_differ():
    names = [read_description(path).name for path in PUBLISHED]
    assert len(set(names)) == len(names) > 3


def test_what_is_not_given(tmp_path):
    description = read(tmp_path, {"home": None, "void": None, "licence.spdx": None})
    assert description.protocol == "native"
    assert description.layouts[0].encoding == "ids"
    assert description.folders() == {"train": "train", "val": "val", "test": "test"}
    assert (description.splits.train.required, description.splits.test.required) == (True, False)
    assert description.classes["sky"].mask_colours == ((70, 130, 180),)
    assert description.void.mask_colours == ()


def test_folders_of_splits_in_any_case(tmp_path):
    description = read(tmp_path, {"splits": {"val": {"folders": ["Val", "VALIDATION"]}}})
    assert description.splits.val.required
    assert description.folders() == {"train": "train", "val": "val", "validation": "val", "test": "test"}


def test_the_sample_has_a_name_and_a_licence_of_its_own(tmp_path):
    sample = {"source": "s.tar", "name": "drawn", "about": "Drawn frames.", "licence": {"terms": "free"}}
    description = read(tmp_path, {"sample": sample})
    own, other = description.dataset(sample=True), description.dataset(sample=False)
    assert (own.name, own.about, own.licence.terms, own.sample) == ("drawn", "Drawn frames.", "free", True)
    assert (other.name, other.licence.spdx, other.sample) == ("Two classes", "CC0-1.0", False)
    assert (own.home, other.home) == (None, "https://example.org/")
    assert own.classes == other.classes == {"road": (128, 64, 128), "sky": (70, 130, 180)}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nme", "x", "nme: unknown parameter"),
        ("classes.road.name", "x", "classes.road.name: unknown parameter"),
        ("void.colour", [1, 1, 1], "void.colour: unknown parameter"),
        ("splits", {"training": {}}, "splits.training: unknown parameter"),
        ("name", None, "name: missing"),
        ("licence", None, "licence: missing"),
        ("classes.sky.colour", None, "classes.sky.colour: missing"),
        ("layouts", None, "layouts: missing"),
        ("layouts", [], "layouts: "),
        ("layouts.0.labels", None, "layouts.0.labels: missing"),
        ("name", 3, "name: input should be a valid string; it is 3"),
        ("about", "", "about: string should have at least 1 character"),
        ("licence.terms", "", "licence.terms: string should have at least 1 character"),
        ("licence.spdx", "CC 0", "licence.spdx: string should match"),
        ("home", 3, "home: input should be a valid string"),
        ("parts", "IDD", "parts: input should be a valid list; it is 'IDD'"),
        ("classes", {"road": {"colour": [1, 2, 3]}}, "classes: dictionary should have at least 2 items"),
        ("classes.sky.colour", [70, 130, 256], "classes.sky.colour.2: input should be less than or equal to 255"),
        ("classes.sky.colour", [-1, 130, 180], "classes.sky.colour.0: input should be greater than or equal to 0"),
        ("classes.sky.colour", [70, 130], "classes.sky.colour.2: missing"),
        ("classes.sky.colour", [1, 2.5, 3], "classes.sky.colour.1: input should be a valid integer; it is 2.5"),
        ("classes.sky.colour", "#4682b4", "classes.sky.colour: input should be a valid list; it is '#4682b4'"),
        ("classes.sky.ids", [256], "classes.sky.ids.0: input should be less than or equal to 255; it is 256"),
        ("classes.sky.ids", [True], "classes.sky.ids.0: input should be a valid integer; it is True"),
        ("classes.sky.ids", 1, "classes.sky.ids: input should be a valid list; it is 1"),
        ("classes.sky.names", ["sky", ""], "classes.sky.names.1: string should have at least 1 character"),
        ("classes.sky.mask", [[1, 2, 300]], "classes.sky.mask.0.2: input should be less than or equal to 255"),
        ("classes.void", {"colour": [9, 9, 9], "ids": [3]}, "classes.void: the name of a class was expected"),
        ("classes.mIoU", {"colour": [9, 9, 9], "ids": [3]}, "classes.mIoU: the name of a class was expected"),
        ("classes.a/b", {"colour": [9, 9, 9], "ids": [3]}, "classes.a/b: the name of a class was expected"),
        ("layouts.0.encoding", "rgb", "layouts.0.encoding: input should be 'ids', 'colours' or 'polygons'"),
        ("protocol", "nativ", "protocol: input should be 'native'; it is 'nativ'"),
        (
            "protocol",
            {"width": 256, "height": 128, "resampling": "bilinear"},
            "protocol.resampling: input should be 'nearest'; it is 'bilinear'",
        ),
        ("size", [320], "size.1: missing"),
        ("size", [320, 0], "size.1: input should be greater than or equal to 1; it is 0"),
        ("splits", {"train": {"frames": -1}}, "splits.train.frames: input should be greater than or equal to 0"),
        ("sample", {"source": "s.tar"}, "sample.name: missing"),
    ],
)
def test_a_wrong_value(tmp_path, key, value, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, {key: value})
    assert f"{tmp_path / 'set.yaml'}: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes.sky.colour": [128, 64, 128]}, "classes: each colour (void is drawn in black) was expected once"),
        ({"classes.sky.colour": [0, 0, 0]}, "classes: each colour (void is drawn in black) was expected once"),
        ({"classes.sky.ids": [1, 7]}, "classes: each id was expected once; 7 is there twice"),
        ({"classes.sky.ids": [1, 1]}, "classes: each id was expected once; 1 is there twice"),
        ({"void.ids": [0]}, "classes: each id was expected once; 0 is there twice"),
        ({"classes.sky.names": ["lane"]}, "classes: each name was expected once; lane is there twice"),
        ({"void.names": ["sky"]}, "classes: each name was expected once; sky is there twice"),
        ({"skip_names": ["road"]}, "classes: each name was expected once; road is there twice"),
        ({"classes.road.mask": [[70, 130, 180]]}, "classes: each mask colour was expected once; (70, 130, 180) is"),
        ({"void.mask": [[70, 130, 180]]}, "classes: each mask colour was expected once; (70, 130, 180) is there"),
        ({"classes.sky.ids": None}, "classes.sky.ids: missing, and layouts.0 has the encoding ids"),
        (
            {"classes.sky.names": None, "layouts.0.encoding": "polygons", "layouts.0.labels": "{split}/{frame}.json"},
            "classes.sky.names: missing, and layouts.0 has the encoding polygons",
        ),
        (
            {"splits": {"train": {"folders": ["training", "Val"]}}},
            "splits: each folder was expected once; val is there twice",
        ),
    ],
)
def test_values_that_contradict_each_other(tmp_path, change, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, change)
    assert str(caught.value).startswith(f"{tmp_path / 'set.yaml'}: {message}")


RELATIVE = "a relative path with `/` between folders, and without `*`, was expected"
PAIRS = "braces were expected in pairs, neither nested nor around a `/`"
BRACES = "{split}, {drive}, {frame} or alternatives such as {jpg|png} were expected in braces"
ONCE = "{split} and {frame} were expected once each, and {drive} at most once"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/{split}/{frame}.png", RELATIVE),
        ("../{split}/{frame}.png", RELATIVE),
        ("{split}/./{frame}.png", RELATIVE),
        ("{split}//{frame}.png", RELATIVE),
        ("{split}\\{frame}.png", RELATIVE),
        ("{split}/{a\\|b}{frame}.png", RELATIVE),
        ("", RELATIVE),
        ("{split}/{frame.png", PAIRS),
        ("{split}/frame}.png", PAIRS),
        ("{split}/{{frame}|x}.png", PAIRS),
        ("{split}/{a/|b}{frame}.png", PAIRS),
        ("{split}/{city}/{frame}.png", BRACES),
        ("{split}/{}{frame}.png", BRACES),
        ("{Split}/{frame}.png", BRACES),
        ("x/{frame}.png", ONCE),
        ("{split}/x.png", ONCE),
        ("{split}/{split}/{frame}.png", ONCE),
        ("{split}/{frame}_{frame}.png", ONCE),
        ("{split}/{drive}/{drive}_{frame}.png", ONCE),
        ("{split}/{drive}{frame}.png", "text between {drive} and {frame} was expected"),
    ],
)
@pytest.mark.parametrize("key", ["images", "labels"])
def test_a_wrong_pattern(tmp_path, key, pattern, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, {f"layouts.0.{key}": pattern})
    assert str(caught.value) == f"{tmp_path / 'set.yaml'}: layouts.0.{key}: {message}; it is {pattern!r}"


IMAGES = "images: a pattern that ends in .jpg or .jpeg or .png was expected"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layouts.0.images": "{split}/{frame}"}, IMAGES),
        ({"layouts.0.images": "{split}/{frame}.bmp"}, IMAGES),
        ({"layouts.0.images": "{split}/{frame}.{png|bmp}"}, IMAGES),
        ({"layouts.0.images": "{split}/{frame}.{jpg|}"}, IMAGES),
        ({"layouts.0.images": "{split}/{frame}.png{|.gz}"}, IMAGES),
        ({"layouts.0.images": "{split}/x.{frame}"}, IMAGES),
        ({"layouts.0.labels": "{split}/{frame}.jpg"}, "labels: a pattern that ends in .png was expected"),
        ({"layouts.0.labels": "{split}/{frame}.json"}, "labels: a pattern that ends in .png was expected"),
        ({"layouts.0.encoding": "polygons"}, "labels: a pattern that ends in .json was expected"),
        ({"layouts.0.images": "{split}/{drive}/{frame}.png"}, "{drive} was expected in both images and labels, or in"),
    ],
)
def test_patterns_that_do_not_fit(tmp_path, change, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, change)
    assert str(caught.value).startswith(f"{tmp_path / 'set.yaml'}: layouts.0: {message}")


def test_each_wrong_value_is_named(tmp_path):
    with pytest.raises(UserError) as caught:
        read(tmp_path, {"name": "", "layouts.0.encoding": "rgb"})
    keys = [line.removeprefix(f"{tmp_path / 'set.yaml'}: ").split(":")[0] for line in str(caught.value).splitlines()]
    assert keys == ["name", "layouts.0.encoding"]


def test_classes_need_only_what_the_layouts_read(tmp_path):
    """A set of colour masks has neither ids nor names."""
    keys = [f"classes.{name}.{key}" for name in ("road", "sky") for key in ("ids", "names")]
    description = read(tmp_path, {"layouts.0.encoding": "colours"} | dict.fromkeys(keys))
    assert [each.mask_colours for each in description.classes.values()] == [((128, 64, 128),), ((70, 130, 180),)]


@pytest.mark.parametrize(
    ("text", "message"),
    [("[", "not valid YAML"), ("- road", "a mapping of names to values was expected"), ("", "a mapping of names")],
)
def test_a_file_that_is_no_description(tmp_path, text, message):
    (tmp_path / "set.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_description(tmp_path / "set.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'set.yaml'}: {message}")


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.integers(0, 2**32).map(lambda seed: mutate(Random(seed), GOOD.encode())) | st.binary(max_size=100))
def test_a_file_of_any_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "set.yaml"
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        assert isinstance(read_description(path), Description)
