"""Read a label or a frame from bytes, by a small description whose ids, names and colours are not those in data/raw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.ids import Label
from segcore.fetch.labels import LabelReader
from segcore.fetch.problems import Problem, Wrong, listing
from segcore.files.description import Description

ROAD, CAR, SKY, VOID = 0, 1, 2, 255  # in data/raw


def described(*encodings: str, **changes: Any) -> Description:
    """Return the description of three classes, with a layout for each encoding."""
    return Description.model_validate(
        {
            "name": "Three Classes",
            "about": "Roads.",
            "licence": {"terms": "None."},
            "classes": {
                "road": {"colour": [128, 64, 128], "ids": [7, 6], "names": ["road", "parking"]},
                "car": {"colour": [0, 0, 142], "ids": [26], "names": ["car"], "mask": [[0, 0, 142], [0, 0, 70]]},
                "sky": {"colour": [70, 130, 180], "ids": [2], "names": ["sky"]},
            },
            "void": {"ids": [0, 255], "names": ["static"], "mask": [[0, 0, 0], [9, 9, 9]]},
            "skip_names": ["license plate"],
            "layouts": [
                {"images": f"i{number}/{{split}}/{{drive}}/{{frame}}.jpg",
                 "labels": f"l{number}/{{split}}/{{drive}}/{{frame}}.{'json' if encoding == 'polygons' else 'png'}",
                 "encoding": encoding}
                for number, encoding in enumerate(encodings)
            ],
            **changes,
        }
    )  # fmt: skip


def read(folder: Path, data: bytes, description: Description, size: tuple[int, int] | None = None) -> Label:
    """Return a label of the first layout."""
    (folder / "label").write_bytes(data)
    return LabelReader(description).read(folder / "label", 0, size)


def ids(folder: Path, data: bytes, description: Description) -> np.ndarray:
    """Return the class ids, H×W, of a label of the first layout."""
    picture = read(folder, data, description).picture
    assert picture.mode == "L"
    return np.asarray(picture)


def refusal(function: Callable[..., Label | Image.Image], *values: Any) -> str:
    """Return the problem that the function finds, as the listing says it of one file."""
    with pytest.raises(Wrong) as wrong:
        function(*values)
    return listing([Problem(wrong.value.kind, "x", wrong.value.details)]).removeprefix("  x: ")
