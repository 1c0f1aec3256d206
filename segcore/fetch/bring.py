"""Fill data/raw with the frames and labels of a data set, and check them."""

from pathlib import Path

from segcore.dataset.frames import SPLITS, list_frames
from segcore.fetch import archive
from segcore.fetch.check import check
from segcore.fetch.layouts import LayoutMapper
from segcore.fetch.members import Limits
from segcore.fetch.source import FetchParams, find_source, same_file
from segcore.files.dataset import DATASET, write_dataset
from segcore.files.description import Description
from segcore.files.images import RAW
from segcore.runtime import outputs


def bring(section: FetchParams, description: Description, limits: Limits) -> None:
    """Fill data/raw, and print what is there."""
    source = find_source(section)
    sample = description.sample is not None and same_file(source, Path(description.sample.source))
    mapper = LayoutMapper(description, str(source), Path(section.dataset).parent)
    with outputs.new_folder(RAW) as raw:
        if source.is_dir():
            archive.copy_folder(source, raw, mapper.place, limits, mapper.ignores)
        else:
            archive.unpack(source, raw, mapper.place, limits)
        mapper.finish()
        rewritten = check(raw, str(source), mapper.passed_over, description, mapper.sources)
        write_dataset(raw / DATASET.name, description.dataset(sample))
    print(summary(RAW))
    if not sample and (differences := compare_counts(RAW, description)):
        print(differences)
    if mapper.unread.count:
        print(f"not read, as no layout fits: {mapper.unread.count:,} pictures, for example {mapper.unread.first}")
    for ids, count in sorted(rewritten.items()):
        print(f"{count:,} labels written anew as 8-bit grey PNG: the class ids were {ids}")


def compare_counts(raw: Path, description: Description) -> str:
    """Return one line with the splits that have a different number of frames than published; an empty one if none."""
    counts = [(name, len(list_frames(raw, name)), split.frames) for name, split in description.splits]
    return "; ".join(
        f"{name} has {found:,} frames, {published:,} as published"
        for name, found, published in counts
        if published is not None and found != published
    )


def summary(raw: Path) -> str:
    """Return one line with the frames and drives of each split, and the size of all files."""
    counts: list[str] = []
    for split in SPLITS:
        frames = list_frames(raw, split)
        drives = {frame.drive for frame in frames}
        counts.append(f"{split} {len(frames)} frames of {len(drives)} drives" if frames else f"no {split} split")
    size = sum(file.stat().st_size for file in raw.rglob("*") if file.is_file())
    return f"{raw}: {', '.join(counts)}; {size / 1e6:.1f} MB"
