"""Bring the frames and labels of a data set to data/raw, and check them."""

import filecmp
import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from segcore.dataset.frames import SPLITS, list_frames
from segcore.fetch import archive
from segcore.fetch.check import check
from segcore.fetch.layouts import LayoutMapper
from segcore.fetch.members import Limits
from segcore.files import params
from segcore.files.dataset import DATASET, write_dataset
from segcore.files.description import SETS, Description, read_description
from segcore.files.images import RAW
from segcore.runtime import console, outputs
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict


class FetchParams(Strict):
    """Section ``fetch``: which data set it is, where it is, and the SHA-256 that pins an archive."""

    dataset: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


def main() -> None:
    """Bring the frames and labels to data/raw in one layout, and check every one.

    Reads: what `fetch.dataset` names, the description of the data set;
    what `fetch.source` names, an archive (tar, also with gzip, bzip2 or
    xz, or ZIP), or a folder with the data set or several archives of it.

    Writes: data/raw.

    Parameters: section `fetch` of params.yaml.

    Environment: SEGCORE_THREADS=N, CPU threads; if unset, all cores, or the CPU
    quota of the container.
    """
    section = params.load("fetch", FetchParams)
    description = find_description(section)
    bring(section, description, Limits.of(description))


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


def find_description(section: FetchParams) -> Description:
    """Return the description of the data set.

    Raises:
        UserError: if there is none, or if it is not valid.
    """
    path = Path(section.dataset)
    if not path.is_file():
        found = ", ".join(each.name for each in sorted(SETS.glob("*.yaml"))) or "no descriptions"
        raise UserError(f"fetch.dataset: {path}: the description of a data set was expected; {SETS} has {found}")
    return read_description(path)


def same_file(source: Path, sample: Path) -> bool:
    """Return whether the source is a copy of the built-in sample, under any name."""
    return source.is_file() and sample.is_file() and filecmp.cmp(source, sample, shallow=False)


def compare_counts(raw: Path, description: Description) -> str:
    """Return one line with the splits that have a different number of frames than published; an empty one if none."""
    counts = [(name, len(list_frames(raw, name)), split.frames) for name, split in description.splits]
    return "; ".join(
        f"{name} has {found:,} frames, {published:,} as published"
        for name, found, published in counts
        if published is not None and found != published
    )


def find_source(section: FetchParams) -> Path:
    """Return the path of the source; compare its checksum first, if one is given.

    Raises:
        UserError: if the source is a URL, is missing, is neither file nor folder, or has a different checksum.
    """
    if "://" in section.source:
        raise UserError(
            f"fetch.source: a path was expected, not a URL; run\n  make data URL={without_secrets(section.source)}\n"
            "(in quotes, with the rest of the URL, a download token for example) and then set "
            "fetch.source=data/idd-lite.tar.gz"
        )
    source = Path(section.source)
    if not source.exists():
        raise UserError(
            f"fetch.source: {source} does not exist; `make data ARCHIVE=/path/to/idd-lite.tar.gz` puts an archive at "
            "data/idd-lite.tar.gz, and fetch.source=data/sample.tar.gz is the built-in sample"
        )
    if not source.is_dir() and not source.is_file():
        raise UserError(f"fetch.source: {source}: an archive or a folder was expected")
    if section.sha256 is not None:
        compare_checksum(source, section.sha256.lower())
    return source


def compare_checksum(source: Path, expected: str) -> None:
    """Raise a UserError unless ``source`` is an archive with this SHA-256."""
    if source.is_dir():
        raise UserError(f"fetch.sha256: it pins an archive, and {source} is a folder; set it to null")
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"{source}: not the file that fetch.sha256 pins; expected {expected}, found {found}; "
            "download it again, or correct fetch.sha256"
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


def without_secrets(url: str) -> str:
    """Return the URL without user, password, query and fragment, any of which may hold a token."""
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.split("?")[0].split("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


if __name__ == "__main__":
    console.run(main)
