"""Panels for people: frames beside their ground truth, the prediction, and where that is wrong.

``classes`` are the names of the classes in the order of their ids, with their colours.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from segcore.dataset.frames import Frame, find_image
from segcore.drawing.pictures import Colour, error_map, evenly, grid, legend, overlay, page, panel
from segcore.files.images import NATIVE, PREDICTIONS, read_image, read_labels
from segcore.render.ranking import Scored

SHEET_FRAMES, SHEET_COLUMNS, SHEET_PICTURE_WIDTH = 12, 2, 256


def draw_val(classes: Mapping[str, Colour], name: str, scored: Scored) -> Image.Image:
    """Draw frame, truth, prediction and errors of one validation frame."""
    drawn = panel(f"{name}  ·  {_title(scored)}", val_pictures(scored.frame, [*classes.values()]))
    note = "errors: wrong pixels in the colour of their true class, the rest in grey; void does not count"
    return page(drawn, legend(classes, drawn.width, note))


def draw_test(classes: Mapping[str, Colour], name: str, frame: Frame) -> Image.Image:
    """Draw frame and prediction of one test frame."""
    image, prediction = read_predicted(frame, len(classes))
    predicted = overlay(image, prediction, [*classes.values()])
    drawn = panel(f"{name}  ·  {frame}", {"frame": image, "prediction": predicted})
    return page(drawn, legend(classes, drawn.width, "the test split has no published ground truth"))


def draw_contact_sheet(classes: Mapping[str, Colour], ranked: list[Scored]) -> Image.Image:
    """Draw small pictures of validation frames evenly spaced over the ranking, row by row from bad to good."""
    chosen = evenly(ranked, SHEET_FRAMES)
    strips = []
    for scored in chosen:
        pictures = val_pictures(scored.frame, [*classes.values()])
        del pictures["errors"]
        strips.append(panel(_title(scored), pictures, SHEET_PICTURE_WIDTH))
    sheet = grid(strips, SHEET_COLUMNS, gap=24)
    note = f"{len(chosen)} of {len(ranked)} validation frames, evenly spaced over the ranking by mean IoU"
    return page(sheet, legend(classes, sheet.width, note))


def val_pictures(frame: Frame, colours: Sequence[Colour]) -> dict[str, Image.Image]:
    """Return the pictures of one validation frame by caption."""
    image, prediction = read_predicted(frame, len(colours))
    truth = read_labels(NATIVE / frame.label, image.size, len(colours))
    return {
        "frame": image,
        "truth": overlay(image, truth, colours),
        "prediction": overlay(image, prediction, colours),
        "errors": error_map(image, truth, prediction, colours),
    }


def read_predicted(frame: Frame, classes: int) -> tuple[Image.Image, np.ndarray]:
    """Read a frame, RGB, and its predicted class ids H×W."""
    image = read_image(find_image(NATIVE, frame))
    return image, read_labels(PREDICTIONS / frame.prediction, image.size, classes)


def _title(scored: Scored) -> str:
    return f"{scored.frame}  ·  mean IoU of this frame {scored.score:.3f}"
