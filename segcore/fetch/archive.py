"""Copy the files of an archive or a folder, each to the path that a function gives for it.

An archive is untrusted input. It is read member by member, in constant memory, and only plain files are written,
with this process's own permissions and times.
"""

import gzip
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from segcore.runtime.console import open_with_progress
from segcore.runtime.errors import UserError

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

# IDD-Lite has 3,618 files of 27 MB in all, the largest of 23 kB. The limits leave room for larger data sets, and stop
# an archive that was made to fill the disk.
MAX_MEMBERS = 100_000
MAX_TOTAL = 4 << 30
MAX_FILE = 64 << 20

# What tarfile, zipfile and the decompressors raise for damaged input. A disk that fails raises OSError.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, ValueError,
    LookupError, ArithmeticError, RuntimeError,
)  # fmt: skip

Place = Callable[[str], Path | None]


class _Refused(Exception):
    """The archive contains something that no data set needs. The text says what."""


class _Member(NamedTuple):
    name: str
    size: int  # bytes; no more than these are read
    data: IO[bytes] | None  # None for a folder


def unpack(archive: Path, root: Path, place: Place) -> None:
    """Write each file of a tar, gzipped tar or zip to ``root / place(its path)``, or skip it where that is ``None``.

    Raises:
        UserError: if the archive is damaged, contains links, devices, encrypted files, absolute paths or ``..``, or
            exceeds the limits of this module.
    """
    total = 0
    try:
        with open_with_progress(archive, "unpack") as file:
            for count, member in enumerate(_members(file), start=1):
                total += member.size
                if count > MAX_MEMBERS:
                    raise _Refused(f"more than {MAX_MEMBERS:,} members")
                if member.size > MAX_FILE:
                    raise _Refused(f"{member.name!r}: a file of more than {MAX_FILE:,} bytes")
                if total > MAX_TOTAL:
                    raise _Refused(f"more than {MAX_TOTAL:,} bytes unpacked")
                if member.data and (target := place(_normal(member.name))):
                    (root / target).parent.mkdir(parents=True, exist_ok=True)
                    with (root / target).open("xb") as written:
                        shutil.copyfileobj(member.data, written)
    except _Refused as refused:
        raise UserError(f"{archive}: refused: {refused}; get IDD-Lite from a source that you trust") from None
    except _DAMAGE as error:
        why = str(error) or type(error).__name__
        raise UserError(f"{archive}: corrupt or truncated archive ({why}); download it again") from None


def copy_folder(folder: Path, root: Path, place: Place) -> None:
    """Copy each file below ``folder`` to ``root / place(its path)``, or skip it where that is ``None``.

    Hidden files and folders are skipped, too.

    Raises:
        UserError: if there is a link or a special file below ``folder``.
    """
    for parent, folders, files in os.walk(folder, onerror=_stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(folders + files):
            source = Path(parent, name)
            mode = source.lstat().st_mode
            if stat.S_ISDIR(mode) or name.startswith("."):
                continue
            if not stat.S_ISREG(mode):
                raise UserError(
                    f"{source}: a link or a special file, which could lead outside {folder}; "
                    f"make a copy of plain files with `cp -rL` and use that"
                )
            if target := place(source.relative_to(folder).as_posix()):
                (root / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, root / target)


def _stop(error: OSError) -> None:
    raise error  # by default os.walk skips folders that it cannot list


def _members(file: IO[bytes]) -> Iterator[_Member]:
    """Yield the members in order. The first bytes decide the kind of archive, not its name."""
    magic = file.read(4)
    file.seek(0)
    if magic in (b"PK\3\4", b"PK\5\6"):
        yield from _zip_members(file)
    elif magic.startswith(b"\x1f\x8b"):
        yield from _tar_members(gzip.GzipFile(fileobj=file))
    else:
        yield from _tar_members(file)


def _tar_members(file: IO[bytes] | gzip.GzipFile) -> Iterator[_Member]:
    with tarfile.open(fileobj=file, mode="r|", tarinfo=_StrictTarInfo) as tar:
        while info := tar.next():
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - tarfile would keep them all
            if not (info.isdir() or info.isreg()) or info.issparse():
                raise _Refused(f"{info.name!r}: a link, a device or another special file")
            yield _Member(info.name, info.size, tar.extractfile(info))
    while file.read(1 << 16):  # gzip verifies its checksum only at the end
        pass


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.header_offset < 0:  # zipfile would seek there and raise OSError, as for a bad disk
                raise zipfile.BadZipFile("a member outside the file")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"{info.filename!r}: a link, a device or another special file")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused(f"{info.filename!r}: encrypted, or compressed by a method other than deflate")
            with archive.open(info) as data:
                yield _Member(info.filename, info.file_size, None if info.is_dir() else data)


class _StrictTarInfo(tarfile.TarInfo):
    """Make an unreadable header an error. tarfile takes it for the end and silently omits all later members."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictTarInfo":
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not any(buf):  # zeros end a tar
                raise
            raise tarfile.ReadError(str(error)) from None
        if info.size > MAX_FILE:  # tarfile reads long names and other records of this size into memory
            raise _Refused(f"{info.name!r}: a file of more than {MAX_FILE:,} bytes")
        return info


def _normal(name: str) -> str:
    """Return the path of a member without empty parts and dots."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise _Refused(f"{name!r}: an absolute path, or a path with `..`")
    return "/".join(parts)
