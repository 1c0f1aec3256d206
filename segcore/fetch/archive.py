"""Copy the files of an archive or a folder, each to the path that a function gives for it.

Only plain files are written, with this process's own permissions and times.
"""

import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO

from segcore.fetch.members import Limits, Refused, is_archive, is_damage, read_members
from segcore.fetch.plain_files import PlainFiles, opened_as
from segcore.runtime.console import open_with_progress
from segcore.runtime.errors import UserError

# Where to write a file below the output folder, by its path in the source; None if it is skipped.
Place = Callable[[str], Path | None]


def unpack(archive: Path, root: Path, place: Place, limits: Limits, opened: Path | None = None) -> None:
    """Write each file of a tar, compressed tar or ZIP to ``root / place(its path)``, or skip it where that is ``None``.

    A hard link to an earlier file of the archive is a copy of it. It is read from ``opened``, if given.

    Raises:
        UserError: if the archive is damaged, or refused by :mod:`segcore.fetch.members`.
    """
    try:
        with open_with_progress(opened or archive, "unpack") as file:
            if missing := _unpack(file, root, place, limits):
                file.seek(0)
                _unpack_originals(file, root, missing, limits)
    except Refused as refused:
        raise UserError(f"{archive}: {refused}") from None
    except Exception as error:
        if not is_damage(error):
            raise
        why = str(error) or type(error).__name__
        raise UserError(f"{archive}: corrupt or truncated archive ({why}); download it again") from None


def _unpack(file: IO[bytes], root: Path, place: Place, limits: Limits) -> dict[int, list[Path]]:
    """Write the files; return the places of hard links whose original was skipped, by the number of the original."""
    places: dict[int, Path] = {}
    missing: dict[int, list[Path]] = defaultdict(list)
    for member in read_members(file, limits):
        if (target := place(member.name)) is None:
            continue
        if member.data:
            _write(member.data, root / target)
            places[member.number] = target
        elif member.original in places:
            _copy(root / places[member.original], root / target)
        elif member.original:
            missing[member.original].append(target)
    return missing


def _unpack_originals(file: IO[bytes], root: Path, missing: dict[int, list[Path]], limits: Limits) -> None:
    """Read the archive again, and write the files with these numbers to these places."""
    for member in read_members(file, limits):
        if member.data and (targets := missing.get(member.number)):
            _write(member.data, root / targets[0])
            for target in targets[1:]:
                _copy(root / targets[0], root / target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as data:
        _write(data, target)


def _write(data: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as written:
        shutil.copyfileobj(data, written)


def copy_folder(folder: Path, root: Path, place: Place, limits: Limits, ignores: Callable[[str], bool]) -> None:
    """Copy each file below ``folder`` to ``root / place(its path)``, or skip it where that is ``None``.

    Hidden files and folders are skipped, too. An archive without a place is unpacked, as if its files were in its
    folder, unless ``ignores`` is true for its path.

    Raises:
        UserError: if there is a special file, a link that does not lead to DVC's cache, or an archive that is damaged
            or refused below ``folder``.
    """
    plain = PlainFiles(folder)
    archives: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(folders + files):
            source = Path(parent, name)
            if stat.S_ISDIR(source.lstat().st_mode) or name.startswith("."):
                continue
            plain.find(source)  # also if it is ignored
            path = source.relative_to(folder).as_posix()
            if target := place(path):
                with plain.open(source) as data:
                    _write(data, root / target)
            elif not ignores(path) and _is_archive(plain, source):
                archives.append(source)
    for source in sorted(archives):  # last, so that an error about a file that is there twice names the archive
        with plain.open(source) as file:
            unpack(source, root, _place_inside(source, folder, place), limits, opened_as(file))


def _is_archive(plain: PlainFiles, path: Path) -> bool:
    with plain.open(path) as file:
        return is_archive(file)


def _place_inside(archive: Path, folder: Path, place: Place) -> Place:
    """Return the function that gives the place of a member of an archive below ``folder``."""
    above = archive.parent.relative_to(folder)

    def inside(name: str) -> Path | None:
        try:
            return place((above / name).as_posix())
        except UserError as error:
            raise UserError(f"{error} (it is in {archive})") from None

    return inside


def _stop(error: OSError) -> None:
    raise error  # by default os.walk skips folders that it cannot list
