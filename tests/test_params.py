"""Reading params.yaml: each wrong key is named, with its value."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from segcore.console import UserError
from segcore.params import Real, Section, load


class Knobs(Section):
    epochs: int = Field(ge=1)
    lr: Real = Field(gt=0)
    flip: bool
    kind: Literal["a", "b"]


def read(tmp_path: Path, text: str) -> Knobs:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load("knobs", Knobs, path)


def test_values_arrive_typed(tmp_path):
    knobs = read(tmp_path, "knobs: {epochs: 3, lr: 1, flip: true, kind: a}\nother: {}\n")
    assert knobs == Knobs(epochs=3, lr=1.0, flip=True, kind="a")


def test_yaml_reads_5e_4_as_text_and_we_do_not(tmp_path):
    assert read(tmp_path, "knobs: {epochs: 3, lr: 5e-4, flip: true, kind: a}").lr == 0.0005


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("knobs: {epochs: abc, lr: 1, flip: true, kind: a}", "knobs.epochs", "'abc'"),
        ("knobs: {epochs: '3', lr: 1, flip: true, kind: a}", "knobs.epochs", "'3'"),
        ("knobs: {epochs: true, lr: 1, flip: true, kind: a}", "knobs.epochs", "True"),
        ("knobs: {epochs: 2.5, lr: 1, flip: true, kind: a}", "knobs.epochs", "2.5"),
        ("knobs: {epochs: 0, lr: 1, flip: true, kind: a}", "knobs.epochs", "0"),
        ("knobs: {epochs: null, lr: 1, flip: true, kind: a}", "knobs.epochs", "None"),
        ("knobs: {epochs: 1, lr: -1, flip: true, kind: a}", "knobs.lr", "-1"),
        ("knobs: {epochs: 1, lr: fast, flip: true, kind: a}", "knobs.lr", "'fast'"),
        ("knobs: {epochs: 1, lr: .nan, flip: true, kind: a}", "knobs.lr", "nan"),
        ("knobs: {epochs: 1, lr: .inf, flip: true, kind: a}", "knobs.lr", "inf"),
        ("knobs: {epochs: 1, lr: true, flip: true, kind: a}", "knobs.lr", "True"),
        ("knobs: {epochs: 1, lr: 1, flip: 1, kind: a}", "knobs.flip", "1"),
        ("knobs: {epochs: 1, lr: 1, flip: true, kind: c}", "knobs.kind", "'c'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, text, key, value):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert f"{key}: " in str(caught.value)
    assert str(caught.value).endswith(f"it is {value}")


def test_every_problem_is_listed(tmp_path):
    with pytest.raises(UserError) as caught:
        read(tmp_path, "knobs: {epochs: 0, lr: 1, flip: true, knid: a}")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any("knobs.knid: unknown parameter" in line for line in lines)
    assert any("knobs.kind: missing" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other: {}", "the section `knobs` is missing"),
        ("knobs: [1", "not valid YAML"),
        ("- 1\n- 2", "a mapping of names to values was expected"),
        ("", "a mapping of names to values was expected"),
        ("knobs: 3", "knobs: "),
        ("knobs:", "knobs: "),
    ],
)
def test_a_file_that_is_no_params_file(tmp_path, text, message):
    with pytest.raises(UserError, match=r"params\.yaml") as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
