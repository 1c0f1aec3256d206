"""Typed reading: each wrong key is named, with its value."""

import math
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from segcore.runtime.errors import UserError
from segcore.runtime.typed import Real, Strict, read_json, validate

GOOD: dict[str, Any] = {"epochs": 3, "lr": 1, "flip": True, "kind": "a"}


class Knobs(Strict):
    epochs: int = Field(ge=1)
    lr: Real = Field(gt=0)
    flip: bool
    kind: Literal["a", "b"]


def knobs(**changes: Any) -> Knobs:
    return validate(GOOD | changes, Knobs, Path("params.yaml"), "knobs")


def test_values_arrive_typed():
    assert knobs() == Knobs(epochs=3, lr=1.0, flip=True, kind="a")
    assert isinstance(knobs().lr, float)


def test_text_that_is_a_number_is_accepted_for_a_real():
    assert knobs(lr="5e-4").lr == 0.0005  # as YAML reads 5e-4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("epochs", value) for value in ("abc", "3", True, 2.5, 0, None)),
        *(("lr", value) for value in (-1, "fast", math.nan, math.inf, True)),
        ("flip", 1),
        ("kind", "c"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key, value):
    with pytest.raises(UserError) as caught:
        knobs(**{key: value})
    assert str(caught.value).startswith(f"params.yaml: knobs.{key}: ")
    assert str(caught.value).endswith(f"it is {value!r}")


def test_every_problem_is_listed():
    with pytest.raises(UserError) as caught:
        validate({"epochs": 0, "lr": 1, "flip": True, "knid": "a"}, Knobs, Path("x"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any("x: knid: unknown parameter" in line for line in lines)
    assert any("x: kind: missing" in line for line in lines)


@pytest.mark.parametrize("value", [["x"] * 10_000, 16**5000], ids=["list", "integer"])
def test_a_long_wrong_value_is_shown_in_part(value):
    with pytest.raises(UserError) as caught:
        knobs(kind=value)
    assert len(str(caught.value)) < 400


def test_json_that_a_stage_did_not_write_names_the_stage(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"epochs": 1, "lr": 1.5, "flip": false, "kind": "b"}')
    assert read_json(path, Knobs, "train").kind == "b"
    for text, key in (("[", "its content"), ('{"epochs": "1"}', "epochs")):
        path.write_text(text)
        with pytest.raises(UserError, match=rf"x\.json: not what train writes \({key}: .*; run `dvc repro train`"):
            read_json(path, Knobs, "train")
