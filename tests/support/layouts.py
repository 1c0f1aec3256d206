"""Places of paths by a description, and the message where it refuses them."""

from pathlib import Path

import pytest

from segcore.fetch.layouts import LayoutMapper
from segcore.files.description import Description
from segcore.runtime.errors import UserError
from tests.support.idd_lite import DESCRIPTION

NO_SETS = Path("no descriptions")


def mapped(
    *paths: str, description: Description = DESCRIPTION, sets: Path = NO_SETS
) -> tuple[LayoutMapper, list[Path | None]]:
    """Return the mapper after these paths, and the place of each."""
    mapper = LayoutMapper(description, "source", sets)
    return mapper, [mapper.place(path) for path in paths]


def places(*paths: str, description: Description = DESCRIPTION) -> list[Path | None]:
    """Return the place of each path."""
    return mapped(*paths, description=description)[1]


def refusal(*paths: str, description: Description = DESCRIPTION, sets: Path = NO_SETS) -> str:
    """Return the message, without the name of the source."""
    with pytest.raises(UserError) as error:
        mapped(*paths, description=description, sets=sets)[0].finish()
    assert str(error.value).startswith("source: ")
    return str(error.value).removeprefix("source: ")
