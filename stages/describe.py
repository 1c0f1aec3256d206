"""Describe the data set in one page, for people."""

from pathlib import Path

from segcore.runtime import console

PAGE = Path("data/report.html")


def main() -> None:
    """Write what the data set has in it, and what is odd, as a page that needs no other file and no network.

    Reads: data/arrays, but not stats.json, and data/raw/dataset.json.

    Writes: data/report.html: frames, drives and native sizes of each split;
    shares of the classes; where in the frame each class is; examples; frames
    with an unusual mix of classes; frames that are nearly the same.

    Environment: SEGCORE_THREADS=N, CPU threads; if unset, all cores, or the CPU
    quota of the container.
    """
    from segcore.describe.report import describe
    from segcore.files.dataset import read_dataset
    from segcore.runtime.outputs import new_outputs

    content = describe(read_dataset())
    with new_outputs(PAGE) as [page]:
        page.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
