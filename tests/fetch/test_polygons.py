"""Polygons are drawn as the organisers' tool draws them, and files that are no such labels are refused."""

import json

import numpy as np
import pytest
from cityscapesscripts.helpers import labels as cityscapes
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from hypothesis import given, settings
from hypothesis import strategies as st

from segcore.fetch import polygons
from segcore.fetch.problems import Wrong
from tests.support import labels
from tests.support.labels import CAR, ROAD, SKY, VOID, described, refusal

SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]


def made(*objects, size=(12, 10), **more):
    """A label with objects, each a name, a polygon, and more keys."""
    width, height = size
    listed = [{"label": name, "polygon": polygon, **keys} for name, polygon, keys in objects]
    return json.dumps({"imgWidth": width, "imgHeight": height, "objects": listed, **more}).encode()


def problem(folder, data, size=None):
    return refusal(labels.read, folder, data, described("polygons"), size)


def drawn(folder, *objects):
    return labels.ids(folder, made(*objects), described("polygons"))


# The organisers' tool


def of_cityscapes():
    """A description with the 19 classes of Cityscapes in the order of their trainId."""
    names = [label.name for label in cityscapes.labels]
    classes = {
        cityscapes.trainId2label[number].name: {"colour": [number, 100, 100], "names": []} for number in range(19)
    }
    for label in cityscapes.labels:
        if 0 <= label.trainId < 19:
            classes[cityscapes.trainId2label[label.trainId].name]["names"].append(label.name)
    void = [label.name for label in cityscapes.labels if label.trainId == 255]
    assert "polegroup" in void and len(names) == 19 + len(void) + 1
    return described("polygons", classes=classes, void={"names": void}, skip_names=["license plate"])


def coordinates(frame):
    """Whole and fractional numbers in the frame, beside it, and far from it."""
    return st.one_of(
        st.integers(-9, frame + 9),
        st.floats(-9, frame + 9),
        st.sampled_from([0, frame - 1, frame, -0.5, 1e6, -1e6, 1e5 + 0.5]),
    )


def objects(names):
    points = st.tuples(coordinates(23), coordinates(17))
    return st.lists(
        st.tuples(
            st.sampled_from(names),
            st.lists(points, min_size=3, max_size=12),
            st.sampled_from([{}, {"deleted": 0}, {"deleted": 1}, {"id": 3, "user": "x", "date": "", "verified": 0}]),
        ),
        max_size=8,
    )


NAMES = [*cityscapes.name2label, "cargroup", "persongroup", "bicyclegroup", "license plategroup", "staticgroup"]


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(objects(NAMES))
def test_the_pixels_are_those_of_the_organisers_tool(tmp_path_factory, listed):
    data = made(*listed, size=(23, 17), objectType="x")
    reference = Annotation()
    reference.fromJsonText(data)
    expected = np.asarray(createLabelImage(reference, "trainIds"))
    found = labels.ids(tmp_path_factory.mktemp("label"), data, of_cityscapes())
    np.testing.assert_array_equal(found, expected)


# By hand


def test_later_objects_cover_earlier_ones(tmp_path):
    found = drawn(
        tmp_path,
        ("sky", [[0, 0], [11, 0], [11, 4], [0, 4]], {}),
        ("car", SQUARE, {}),
        ("static", [[2, 2], [3, 2], [3, 3], [2, 3]], {}),
    )
    expected = np.full((10, 12), VOID)
    expected[:5] = SKY
    expected[1:5, 1:5] = CAR
    expected[2:4, 2:4] = VOID
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("parking", {}, ROAD),
        ("roadgroup", {}, ROAD),
        ("road", {"deleted": 1}, SKY),
        ("road", {"deleted": True}, SKY),
        ("road", {"deleted": None}, ROAD),
        ("unheard of", {"deleted": 1}, SKY),
        ("license plate", {}, SKY),
        ("license plategroup", {}, SKY),
        ("static", {}, VOID),
    ],
)
def test_which_objects_are_drawn(tmp_path, name, keys, value):
    assert drawn(tmp_path, ("sky", SQUARE, {}), (name, SQUARE, keys))[2, 2] == value


@pytest.mark.parametrize("points", [[], [[2, 2]], [[1, 1], [4, 4]]])
def test_fewer_than_three_points_are_left_out_and_the_stage_says_so(tmp_path, points):
    data = made(("sky", SQUARE, {}), ("car", points, {}))
    found = labels.read(tmp_path, data, described("polygons"))
    assert not (np.asarray(found.picture) == CAR).any()
    assert found.origin == "polygons; those of fewer than 3 points were left out"
    deleted = made(("sky", SQUARE, {}), ("car", points, {"deleted": 1}))
    assert labels.read(tmp_path, deleted, described("polygons")).origin == "polygons"


def test_a_label_without_objects_is_void(tmp_path):
    assert (drawn(tmp_path) == VOID).all()


def test_sides_may_be_text_as_for_the_organisers_tool(tmp_path):
    data = made(("sky", SQUARE, {}), size=("12", 10.0))
    assert labels.ids(tmp_path, data, described("polygons")).shape == (10, 12)


# What is refused


def test_names_that_the_description_does_not_have(tmp_path):
    data = made(
        ("truck", SQUARE, {}),
        ("car", SQUARE, {}),
        ("a\nb", SQUARE, {}),
        ("busgroup", SQUARE, {}),
        ("truck", SQUARE, {}),
    )
    assert problem(tmp_path, data) == (
        "names that the description (fetch.dataset) does not know: 'truck', 'a\\nb', 'busgroup'; give each to a class "
        "or to void there, or correct the labels"
    )


def test_a_different_size_is_refused_before_anything_is_drawn(tmp_path):
    assert problem(tmp_path, made(("unheard of", SQUARE, {})), (12, 9)) == "12×10 pixels; its frame has 12×9"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((5000, 5000), "5000×5000 pixels; at most 16,000,000 in all were expected"),
        ((10**30, 1), "imgWidth: input should be less than or equal to 16384"),
        ((0, 10), "imgWidth: input should be greater than or equal to 1"),
        ((12, -10), "imgHeight: input should be greater than or equal to 1"),
        ((12, 10.5), "imgHeight: input should be a valid integer"),
        ((12, None), "imgHeight: input should be a valid integer"),
    ],
)
def test_sizes(tmp_path, size, said):
    assert problem(tmp_path, made(size=size)).startswith(said)


@pytest.mark.parametrize(
    ("polygon", "said"),
    [
        ([[1, 2], [3, "4"]], "objects.1.polygon.1.1: input should be a valid number"),
        ([[1, 2], [True, 4]], "objects.1.polygon.1.0: input should be a valid number"),
        ([[1, 2], [3]], "objects.1.polygon.1.1: field required"),
        ([[1, 2, 3]], "objects.1.polygon.0: tuple should have at most 2 items"),
        ([[1, float("nan")]], "objects.1.polygon.0.1: input should be a finite number"),
        ([[float("-inf"), 2]], "objects.1.polygon.0.0: input should be a finite number"),
        ([[1, 2], [2e6, 4]], "objects.1.polygon.1.0: input should be less than or equal to 1000000"),
        ([[1, -(10**20)]], "objects.1.polygon.0.1: input should be greater than or equal to -1000000"),
        ({"x": 1}, "objects.1.polygon: input should be a valid array"),
        ([[1, 2]] * 10_001, "objects.1.polygon: list should have at most 10000 items"),
        (None, "objects.1.polygon: input should be a valid array"),
    ],
)
def test_polygons_that_are_none(tmp_path, polygon, said):
    data = made(("car", SQUARE, {}), ("car", polygon, {}))
    assert problem(tmp_path, data).startswith(said)
    assert problem(tmp_path, data).endswith("; correct it, or download it again")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Invalid JSON: EOF while parsing"),
        (made(("car", SQUARE, {}))[:-9], "Invalid JSON: EOF while parsing"),
        (b"[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        (b'{"imgWidth": ' + b"9" * 100_000 + b"}", "Invalid JSON: number out of range"),
        (b'{"imgWidth": 1, "imgHeight": 1, "objects": [{"label": "\\ud800", "polygon": []}]}', "Invalid JSON: "),
        (b'{"imgWidth": 1, "imgHeight": 1, "objects": [{"label": "\xff", "polygon": []}]}', "Invalid JSON: "),
        (b"[]", "its content: input should be an object"),
        (b'{"imgWidth": 1, "imgHeight": 1}', "objects: field required"),
        (made(("x" * 101, SQUARE, {})), "objects.0.label: string should have at most 100 characters"),
        (b"<html>Please log in", "a web page, not polygons in JSON; log in to its site, and download it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not polygons in JSON; run `git"),
    ],
)  # fmt: skip
def test_files_that_are_no_polygons(tmp_path, data, said):
    assert problem(tmp_path, data).startswith(said)


def test_large_files_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(polygons, "MAX_VALUES", 40)
    assert "more than 40 values" in problem(tmp_path, made(*[("car", SQUARE, {})] * 5))
    monkeypatch.setattr(polygons, "MAX_BYTES", 40)
    assert "more than 40 bytes" in problem(tmp_path, made(*[("car", SQUARE, {})] * 5))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["car", "road"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["label", "polygon", "deleted", "objects"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(json_values, json_values, st.integers(0, 200), st.binary(max_size=3))
def test_any_content_is_read_or_refused(tmp_path_factory, value, polygon, cut, inserted):
    """No other error ends the stage."""
    folder = tmp_path_factory.mktemp("label")
    whole = made(("car", polygon, {"deleted": value}), ("sky", SQUARE, {}), ("car", SQUARE, {}), more=value)
    for data in (json.dumps(value).encode(), whole, whole[:cut] + inserted + whole[cut:]):
        try:
            found = labels.read(folder, data, described("polygons"))
        except Wrong:
            continue
        assert set(np.asarray(found.picture).flat) <= {ROAD, CAR, SKY, VOID}
