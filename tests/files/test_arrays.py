"""data/arrays, damaged: what is read is sound, or a message says what is wrong."""

import contextlib
import json
import struct
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import mutations
from segcore.files import arrays
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES

REPEATABLE = {"derandomize": True, "database": None, "deadline": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a test."""
    return tmp_path_factory.mktemp("files")


def mutated(data: bytes):
    """Strategy: the bytes after one to three mutations."""
    return st.integers(0, 2**32).map(lambda seed: mutations.mutate(Random(seed), data))


# Images and labels

HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 6, 8, 3), }"
PIXELS = bytes(2 * 6 * 8 * 3)


def npy(header: str, data: bytes = PIXELS) -> bytes:
    """A .npy file with this header: version 1.0 of numpy's format."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode("latin-1") + data


shapes = st.lists(
    st.sampled_from(["0", "1", "2", "3", "-1", "True", "1e3", "'a'", str(2**62), str(10**30)]), max_size=5
)
headers = st.builds("{{'descr': {}, 'fortran_order': {}, 'shape': ({},)}}".format,
    st.sampled_from(["'|u1'", "'<f8'", "'|O'", "'|V0'", "[]", "5", "('|u1', (2,))", "[('a', '|u1')]", "None"]),
    st.sampled_from(["False", "True", "0", "[]"]), shapes.map(",".join),
)  # fmt: skip


@settings(max_examples=300, **REPEATABLE)
@given(headers.map(npy) | st.text(st.characters(max_codepoint=255)).map(npy) | mutated(npy(HEADER)) | st.binary())
def test_arrays_of_any_bytes(folder, data):
    (folder / "val_images.npy").write_bytes(data)
    with contextlib.suppress(UserError):
        assert arrays.load_images("val", folder).dtype == np.uint8


@pytest.mark.parametrize(
    "header",
    [
        "(" * 5000, "-" * 9000 + "1", "'''", "{[]: 1}", "{}\n  x\n y", HEADER.replace("2,", f"{10**30},"),
        HEADER.replace("2,", "True,"), HEADER.replace("3)", "4)").replace("6, 8", "6, 6"),
    ],
)  # fmt: skip
def test_a_damaged_header(tmp_path, header):
    (tmp_path / "val_images.npy").write_bytes(npy(header))
    with pytest.raises(UserError, match=r"val_images\.npy: .*; run `dvc repro preprocess`"):
        arrays.load_images("val", tmp_path)


def test_an_npz_file_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", np.zeros((2, 6, 8, 3), np.uint8))
    (tmp_path / "x.npz").rename(tmp_path / "val_images.npy")
    with pytest.raises(UserError, match=r"not a complete \.npy file"):
        arrays.load_images("val", tmp_path)


@pytest.mark.parametrize("classes", [2, 3, 7, 64])
def test_labels_that_are_no_class_id(tmp_path, classes):
    np.save(tmp_path / "val_images.npy", np.zeros((2, 6, 8, 3), np.uint8))
    labels = np.zeros((2, 6, 8), np.uint8)
    labels[0, 0, 0], labels[1, 5, 7] = 255, classes - 1
    np.save(tmp_path / "val_labels.npy", labels)
    arrays.load_labelled("val", classes, tmp_path)
    labels[1, 5, 7] = classes
    np.save(tmp_path / "val_labels.npy", labels)
    with pytest.raises(
        UserError, match=f"val labels have values that are no id of the {classes} classes; run `dvc repro preprocess`"
    ):
        arrays.load_labelled("val", classes, tmp_path)


# The table of frames, and statistics

ROWS = b"split,drive,frame,height,width\nval,1,000024,227,320\ntest,2,000031,227,320\n"
SHARES = dict.fromkeys(CLASSES, 0.1)
STATS = json.dumps({"mean": [0.5] * 3, "std": [0.3] * 3, "share": SHARES, "void_share": 0.3})


@settings(max_examples=250, **REPEATABLE)
@given(mutated(ROWS) | st.binary(max_size=50), mutated(STATS.encode()))
def test_the_table_and_statistics_of_any_bytes(folder, rows, stats):
    (folder / "frames.csv").write_bytes(rows)
    (folder / "stats.json").write_bytes(stats)
    with contextlib.suppress(UserError):
        arrays.read_rows("val", folder)
    with contextlib.suppress(UserError):
        assert np.isfinite(arrays.read_stats(folder).mean).all()


@pytest.mark.parametrize("classes", [CLASSES, ["street", "anything else", "a"]])
def test_the_classes_are_those_of_the_shares_in_order(tmp_path, classes):
    stats = arrays.Stats(mean=[0.5] * 3, std=[0.3] * 3, share=dict.fromkeys(classes, 0.1), void_share=0.3)
    arrays.write_stats(tmp_path / "stats.json", stats)
    assert arrays.read_stats(tmp_path) == stats
    assert arrays.read_stats(tmp_path).classes == classes


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("val,../../..,1,2,3", "do not name a drive and a frame"),
        ("val,..,1,2,3", "do not name a drive and a frame"),
        ("val,a,../b,2,3", "do not name a drive and a frame"),
        ("val,a,b\0c,2,3", "do not name a drive and a frame"),
        ("val,a,1,0,3", "a size that no frame has"),
        ("val,a,1,2,-3", "a size that no frame has"),
        ("val,a,1,4000,4001", "a size that no frame has"),
        (f"val,a,1,{2**62},{2**62}", "a size that no frame has"),
        (f"val,a,1,{10**30},3", "Overflow"),
    ],
)
def test_rows_with_wrong_names_or_sizes(tmp_path, row, reason):
    (tmp_path / "frames.csv").write_text(f"split,drive,frame,height,width\n{row}\n")
    with pytest.raises(UserError, match=rf"frames\.csv: not the table that preprocess writes \(.*{reason}"):
        arrays.read_rows("val", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[]", "null", "\xff", STATS.replace("0.5", "NaN", 1), STATS.replace("0.5", '"a"', 1),
        STATS.replace("0.5, ", "", 1), STATS.replace("0.1", "-1", 1),
        json.dumps(json.loads(STATS) | {"share": {}}),
    ],
)  # fmt: skip
def test_wrong_statistics(tmp_path, text):
    (tmp_path / "stats.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"stats\.json: .*; run `dvc repro preprocess`"):
        arrays.read_stats(tmp_path)
