"""Read and validate one section of params.yaml.

The type of each section is defined beside the code that uses it, so that a stage depends on its own parameters only.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from segcore.runtime.errors import UserError
from segcore.runtime.typed import AnyStrict, validate

PARAMS = Path("params.yaml")


class UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a key that is there twice. PyYAML takes the last one without a word."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if twice := [key for (_, key), count in Counter(map(_key, node.value)).items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} is there twice", node.start_mark)
        super().flatten_mapping(node)
        # Each key once, the last value in the first place: a merge key may come here again, and nested ones multiply.
        node.value = list({_key(pair): pair for pair in node.value}.values())


def _decimal(loader: UniqueKeyLoader, node: yaml.ScalarNode) -> int:
    if not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", node.value):  # in YAML 1.1 010 is 8, and 1:30 is 90
        raise yaml.constructor.ConstructorError(
            None, None, f"write {node.value!r} as a decimal number", node.start_mark
        )
    return int(node.value)


UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _decimal)


def _key(pair: tuple[yaml.Node, yaml.Node]) -> tuple[str, object]:
    key, _ = pair
    return key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)


def load(section: str, model: type[AnyStrict], path: Path = PARAMS) -> AnyStrict:
    """Read ``section`` of ``path`` as ``model``.

    Raises:
        UserError: if the file is not valid YAML, the section is missing, or a value in it is wrong.
    """
    values = read_yaml(path)
    if section not in values:
        raise UserError(f"{path}: the section `{section}` is missing")
    return validate(values[section], model, path, section)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UserError: if it is anything else.
    """
    try:
        values = yaml.load(path.read_bytes(), UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: for example the month 13 in a date
        said = " ".join(str(error).replace('in "<byte string>", ', "at ").split())
        raise UserError(f"{path}: not valid YAML: {said}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of names to values was expected at the top")
    return values
