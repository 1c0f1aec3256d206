"""Colours for the classes of a model file, which has none: those of a description in data/sets, or generated ones."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from segcore.drawing.pictures import Colour
from segcore.files import params
from segcore.files.description import SETS, read_description
from segcore.runtime import console
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict

STEP = 17  # between the levels of a channel in generated colours: 16 levels from 0 to 255


class FetchDataset(Strict):
    """The parameter of section `fetch` that names a description."""

    model_config = ConfigDict(extra="ignore")
    dataset: str


def find_colours(classes: list[str]) -> list[Colour]:
    """Return the colours of ``classes`` in the first description that has them in this order.

    The description that params.yaml names comes first, then those in data/sets by name; files that cannot be read
    are skipped. If none has them, colours are generated, and a line says so.
    """
    paths = sorted(path for path in SETS.glob("*.yaml") if path.is_file())
    with suppress(UserError, OSError):
        paths.insert(0, Path(params.load("fetch", FetchDataset).dataset))
    for path in paths:
        with suppress(UserError, OSError):
            described = read_description(path).classes
            if list(described) == classes:
                return [each.colour for each in described.values()]
    console.say(f"no description in {SETS} has the classes of this model, so the colours are generated")
    return generate(len(classes))


def generate(count: int) -> list[Colour]:
    """Return colours, each as far as possible from black, white and those before it, as people see them.

    Source: Glasbey et al., "Colour Displays for Categorical Images", Color Research and Application 32 (2007).
    """
    levels = np.arange(0, 256, STEP)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    seen = _lab(colours)
    distance = np.minimum(*(np.linalg.norm(seen - seen[end], axis=1) for end in (0, -1)))  # from black and white
    chosen: list[Colour] = []
    for _ in range(count):
        best = distance.argmax()
        red, green, blue = colours[best].tolist()
        chosen.append((red, green, blue))
        distance = np.minimum(distance, np.linalg.norm(seen - seen[best], axis=1))
    return chosen


def _lab(colours: np.ndarray) -> np.ndarray:
    """Convert sRGB, N×3 from 0 to 255, to CIELAB, in which distances are about as large as people see them.

    Source: IEC 61966-2-1 (sRGB, white D65) and ISO/CIE 11664-4 (CIELAB).
    """
    srgb = colours / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    relative = linear @ to_xyz.T / to_xyz.sum(1)
    x, y, z = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
