"""Draw predictions as pictures for people: the worst, median and best validation frames, and some of test."""

from contextlib import closing
from functools import partial
from pathlib import Path

from segcore import console

COUNTS = Path("metrics/frames.csv")
RENDERS = Path("data/renders")


def main() -> None:
    """Draw predictions beside frames and ground truth, for people to look at.

    Reads: metrics/frames.csv, data/predictions and data/native.

    Writes: data/renders: val_worst_1.png (the very worst), val_median_1.png,
    val_best_1.png and so on, with frame, truth, prediction and errors;
    test_1.png and so on, evenly spaced over test, with frame and prediction;
    contact_sheet.png, small validation frames from bad to good. A frame
    ranks by its mean IoU over the classes in its ground truth.

    Parameters: section `render` of params.yaml.

    Environment: SEGCORE_THREADS=N, threads that draw; all cores if unset.
    """
    from segcore import pages
    from segcore.idd_lite import list_frames
    from segcore.outputs import new_folder
    from segcore.params import load
    from segcore.ranking import RenderParams, evenly, rank, worst_median_best
    from segcore.workers import map_in_order

    params = load("render", RenderParams)
    ranked = rank(COUNTS)
    drawings = {"contact_sheet.png": partial(pages.draw_contact_sheet, ranked)}
    for group, chosen in worst_median_best(ranked, params.frames).items():
        for i, scored in enumerate(chosen, 1):
            drawings[f"val_{group}_{i}.png"] = partial(pages.draw_val, f"val {group} {i}", scored)
    for i, frame in enumerate(evenly(list_frames(pages.NATIVE, "test"), params.test_frames), 1):
        drawings[f"test_{i}.png"] = partial(pages.draw_test, f"test {i}", frame)

    with new_folder(RENDERS) as folder:

        def save(name: str) -> None:
            drawings[name]().save(folder / name)

        with closing(map_in_order(save, drawings)) as saved:
            for _ in console.progress(saved, len(drawings), "pictures"):
                pass


if __name__ == "__main__":
    console.run(main)
