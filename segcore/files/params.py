"""Read and validate one section of params.yaml.

The type of each section is defined beside the code that uses it, so that a stage depends on its own parameters only.
"""

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
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key, count in Counter(keys).items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} is there twice", node.start_mark)
        super().flatten_mapping(node)


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
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of names to values was expected at the top")
    return values
