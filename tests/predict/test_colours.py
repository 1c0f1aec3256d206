"""Colours of a model's classes: those of a description in data/sets, or generated ones."""

import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageCms

from segcore.files.description import SETS
from segcore.predict.colours import find_colours, generate
from tests.support.idd_lite import CLASSES, COLOURS
from tests.support.running import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SETS.mkdir(parents=True)


def describe(path, names, red=0):
    """Write a description of a data set with these classes, the i-th in the colour (red, i + 1, 0)."""
    classes = {name: {"colour": [red, i + 1, 0], "ids": [i]} for i, name in enumerate(names)}
    layouts = [{"images": "{split}/{drive}/{frame}.jpg", "labels": "{split}/{drive}/{frame}.png"}]
    about = {"name": "a set", "about": "A set.", "licence": {"terms": "Free."}, "layouts": layouts}
    Path(path).write_text(yaml.safe_dump({**about, "classes": classes}, sort_keys=False))


def test_colours_are_those_of_the_description_with_the_same_classes_in_order(capsys):
    shutil.copy(ROOT / SETS / "idd_lite.yaml", SETS)
    describe(SETS / "another.yaml", ["road", "sky"])
    describe(SETS / "other_order.yaml", CLASSES[::-1])
    assert find_colours(CLASSES) == COLOURS
    assert find_colours(["road", "sky"]) == [(0, 1, 0), (0, 2, 0)]
    assert capsys.readouterr().err == ""


def test_the_description_that_params_yaml_names_comes_first():
    describe(SETS / "a.yaml", ["road", "sky"], red=1)
    describe(SETS / "b.yaml", ["road", "sky"], red=2)
    describe("mine.yaml", ["road", "sky"], red=3)
    assert find_colours(["road", "sky"])[0] == (1, 1, 0)
    for name, red in {"data/sets/b.yaml": 2, "mine.yaml": 3, "missing.yaml": 1}.items():
        Path("params.yaml").write_text(f"fetch: {{dataset: {name}, source: data/frames}}\n")
        assert find_colours(["road", "sky"])[0] == (red, 1, 0)


@pytest.mark.parametrize("text", ["fetch: {}", "fetch: {dataset: 3}", "[", "\xff"])
def test_what_cannot_be_read_is_passed_over(text):
    Path("params.yaml").write_text(text, encoding="latin-1")
    (SETS / "a.yaml").write_text(text, encoding="latin-1")
    describe(SETS / "b.yaml", ["road", "sky"])
    assert find_colours(["road", "sky"]) == [(0, 1, 0), (0, 2, 0)]


@pytest.mark.parametrize("classes", [["sky", "road"], ["road"], ["road", "sky", "sea"], ["Road", "sky"]])
def test_without_a_description_they_are_generated_and_a_line_says_so(capsys, classes):
    describe(SETS / "a.yaml", ["road", "sky"])
    assert find_colours(classes) == generate(len(classes))
    assert capsys.readouterr().err == (
        "no description in data/sets has the classes of this model, so the colours are generated\n"
    )


def as_lab(colours):
    """Colours in CIELAB, by the colour management of Pillow."""
    picture = Image.fromarray(np.array([colours], np.uint8))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
    lightness, a, b = np.asarray(converted)[0].astype(int).T
    return np.stack([lightness / 2.55, (a + 128) % 256, (b + 128) % 256], -1).tolist()


@pytest.mark.parametrize(("count", "apart"), [(2, 60), (7, 60), (19, 35), (64, 20)])
def test_generated_colours_are_clearly_different_and_neither_black_nor_white(count, apart):
    colours = generate(count)
    assert colours == generate(64)[:count]
    lab = as_lab([*colours, (0, 0, 0), (255, 255, 255)])
    assert min(math.dist(one, other) for one, other in itertools.combinations(lab, 2)) > apart
