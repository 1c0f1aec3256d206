"""The descriptions in data/sets, by the organisers' tables of labels and on made sets in their published layouts."""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import Label, labels
from cityscapesscripts.preparation import json2labelImg
from PIL import Image

from segcore.dataset.classes import VOID
from segcore.files.dataset import read_dataset
from segcore.files.description import SETS, Description, read_description
from tests.support import tiny
from tests.support.running import ROOT, run_stage

IDD_LITE, IDD, CITYSCAPES, CITYSCAPES_IDD = (
    read_description(ROOT / SETS / f"{name}.yaml") for name in ("idd_lite", "idd", "cityscapes", "cityscapes_idd")
)
# For each level1Id, IDD's labels and their csId, the id in Cityscapes, where there is one: helpers/anue_labels.py of
# https://github.com/AutoNUE/public-code. The csId of "non-drivable fallback", terrain, is from an earlier version.
LEVEL_1: dict[int, dict[str, int | None]] = {
    0: {"road": 7, "parking": 9, "drivable fallback": None},
    1: {"sidewalk": 8, "rail track": 10, "non-drivable fallback": 22},
    2: {"person": 24, "animal": None, "rider": 25},
    3: {"motorcycle": 32, "bicycle": 33, "autorickshaw": None, "car": 26, "truck": 27, "bus": 28}
    | {"caravan": 29, "trailer": 30, "train": 31, "vehicle fallback": None},
    4: {"curb": None, "wall": 12, "fence": 13, "guard rail": 14, "billboard": None, "traffic sign": 20}
    | {"traffic light": 19, "pole": 17, "polegroup": 18, "obs-str-bar-fallback": None},
    5: {"building": 11, "bridge": 15, "tunnel": 16, "vegetation": 21},
    6: {"sky": 23, "fallback background": None},
    VOID: {"unlabeled": 0, "ego vehicle": 1, "rectification border": 2, "out of roi": 3, "license plate": None},
}
SIZE = (48, 36)


def by_id(description: Description) -> dict[int, int]:
    """The class of each id of the source, void included."""
    classes = {value: number for number, each in enumerate(description.classes.values()) for value in each.ids}
    return classes | dict.fromkeys(description.void.ids, VOID)


def by_name(description: Description) -> dict[str, int]:
    """The class of each polygon, void included."""
    classes = {value: number for number, each in enumerate(description.classes.values()) for value in each.names}
    return classes | dict.fromkeys(description.void.names, VOID)


def colours(description: Description) -> dict[str, tuple[int, int, int]]:
    return {name: each.colour for name, each in description.classes.items()}


# The tables


def test_the_classes_of_cityscapes():
    trained = sorted((label for label in labels if 0 <= label.trainId < VOID), key=lambda label: label.trainId)
    assert [label.trainId for label in trained] == list(range(19))
    assert list(colours(CITYSCAPES).items()) == [(label.name, label.color) for label in trained]


def test_the_labels_of_cityscapes():
    drawn = [label for label in labels if label.id >= 0]
    assert len(drawn) == 34
    assert by_id(CITYSCAPES) == {label.id: label.trainId for label in drawn}
    assert by_name(CITYSCAPES) == {label.name: label.trainId for label in drawn}
    assert CITYSCAPES.skip_names == tuple(label.name for label in labels if label.id < 0)


def test_the_labels_of_idd():
    assert by_id(IDD) == {number: number for number in LEVEL_1}
    assert by_name(IDD) == {name: number for number, each in LEVEL_1.items() for name in each}
    assert IDD.skip_names == ()  # all of IDD's ids are 0 or more


def test_the_labels_of_cityscapes_in_the_classes_of_idd():
    known = {id_: number for number, each in LEVEL_1.items() for id_ in each.values() if id_ is not None}
    drawn = {label.id: label.name for label in labels if label.id >= 0}
    assert {drawn[id_] for id_ in drawn.keys() - known.keys()} == {"static", "dynamic", "ground"}
    assert by_id(CITYSCAPES_IDD) == {id_: known.get(id_, VOID) for id_ in drawn}
    assert by_name(CITYSCAPES_IDD) == {name: known.get(id_, VOID) for id_, name in drawn.items()}
    assert CITYSCAPES_IDD.skip_names == CITYSCAPES.skip_names


def test_a_label_of_both_sets_has_one_class():
    idd, cityscapes = by_name(IDD), by_name(CITYSCAPES_IDD)
    both = idd.keys() & cityscapes.keys()
    assert len(both) == 30
    assert {name: idd[name] for name in both} == {name: cityscapes[name] for name in both}


@pytest.mark.parametrize("description", [IDD, CITYSCAPES_IDD], ids=lambda description: description.name)
def test_the_classes_are_those_of_idd_lite(description):
    """A model for one of them can be scored on the others."""
    assert list(colours(description).items()) == list(colours(IDD_LITE).items())


@pytest.mark.parametrize(
    ("description", "frames"),
    [
        (CITYSCAPES, (2975, 500, 1525)),
        (CITYSCAPES_IDD, (2975, 500, 1525)),
        (IDD, (6993 + 7034, 981 + 1055, 2029 + 2009)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_numbers_of_frames(description, frames):
    splits = description.splits
    assert (splits.train.frames, splits.val.frames, splits.test.frames) == frames


# Made sets


def polygons(names: Iterable[str], seed: int) -> bytes:
    """A label of one triangle or quadrangle per name, in any order, with groups and one that is deleted."""
    random = np.random.default_rng(seed)
    names = [*names, "cargroup", "persongroup"]
    random.shuffle(names)
    objects: list[dict[str, object]] = [
        {"label": name, "polygon": random.integers(-4, SIZE, (random.integers(3, 5), 2)).tolist()} for name in names
    ]
    width, height = SIZE
    deleted = {"label": "sky", "polygon": [[0, 0], [width, 0], [width, height], [0, height]], "deleted": 1}
    return json.dumps({"imgWidth": width, "imgHeight": height, "objects": [*objects, deleted]}).encode()


def drawn(data: bytes, encoding: str) -> np.ndarray:
    """Return the label that the program of Cityscapes draws, H×W; ``encoding`` is ``ids`` or ``trainIds``."""
    annotation = Annotation()
    annotation.fromJsonText(data.decode())
    picture = json2labelImg.createLabelImage(annotation, encoding)
    assert picture is not None
    return np.asarray(picture)


def fetched(folder: Path, name: str) -> dict[str, bytes]:
    """Run the stage on ``folder`` by the description ``name``; return the files of data/raw, without dataset.json."""
    run = folder.with_name("run")
    run.mkdir()
    section = {"source": str(folder), "dataset": str(ROOT / SETS / f"{name}.yaml"), "sha256": None}
    (run / "params.yaml").write_text(yaml.safe_dump({"fetch": section}))
    done = run_stage("fetch", run)
    assert done.returncode == 0, done.stderr
    description = read_description(ROOT / SETS / f"{name}.yaml")
    assert read_dataset(run / "data/raw/dataset.json") == description.dataset(sample=False)
    files = tiny.contents(run / "data/raw")
    del files["dataset.json"]
    return files


def labels_in(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    """The class ids of each label, and nothing but labels and frames."""
    assert {name.split("/")[0] for name in files} == {"leftImg8bit", "gtFine"}
    return {name: np.asarray(Image.open(io.BytesIO(data))) for name, data in files.items() if name.startswith("gtFine")}


def picture(seed: int) -> bytes:
    return tiny.png(np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8))


CITIES = {
    "train/aachen/aachen_000000_000019": 0,
    "train/bochum/bochum_000000_000313": 1,
    "val/frankfurt/frankfurt_000000_000294": 2,
    "test/berlin/berlin_000000_000019": 3,
}


def cityscapes(folder: Path, kinds: tuple[str, ...]) -> dict[str, bytes]:
    """Make leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip with labels of these kinds; return the polygons."""
    texts = {"README": b"text", "license.txt": b"text"}
    frames = {f"leftImg8bit/{frame}_leftImg8bit.png": picture(seed) for frame, seed in CITIES.items()}
    labels_ = {frame: polygons([label.name for label in labels], seed) for frame, seed in CITIES.items()}
    truth: dict[str, bytes] = {}
    for frame, data in labels_.items():
        if frame.startswith("test"):  # published without classes
            data = json.dumps({"imgWidth": SIZE[0], "imgHeight": SIZE[1], "objects": []}).encode()
        ids = drawn(data, "ids")
        made = {
            "polygons.json": data,
            "labelIds.png": tiny.png(ids),
            "instanceIds.png": tiny.png(ids.astype(np.int32) * 1000, "I;16"),
            "color.png": tiny.png(ids, "RGBA"),
        }
        truth |= {f"gtFine/{frame}_gtFine_{kind}": made[kind] for kind in kinds}
    folder.mkdir()
    tiny.write_zip(folder / "leftImg8bit_trainvaltest.zip", texts | frames)
    tiny.write_zip(folder / "gtFine_trainvaltest.zip", texts | truth)
    return {frame: data for frame, data in labels_.items() if not frame.startswith("test")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [("color.png", "instanceIds.png", "labelIds.png", "polygons.json"), ("labelIds.png",), ("polygons.json",)],
    ids=["as published", "ids", "polygons"],
)
def test_cityscapes_in_its_published_layout(tmp_path, kinds):
    truth = cityscapes(tmp_path / "archives", kinds)
    files = fetched(tmp_path / "archives", "cityscapes")
    for frame, seed in CITIES.items():
        assert files[f"leftImg8bit/{frame}_image.png"] == picture(seed)
    found = labels_in(files)
    assert found.keys() == {f"gtFine/{frame}_label.png" for frame in truth}
    for frame, data in truth.items():
        np.testing.assert_array_equal(found[f"gtFine/{frame}_label.png"], drawn(data, "trainIds"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labelIds.png", "polygons.json"])
def test_cityscapes_in_the_classes_of_idd(tmp_path, kind):
    truth = cityscapes(tmp_path / "archives", (kind,))
    found = labels_in(fetched(tmp_path / "archives", "cityscapes_idd"))
    classes = by_id(CITYSCAPES_IDD)
    assert len(found) == len(truth) == 3
    for frame, data in truth.items():
        expected = np.vectorize(classes.__getitem__)(drawn(data, "ids"))
        np.testing.assert_array_equal(found[f"gtFine/{frame}_label.png"], expected)


PARTS = {
    "IDD_Segmentation": ["train/0/024541", "train/1/116584", "val/119/638495", "test/2/903127"],
    "idd20kII": ["train/201/frame0029", "val/326/frame8447", "test/400/frame1129"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polygons.json", "labellevel1Ids.png"])
def test_both_parts_of_idd_in_their_published_layout(tmp_path, monkeypatch, kind):
    """The reference is the program of Cityscapes, from which the one of IDD is made, with IDD's table."""
    table = {name: number for number, each in LEVEL_1.items() for name in each}
    other = (False, False, (0, 0, 0))
    entries = {name: Label(name, 1, number, "", 0, *other) for name, number in table.items()}
    monkeypatch.setattr(json2labelImg, "name2label", entries)
    folder = tmp_path / "archives"
    folder.mkdir()
    images: dict[str, bytes] = {}
    truth: dict[str, np.ndarray] = {}
    for top, frames in PARTS.items():
        suffix = "png" if top == "IDD_Segmentation" else "jpg"
        files: dict[str, bytes] = {}
        for seed, frame in enumerate(frames):
            images[f"leftImg8bit/{frame}_image.{suffix}"] = data = (
                picture(seed) if suffix == "png" else tiny.jpeg(SIZE, seed=seed)
            )
            files[f"leftImg8bit/{frame}_leftImg8bit.{suffix}"] = data
            if not frame.startswith("test"):
                label = polygons(table, seed)
                truth[f"gtFine/{frame}_label.png"] = ids = drawn(label, "trainIds")
                made = {"polygons.json": label, "labellevel1Ids.png": tiny.png(ids)}
                files[f"gtFine/{frame}_gtFine_{kind}"] = made[kind]
                files[f"gtFine/{frame}_gtFine_labellevel3Ids.png"] = tiny.png(ids + 7)
                files[f"gtFine/{frame}_gtFine_instancelevel3Ids.png"] = tiny.png(ids + 7)
        tiny.write_tar(folder / f"{top}.tar.gz", tiny.under(top, files))
    found = fetched(folder, "idd")
    assert {name: data for name, data in found.items() if name in images} == images
    decoded = labels_in(found)
    assert len(found) == len(images) + len(truth)
    for name, expected in truth.items():
        np.testing.assert_array_equal(decoded[name], expected)
