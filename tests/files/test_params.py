"""Reading a section of params.yaml."""

import contextlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mutations import mutate
from segcore.files.params import load
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Real, Strict

GOOD = b"knobs: {epochs: 3, lr: 5e-4, flip: true}  # text\nother: {}\n"


class Knobs(Strict):
    epochs: int
    lr: Real
    flip: bool


def read(folder: Path, data: bytes) -> Knobs:
    (folder / "params.yaml").write_bytes(data)
    return load("knobs", Knobs, folder / "params.yaml")


def test_a_section_is_read_typed(tmp_path):
    assert read(tmp_path, GOOD) == Knobs(epochs=3, lr=0.0005, flip=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other: {}", "the section `knobs` is missing"),
        ("knobs: [1", "not valid YAML"),
        ("knobs: " + "[" * 1000, "not valid YAML"),
        ("knobs: 2024-13-45", "not valid YAML: month must be in 1..12"),
        ("knobs: !!python/name:os.system x", "not valid YAML: could not determine a constructor for the tag"),
        ("knobs: {epochs: 3, epochs: 4}", "not valid YAML: the key 'epochs' is there twice"),
        ("knobs: {epochs: 010}", "not valid YAML: write '010' as a decimal number at line 1"),
        ("- 1\n- 2", "a mapping of names to values was expected"),
        ("", "a mapping of names to values was expected"),
        ("knobs: 3", "knobs: "),
        ("knobs:", "knobs: "),
        ("knobs: {epochs: abc, lr: 1, flip: true}", "knobs.epochs: "),
    ],
)
def test_a_wrong_file(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text.encode())
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: {message}")


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.integers(0, 2**32).map(lambda seed: mutate(Random(seed), GOOD)) | st.binary(max_size=100))
def test_a_file_of_any_bytes(tmp_path_factory, data):
    with contextlib.suppress(UserError):
        assert isinstance(read(tmp_path_factory.getbasetemp(), data), Knobs)


def test_merge_keys_may_be_nested_and_overridden(tmp_path):
    text = b"a: &a {epochs: 1, lr: 2}\nb: &b {<<: *a, lr: 3}\nknobs: {<<: [*b, *a], flip: true}\n"
    assert read(tmp_path, text) == Knobs(epochs=1, lr=3, flip=True)


@pytest.mark.parametrize("value", ["*x8", "[*x8, *x8]", "{a: *x8}"])
def test_a_message_does_not_show_values_that_aliases_make_huge(tmp_path, value):
    lines = ["x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(UserError) as caught:
        read(tmp_path, "\n".join([*lines, f"knobs: {{epochs: {value}, lr: 1, flip: true}}"]).encode())
    assert len(str(caught.value)) < 2000
