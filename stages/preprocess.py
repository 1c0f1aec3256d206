"""Resize the frames to the network's input size."""

from segcore.runtime import console


def main() -> None:
    """Resize frames and labels to the network's input size.

    Reads: data/raw, of its dataset.json the names of the classes.

    Writes: data/arrays (uint8 arrays, frames.csv, stats.json) and
    data/native (the frames that are scored and drawn, at native size).

    Parameters: section `preprocess` of params.yaml.

    Environment: SEGCORE_THREADS=N, CPU threads; if unset, all cores, or the CPU
    quota of the container.
    """
    from segcore.files.params import load
    from segcore.preprocess.resize import PreprocessParams, build

    counts = build(load("preprocess", PreprocessParams))
    print(", ".join(f"{count} {split}" for split, count in counts.items()), "frames")


if __name__ == "__main__":
    console.run(main)
