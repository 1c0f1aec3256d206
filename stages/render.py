"""Draw predictions as pictures for people: the worst, median and best validation frames, and some of test."""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from segcore.runtime import console
from segcore.runtime.typed import Strict

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image


class RenderParams(Strict):
    """Section `render`: how many frames are drawn."""

    frames: int = Field(ge=1, le=50)  # of the worst, the median and the best frames of val
    test_frames: int = Field(ge=0, le=50)


def main() -> None:
    """Draw predictions beside frames and ground truth, for people to look at.

    Reads: metrics/frames.csv, data/predictions, data/native and
    data/raw/dataset.json.

    Writes: data/renders: val_worst_1.png (the very worst), val_median_1.png,
    val_best_1.png and so on, with frame, truth, prediction and errors;
    test_1.png and so on, evenly spaced over test, with frame and prediction;
    contact_sheet.png, small validation frames from bad to good. A frame
    ranks by its mean IoU over the classes in its ground truth.

    Parameters: section `render` of params.yaml.

    Environment: SEGCORE_THREADS=N, CPU threads; if unset, all cores, or the CPU
    quota of the container.
    """
    from segcore.dataset.frames import list_frames
    from segcore.drawing.pictures import evenly
    from segcore.files.dataset import read_dataset
    from segcore.files.images import NATIVE, RENDERS
    from segcore.files.params import load
    from segcore.render import panels
    from segcore.render.ranking import rank, worst_median_best
    from segcore.runtime.outputs import new_folder

    params = load("render", RenderParams)
    classes, ranked = read_dataset().classes, rank()
    sheet = partial(panels.draw_contact_sheet, classes, ranked)
    drawings: dict[str, Callable[[], Image]] = {"contact_sheet.png": sheet}
    for group, chosen in worst_median_best(ranked, params.frames).items():
        for i, scored in enumerate(chosen, 1):
            drawings[f"val_{group}_{i}.png"] = partial(panels.draw_val, classes, f"val {group} {i}", scored)
    for i, frame in enumerate(evenly(list_frames(NATIVE, "test"), params.test_frames), 1):
        drawings[f"test_{i}.png"] = partial(panels.draw_test, classes, f"test {i}", frame)

    with new_folder(RENDERS) as folder:
        for _ in console.map_with_progress(lambda name: drawings[name]().save(folder / name), drawings, "pictures"):
            pass


if __name__ == "__main__":
    console.run(main)
