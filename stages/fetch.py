"""Bring the frames and labels to data/raw, and check them."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from segcore import archive, console, outputs, params
from segcore.checks import check
from segcore.console import UserError
from segcore.editions import Sorter
from segcore.idd_lite import SPLITS, list_frames

RAW = Path("data/raw")


class FetchParams(params.Section):
    """Section ``fetch``: where the data set is, and the SHA-256 that pins an archive."""

    source: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


def main() -> None:
    """Bring the frames and labels to data/raw in IDD-Lite's layout, and check every one.

    Reads: what `fetch.source` names: data/sample.yaml for the built-in
    sample, or an IDD-Lite archive (.tar.gz, .tgz, .tar, .zip) or unpacked
    folder.

    Writes: data/raw.

    Parameters: section `fetch` of params.yaml.

    Environment: SEGCORE_THREADS=N, threads that check; all cores if unset.
    """
    section = params.load("fetch", FetchParams)
    source = find_source(section)
    with outputs.new_folder(RAW) as raw:
        required = bring(source, raw)
        check(raw, section.source, required)
    print(summary(RAW))


def find_source(section: FetchParams) -> Path:
    """The path of the source, its checksum compared where one is given.

    Raises:
        UserError: if the source is a URL, is missing, is of no kind that is read here, or has another checksum.
    """
    if "://" in section.source:
        raise UserError(
            f"fetch.source: a path was expected, not a URL; run\n  make data URL={without_secrets(section.source)}\n"
            "(what the URL has beyond that, a download token for one, belongs in it, in quotes) and then set "
            "fetch.source=data/idd-lite.tar.gz"
        )
    source = Path(section.source)
    if not source.exists():
        raise UserError(
            f"fetch.source: {source} does not exist; `make data ARCHIVE=/path/to/idd-lite.tar.gz` puts an archive at "
            "data/idd-lite.tar.gz, and fetch.source=data/sample.yaml is the built-in sample"
        )
    if not (source.is_dir() or is_archive(source) or is_sample(source)):
        kinds = ", ".join(archive.SUFFIXES)
        raise UserError(f"fetch.source: {source}: an archive ({kinds}), a folder or a .yaml file was expected")
    if section.sha256 is not None:
        compare_checksum(source, section.sha256.lower())
    return source


def is_archive(source: Path) -> bool:
    """Whether the name is that of an archive file."""
    return source.is_file() and source.name.lower().endswith(archive.SUFFIXES)


def is_sample(source: Path) -> bool:
    """Whether the name is that of a description of the built-in sample."""
    return source.is_file() and source.suffix == ".yaml"


def compare_checksum(source: Path, expected: str) -> None:
    """Raise a UserError unless ``source`` is an archive with this SHA-256."""
    if not is_archive(source):
        raise UserError(f"fetch.sha256: it pins an archive, and {source} is none; set it to null")
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"{source}: another file than fetch.sha256 says; expected {expected}, found {found}; "
            "download it again, or correct fetch.sha256"
        )


def bring(source: Path, raw: Path) -> tuple[str, ...]:
    """Fill ``raw`` from the source, and return the splits that cannot be empty."""
    if is_sample(source):
        from segcore import sample

        sample.write_sample(sample.read_spec(source), raw)
        return SPLITS
    sorter = Sorter(str(source))
    fill = archive.unpack if is_archive(source) else archive.copy_folder
    fill(source, raw, sorter.place)
    return sorter.required_splits()


def summary(raw: Path) -> str:
    """One line: the frames and drives of each split, and the size of all files."""
    counts = []
    for split in SPLITS:
        frames = list_frames(raw, split)
        counts.append(f"{split} {len(frames)} frames of {len({frame.drive for frame in frames})} drives")
    size = sum(file.stat().st_size for file in raw.rglob("*") if file.is_file())
    return f"{raw}: {', '.join(counts)}; {size / 1e6:.1f} MB"


def without_secrets(url: str) -> str:
    """The URL without user, password, query and fragment, any of which may hold a token."""
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.split("?")[0].split("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


if __name__ == "__main__":
    console.run(main)
