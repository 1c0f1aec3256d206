"""The id and the colour of void, whose pixels never count, and the names of classes in a model file."""

from typing import Annotated

from pydantic import AfterValidator, Field

VOID = 255
VOID_COLOUR = (0, 0, 0)


def _class_names(names: list[str]) -> list[str]:
    if len({*names}) < len(names) or not all(name and name.isprintable() for name in names):
        raise ValueError("different names of printable characters were expected")
    return names


# In the order of the ids.
ClassNames = Annotated[list[str], Field(min_length=1, max_length=VOID), AfterValidator(_class_names)]
