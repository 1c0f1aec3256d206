"""Find what section `fetch` of params.yaml names: the source of a data set, and its description."""

import filecmp
import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from segcore.files.description import SETS, Description, read_description
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict


class FetchParams(Strict):
    """Section ``fetch``: which data set it is, where it is, and the SHA-256 that pins an archive."""

    dataset: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


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


def without_secrets(url: str) -> str:
    """Return the URL without user, password, query and fragment, any of which may hold a token."""
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.split("?")[0].split("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def same_file(source: Path, sample: Path) -> bool:
    """Return whether the source is a copy of the built-in sample, under any name."""
    return source.is_file() and sample.is_file() and filecmp.cmp(source, sample, shallow=False)
