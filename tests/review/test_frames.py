"""Pictures of class ids in the report on a change."""

import base64
import io

import numpy as np
from PIL import Image

from segcore.dataset.classes import VOID
from segcore.review.frames import class_uri

COLOURS = [(10, 20, 30), (200, 100, 0)]
LABELS = np.array([[0, 1, VOID], [1, 1, 0]], np.uint8)


def decoded(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_classes_have_their_colours_and_void_is_black():
    colours = [(*colour, 255) for colour in (*COLOURS, (0, 0, 0))]
    expected = [[colours[0], colours[1], colours[2]], [colours[1], colours[1], colours[0]]]
    assert decoded(class_uri(LABELS, (3, 2), COLOURS)).tolist() == [[[*colour] for colour in row] for row in expected]


def test_void_can_be_clear():
    opacity = decoded(class_uri(LABELS, (3, 2), COLOURS, void_is_clear=True))[..., 3]
    assert opacity.tolist() == [[255, 255, 0], [255, 255, 255]]


def test_a_smaller_picture_has_no_other_classes():
    small = decoded(class_uri(np.repeat(LABELS, 10, 0).repeat(10, 1), (7, 5), COLOURS))
    assert {tuple(pixel) for pixel in small.reshape(-1, 4)[:, :3].tolist()} <= {*COLOURS, (0, 0, 0)}
