"""Typed reading of one section of params.yaml: unknown keys, wrong types and values out of range stop the stage.

The model of each section lives beside the code that uses it, so that a stage depends on its own parameters only.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from segcore.console import UserError

PARAMS = Path("params.yaml")
MAX_BYTES = 1 << 16  # params.yaml has 2 kB; PyYAML takes seconds for more than this
SHOWN = 200  # characters of a wrong value


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
    """Read a YAML file whose top is a mapping.

    Raises:
        UserError: if it is anything else, is too large, or has aliases.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES:,} bytes, too many for parameters")
    try:
        values = yaml.load(data.decode("utf-8"), _Loader)
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: too deeply nested") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of names to values was expected at the top")
    return values


class _Loader(yaml.SafeLoader):
    """No aliases, a few of which can stand for more values than there is memory, and no errors but YAML's."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ComposerError(None, None, f"*{event.anchor}: an alias; write the value itself", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, ArithmeticError):  # as for the month 13
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"not a value of the kind {kind}", node.start_mark) from None


def _explain(problem: Any, prefix: str) -> str:
    key = ".".join(part for part in (prefix, *map(str, problem["loc"])) if part)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown parameter; check its spelling, or remove it"
    if problem["type"] == "missing":
        return f"{key}: missing"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {said[0].lower()}{said[1:]}; it is {_shown(problem['input'])}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
