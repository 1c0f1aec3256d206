"""Panels for people: frames beside their ground truth, the prediction, and where that is wrong."""

import numpy as np
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.drawing.pictures import error_map, evenly, grid, legend, overlay, page, panel
from segcore.files.images import NATIVE, PREDICTIONS, read_image, read_labels
from segcore.render.ranking import Scored

SHEET_FRAMES, SHEET_COLUMNS, SHEET_PICTURE_WIDTH = 12, 2, 256


def draw_val(name: str, scored: Scored) -> Image.Image:
    """Draw frame, truth, prediction and errors of one validation frame."""
    drawn = panel(f"{name}  ·  {_title(scored)}", val_pictures(scored.frame))
    note = "errors: wrong pixels in the colour of their true class, the rest in grey; void does not count"
    return page(drawn, legend(drawn.width, note))


def draw_test(name: str, frame: Frame) -> Image.Image:
    """Draw frame and prediction of one test frame."""
    image, prediction = read_predicted(frame)
    drawn = panel(f"{name}  ·  {frame}", {"frame": image, "prediction": overlay(image, prediction)})
    return page(drawn, legend(drawn.width, "the test split has no published ground truth"))


def draw_contact_sheet(ranked: list[Scored]) -> Image.Image:
    """Draw small pictures of validation frames evenly spaced over the ranking, row by row from bad to good."""
    chosen = evenly(ranked, SHEET_FRAMES)
    strips = []
    for scored in chosen:
        pictures = val_pictures(scored.frame)
        del pictures["errors"]
        strips.append(panel(_title(scored), pictures, SHEET_PICTURE_WIDTH))
    sheet = grid(strips, SHEET_COLUMNS, gap=24)
    note = f"{len(chosen)} of {len(ranked)} validation frames, evenly spaced over the ranking by mean IoU"
    return page(sheet, legend(sheet.width, note))


def val_pictures(frame: Frame) -> dict[str, Image.Image]:
    """Return the pictures of one validation frame by caption."""
    image, prediction = read_predicted(frame)
    truth = read_labels(NATIVE / frame.label, image.size)
    return {
        "frame": image,
        "truth": overlay(image, truth),
        "prediction": overlay(image, prediction),
        "errors": error_map(image, truth, prediction),
    }


def read_predicted(frame: Frame) -> tuple[Image.Image, np.ndarray]:
    """Read a frame, RGB, and its predicted class ids H×W."""
    image = read_image(NATIVE / frame.image)
    return image, read_labels(PREDICTIONS / frame.prediction, image.size)


def _title(scored: Scored) -> str:
    return f"{scored.frame}  ·  mean IoU of this frame {scored.score:.3f}"
