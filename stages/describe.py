"""Describe the data set in one page, for people."""

from pathlib import Path

from segcore import console

ARRAYS = Path("data/arrays")
PAGE = Path("data/report.html")


def main() -> None:
    """Write what the data set has in it, and what is odd, as a page that needs no other file and no network.

    Reads: data/arrays, but for stats.json.

    Writes: data/report.html: frames, drives and native sizes of each split;
    shares of the classes; examples; frames with an unusual mix of classes;
    frames of different splits that are nearly the same.
    """
    from segcore.description import describe, read_splits
    from segcore.outputs import new_outputs

    splits = read_splits(ARRAYS)
    with new_outputs(PAGE) as [page]:
        page.write_text(describe(splits), encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
