"""Parameters and the files between the stages, damaged: what is read is sound, or a message says what is wrong."""

import contextlib
import json
import struct
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segcore import arrays, params, ranking, sample
from segcore.console import UserError
from segcore.idd_lite import Frame
from segcore.labels import CLASSES
from segcore.preprocessing import PreprocessParams
from stages.fetch import FetchParams
from tests import mutations

REPEATABLE = {"derandomize": True, "database": None, "deadline": None}
MODELS = {"fetch": FetchParams, "preprocess": PreprocessParams, "sample": sample.SampleSpec}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a test."""
    return tmp_path_factory.mktemp("files")


def mutated(data: bytes):
    """Strategy: the bytes after one to three mutations."""
    return st.integers(0, 2**32).map(lambda seed: mutations.mutate(Random(seed), data))


# Parameters

GOOD = (
    b"fetch:\n  source: data/sample.yaml  # text\n  sha256: null\npreprocess: {height: 160, width: 320, "
    b"validation: official}\nsample: {seed: 4, train: 32, val: 12, test: 8}\n"
)
SCALARS = (
    "0x_", "0b_", "0x" + "f" * 5000, "9" * 5000, "1:2:3:4.5", "1" + ":59" * 3000, "1:2" + ":0" * 3000 + ".5",
    "2024-13-45", "0000-00-00", "2001-01-01T00:00:00+99:99", "!!int x", "!!float x", "!!bool x", "!!timestamp x",
    "!!binary x", "!!null x", "!!set x", "!!omap [1]", "!!pairs [[]]", "!!python/object/apply:os.system [ls]", "!x y",
    "&a [*a]", "*a", "{<<: 1}", "{<<: [{a: 1}]}", "? [a]\n: b", ".nan", "-.inf", "1e999", "''", "~", '"\\ud800"',
    '"\\0"', "[" * 1000, "{a: " * 1000, "{1: 2, [3]: 4}", "=", "|", "%", "\ufeff", "\x85",
)  # fmt: skip
scalars = st.sampled_from(SCALARS) | st.text(max_size=10)
keys = st.sampled_from(["fetch", "preprocess", "sample", "source", "sha256", "height", "seed"]) | scalars
mappings = st.lists(st.builds("{}: {}".format, keys, scalars), max_size=4).map(", ".join)
texts = st.builds("{}: {{{}}}\n{}".format, keys, mappings, scalars) | st.builds("fetch: {{source: {}}}".format, scalars)
encoded = st.builds(str.encode, texts, st.sampled_from(["utf-8", "utf-16", "latin-1"]), st.just("replace"))


@settings(max_examples=200, **REPEATABLE)
@given(encoded | mutated(GOOD) | st.binary(max_size=100))
def test_parameters_of_any_bytes(folder, data):
    (folder / "params.yaml").write_bytes(data)
    for section, model in MODELS.items():
        with contextlib.suppress(UserError):
            assert isinstance(params.load(section, model, folder / "params.yaml"), model)
    with contextlib.suppress(UserError):
        sample.read_spec(folder / "params.yaml")


def refusal(folder, text: str | bytes) -> str:
    (folder / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        params.load("fetch", FetchParams, folder / "params.yaml")
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2024-13-45", "params.yaml: not valid YAML: not a value of the kind timestamp in"),
        ("9" * 5000, "params.yaml: not valid YAML: not a value of the kind int in"),
        ("!!bool x", "params.yaml: not valid YAML: not a value of the kind bool in"),
        ("!!timestamp x", "params.yaml: not valid YAML: not a value of the kind timestamp in"),
        (
            "0x" + "f" * 5000,
            "params.yaml: fetch.source: input should be a valid string; it is a number of thousands of",
        ),
        ("[" * 1000, "params.yaml: not valid YAML: too deeply nested"),
        ("&a [*a]", "params.yaml: not valid YAML: *a: an alias; write the value itself in"),
        ("!!python/name:os.system x", "params.yaml: not valid YAML: could not determine a constructor for the tag"),
    ],
)
def test_a_value_that_yaml_or_python_stumbles_over(tmp_path, value, message):
    assert refusal(tmp_path, f"fetch: {{source: {value}}}").startswith(message)


def test_a_few_aliases_do_not_become_a_billion_values(tmp_path):
    for several in ("[{}]", "{{<<: [{}]}}"):
        text = "a0: &a0 {x: 1}\n"
        for level in range(30):
            text += f"a{level + 1}: &a{level + 1} " + several.format(", ".join([f"*a{level}"] * 9)) + "\n"
        assert "*a0: an alias" in refusal(tmp_path, text + "fetch: {source: *a30}\n")


def test_a_file_too_large_for_parameters(tmp_path):
    text = b"fetch: {source: x}\n#".ljust(params.MAX_BYTES, b"#")
    (tmp_path / "params.yaml").write_bytes(text)
    assert params.load("fetch", FetchParams, tmp_path / "params.yaml").source == "x"
    assert refusal(tmp_path, text + b"#") == "params.yaml: more than 65,536 bytes, too many for parameters"


def test_a_long_wrong_value_is_shown_in_part(tmp_path):
    assert len(refusal(tmp_path, "fetch: {source: [" + "x, " * 10_000 + "]}")) < 400


# Arrays

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
        assert arrays.load_images(folder, "val").dtype == np.uint8


@pytest.mark.parametrize(
    "header",
    [
        "(" * 5000, "-" * 9000 + "1", "'''", "{[]: 1}", "{}\n  x\n y", HEADER.replace("2,", f"{10**30},"),
        HEADER.replace("2,", "True,"), HEADER.replace("3)", "4)").replace("6, 8", "6, 6"),
    ],
)  # fmt: skip
def test_a_header_that_numpy_stumbles_over(tmp_path, header):
    (tmp_path / "val_images.npy").write_bytes(npy(header))
    with pytest.raises(UserError, match=r"val_images\.npy: .*; run `dvc repro preprocess`"):
        arrays.load_images(tmp_path, "val")


def test_an_archive_of_arrays_is_no_array(tmp_path):
    np.savez(tmp_path / "x.npz", np.zeros((2, 6, 8, 3), np.uint8))
    (tmp_path / "x.npz").rename(tmp_path / "val_images.npy")
    with pytest.raises(UserError, match=r"not a complete \.npy file"):
        arrays.load_images(tmp_path, "val")


def test_labels_of_no_class(tmp_path):
    np.save(tmp_path / "val_images.npy", np.zeros((2, 6, 8, 3), np.uint8))
    labels = np.zeros((2, 6, 8), np.uint8)
    labels[0, 0, 0], labels[1, 5, 7] = 255, 6
    np.save(tmp_path / "val_labels.npy", labels)
    arrays.load_labelled(tmp_path, "val")
    labels[1, 5, 7] = 7
    np.save(tmp_path / "val_labels.npy", labels)
    with pytest.raises(UserError, match="val labels with what is no class id; run `dvc repro preprocess`"):
        arrays.load_labelled(tmp_path, "val")


# Tables and statistics

ROWS = b"split,drive,frame,height,width\nval,1,000024,227,320\ntest,2,000031,227,320\n"
COUNTS = b"drive,frame,class,tp,fp,fn\n1,000024,sky,5,6,7\n1,000024,far,0,6,7\n2,000031,sky,0,0,1\n"
SHARES = dict.fromkeys(CLASSES, 0.1)
STATS = json.dumps({"mean": [0.5] * 3, "std": [0.3] * 3, "share": SHARES, "void_share": 0.3})


@settings(max_examples=250, **REPEATABLE)
@given(mutated(ROWS) | st.binary(max_size=50), mutated(COUNTS) | st.binary(max_size=50), mutated(STATS.encode()))
def test_tables_and_statistics_of_any_bytes(folder, rows, counts, stats):
    for name, data in (("frames.csv", rows), ("counts.csv", counts), ("stats.json", stats)):
        (folder / name).write_bytes(data)
    with contextlib.suppress(UserError):
        arrays.read_rows(folder, "val")
    with contextlib.suppress(UserError):
        ranking.rank(folder / "counts.csv")
    with contextlib.suppress(UserError):
        assert np.isfinite(arrays.read_stats(folder).mean).all()


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
def test_rows_that_would_lead_astray(tmp_path, row, reason):
    (tmp_path / "frames.csv").write_text(f"split,drive,frame,height,width\n{row}\n")
    with pytest.raises(UserError, match=rf"frames\.csv: not the table that preprocess writes \(.*{reason}"):
        arrays.read_rows(tmp_path, "val")


def test_counts_that_would_lead_astray(tmp_path):
    for row, reason in (("../..,1,sky,1,1,1", "do not name a drive"), (f"a,1,sky,{10**30},1,1", "not the table")):
        (tmp_path / "frames.csv").write_text(f"drive,frame,class,tp,fp,fn\n{row}\n")
        with pytest.raises(UserError, match=reason):
            ranking.rank(tmp_path / "frames.csv")


@pytest.mark.parametrize("drive", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_frame_lies_in_the_folder_of_its_drive(drive):
    with pytest.raises(ValueError, match="do not name a drive and a frame"):
        Frame("val", drive, "1")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[]", "null", "\xff", STATS.replace("0.5", "NaN", 1), STATS.replace("0.5", '"a"', 1),
        STATS.replace("0.5, ", "", 1), STATS.replace("0.1", "-1", 1), STATS.replace("sky", "sea"),
    ],
)  # fmt: skip
def test_statistics_that_are_none(tmp_path, text):
    (tmp_path / "stats.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"stats\.json: not the statistics that preprocess writes \(.*run `dvc repro"):
        arrays.read_stats(tmp_path)
