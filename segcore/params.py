"""Typed reading of one section of params.yaml: unknown keys, wrong types and values out of range stop the stage.

The model of each section lives beside the code that uses it, so that a stage depends on its own parameters only.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from segcore.console import UserError

PARAMS = Path("params.yaml")


class Section(BaseModel):
    """Base of a section: no key it does not know, no silent change of type (``true`` is not 1, ``"3"`` no integer)."""

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

AnySection = TypeVar("AnySection", bound=Section)


def load(section: str, model: type[AnySection], path: Path = PARAMS) -> AnySection:
    """Read ``section`` of ``path`` as ``model``.

    Raises:
        UserError: naming each wrong key, its value and what was expected.
    """
    values = read_yaml(path)
    if section not in values:
        raise UserError(f"{path}: the section `{section}` is missing")
    return parse(values[section], model, path, section)


def parse(values: Any, model: type[AnySection], path: Path, prefix: str = "") -> AnySection:
    """Validate ``values``, read from ``path``, as ``model``; ``prefix`` stands before each key in the message."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {_explain(problem, prefix)}" for problem in error.errors())) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of names to values was expected at the top")
    return values


def _explain(problem: Any, prefix: str) -> str:
    key = ".".join(part for part in (prefix, *map(str, problem["loc"])) if part)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown parameter; check its spelling, or remove it"
    if problem["type"] == "missing":
        return f"{key}: missing"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {said[0].lower()}{said[1:]}; it is {problem['input']!r}"
