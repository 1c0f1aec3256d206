"""Validate values that a user or a stage has written: unknown keys, wrong types and bad values are errors."""

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from segcore.runtime.errors import UserError

SHOWN = 200  # characters of a wrong value


class Strict(BaseModel):
    """Base of typed values: no unknown keys, no silent change of type (``true`` is not 1, ``"3"`` is no integer)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    # YAML 1.1 reads 5e-4, without a dot, as a string.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]

AnyStrict = TypeVar("AnyStrict", bound=Strict)


def validate(values: Any, model: type[AnyStrict], path: Path, prefix: str = "") -> AnyStrict:
    """Return ``values``, read from ``path``, as ``model``; messages put ``prefix`` before each key.

    Raises:
        UserError: with a line for each wrong key, its value and what was expected.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(
            "\n".join(f"{path}: {_explain(values, problem, prefix)}" for problem in error.errors())
        ) from None


def read_json(path: Path, kind: Any, stage: str) -> Any:
    """Return the content of a JSON file that ``stage`` wrote, validated as ``kind``, a type that pydantic knows.

    Raises:
        UserError: if the file is not of this kind.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "its content"
        raise UserError(f"{path}: not what {stage} writes ({key}: {first['msg']}); run `dvc repro {stage}`") from None


def _explain(values: Any, problem: Any, prefix: str) -> str:
    key = ".".join(part for part in (prefix, *_keys(values, problem)) if part)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown parameter; check its spelling, or remove it"
    if problem["type"] == "missing":
        return f"{key}: missing"
    said = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    said = re.sub("valid dictionary( or instance of .*)?", "mapping", said)
    if not key:  # a check of several keys, which names them itself
        return said
    return f"{key}: {said[0].lower()}{said[1:]}; it is {_shown(problem['input'])}"


def _keys(values: Any, problem: Any) -> Iterator[str]:
    """Yield the keys that lead to a problem, without the names that pydantic gives to kinds of values."""
    for part in problem["loc"]:
        if isinstance(values, (dict, list)) and part in (values if isinstance(values, dict) else range(len(values))):
            values = values[part]
            yield str(part)
        elif problem["type"] == "missing" and part == problem["loc"][-1]:
            yield str(part)


def _shown(value: Any) -> str:
    short = reprlib.Repr()  # aliases in YAML can make a few lines a value of gigabytes
    short.maxlevel, short.maxlist, short.maxtuple, short.maxdict = 3, 20, 20, 20
    short.maxstring = short.maxother = 2 * SHOWN
    try:
        text = short.repr(value)
    except ValueError:  # Python does not print an integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
