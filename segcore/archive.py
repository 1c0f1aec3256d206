"""The files of an archive, or of a folder, copied each to the place that a function names for it.

An archive may come from anywhere, so nothing that it says about itself is trusted: it is read member by member, in
constant memory, and what it unpacks to is counted as it comes out. Only plain files are written, with this process's
own permissions and times.
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
from contextlib import nullcontext
from pathlib import Path
from typing import IO, NamedTuple

from segcore.console import UserError, open_with_progress

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

# IDD-Lite has 3,618 files of 27 MB in all, the largest of 23 kB; the bounds leave room for data sets like it, and stop
# an archive that was made to fill the disk or the memory.
MAX_MEMBERS = 100_000
MAX_TOTAL = 4 << 30
MAX_FILE = 64 << 20
MAX_HEADERS = 1 << 20  # of a tar, from one file to the next
MAX_ALL_HEADERS = 256 << 20  # of a tar: 2,684 bytes each for 100,000 members; Python reads 7 MB of them a second
MAX_GLOBALS = 100  # values in a tar that are to count for all files behind them, and stay in memory for that
MAX_DIRECTORY = 16 << 20  # of a zip, which is read at once: 160 bytes each for 100,000 members
MAX_NAME = 512
MAX_DEPTH = 16

_CHUNK = 1 << 16
# All that tarfile, zipfile and the decompressors are known to raise on damaged input; a failing disk is none of them.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
)

Place = Callable[[str], Path | None]


class _Refused(Exception):
    """The archive is whole, but holds something that no data set needs. The text says what."""


class _Member(NamedTuple):
    name: str
    is_folder: bool
    data: IO[bytes] | None  # None for a folder in a tar


def unpack(archive: Path, root: Path, place: Place) -> None:
    """Write each file of a tar, gzipped tar or zip to ``root / place(its path)``; where that is ``None``, skip it.

    Raises:
        UserError: if the archive is damaged, or holds anything but files and folders of plain relative names, or more
            than the bounds of this module.
    """
    names, total = _Names(), 0
    try:
        with open_with_progress(archive, "unpack") as file:
            for count, member in enumerate(_members(file), start=1):
                if count > MAX_MEMBERS:
                    raise _Refused(f"more than {MAX_MEMBERS:,} members")
                path = names.add(member.name, member.is_folder)
                if not member.is_folder:
                    target = place(path)
                    total += _copy(member, root / target if target else None)
                if total > MAX_TOTAL:
                    raise _Refused(f"more than {MAX_TOTAL:,} bytes unpacked")
    except _Refused as refused:
        raise UserError(f"{archive}: refused: {refused}; get IDD-Lite from a source that you trust") from None
    except _DAMAGE as error:
        why = str(error) or type(error).__name__
        raise UserError(f"{archive}: corrupt or truncated archive ({why}); download it again") from None


def copy_folder(folder: Path, root: Path, place: Place) -> None:
    """Copy each file below ``folder`` to ``root / place(its path)``; where that is ``None``, and hidden ones, not.

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
                    f"make a copy of plain files with `cp -rL` and take that"
                )
            if target := place(source.relative_to(folder).as_posix()):
                (root / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, root / target)


def _stop(error: OSError) -> None:
    raise error  # os.walk passes in silence over what it cannot list


def _members(file: IO[bytes]) -> Iterator[_Member]:
    """Tell the kind of archive by how it begins, whatever its name, and yield its members in order."""
    magic = file.read(4)
    file.seek(0)
    if magic in (b"PK\3\4", b"PK\5\6"):
        yield from _zip_members(file)
    elif magic.startswith(b"\x1f\x8b"):
        yield from _tar_members(gzip.GzipFile(fileobj=file))
    else:
        yield from _tar_members(file)


def _tar_members(file: IO[bytes]) -> Iterator[_Member]:
    stream, contents = _Metered(file), 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictTarInfo) as tar:
        while info := tar.next():
            tar.members.clear()  # tarfile would keep them all
            if len(tar.pax_headers) > MAX_GLOBALS or stream.count - contents > MAX_ALL_HEADERS:
                raise _Refused("more in the headers than names")
            if not (info.isdir() or info.isreg()) or info.issparse():
                raise _Refused(f"{info.name[:MAX_NAME]!r}: a link, a device or another special file")
            stream.left = MAX_FILE + MAX_HEADERS
            yield _Member(info.name, info.isdir(), tar.extractfile(info))
            contents += info.size if info.isreg() else 0
            stream.left = MAX_HEADERS
    while stream.read(_CHUNK):  # gzip compares its checksum when it comes to its end
        pass


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(_Sipped(file)) as archive:
        for info in archive.infolist():
            name = info.orig_filename  # ZipInfo.filename ends at a NUL
            if not 0 <= info.header_offset < size:  # zipfile would seek there
                raise zipfile.BadZipFile("a member outside the file")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"{name[:MAX_NAME]!r}: a link, a device or another special file")
            if info.flag_bits & 1:
                raise _Refused(f"{name[:MAX_NAME]!r}: encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused(f"{name[:MAX_NAME]!r}: compressed by a method other than deflate")
            with archive.open(info) as data:
                yield _Member(name, info.is_dir(), data)


class _StrictTarInfo(tarfile.TarInfo):
    """A header that cannot be read is an error. tarfile takes it for the end and leaves the rest out in silence."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


class _Metered:
    """Reads from ``file`` until ``left`` bytes are used up: tarfile keeps long names and sparse maps in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.left = MAX_HEADERS
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.left -= len(data)
        self.count += len(data)
        if self.left < 0:
            raise _Refused("a file or a header that is too large")
        return data


class _Sipped:
    """Reads no more of ``file`` at once than a directory may have: zipfile keeps all of it, tenfold, in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:
            raise _Refused(f"a directory of more than {MAX_DIRECTORY:,} bytes")
        return self._file.read(size)


class _Names:
    """The paths in an archive, each of them once."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add(self, name: str, is_folder: bool) -> str:
        """Note the member ``name`` and give its path without empty parts and dots."""
        shown = repr(name[:MAX_NAME])
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
            raise _Refused(f"{shown}: a name of more than {MAX_NAME} characters or {MAX_DEPTH} folders")
        if "\\" in name or "\0" in name:
            raise _Refused(f"{shown}: a backslash or a NUL in a name")
        if name.startswith("/"):
            raise _Refused(f"{shown}: an absolute path")
        if ".." in parts:
            raise _Refused(f"{shown}: a path with `..`")
        path = "/".join(parts)
        folders = {"/".join(parts[:depth]) for depth in range(len(parts) + is_folder)}
        if not folders.isdisjoint(self._files) or (not is_folder and (path in self._files or path in self._folders)):
            raise _Refused(f"{shown}: a second member of this path")
        self._folders |= folders
        if not is_folder:
            self._files.add(path)
        return path


def _copy(member: _Member, target: Path | None) -> int:
    """Write the member to ``target``, or only read it; return its size."""
    size = 0
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") if target else nullcontext() as file:
        while chunk := member.data.read(_CHUNK):
            size += len(chunk)
            if size > MAX_FILE:
                raise _Refused(f"{member.name!r}: a file of more than {MAX_FILE:,} bytes")
            if file:
                file.write(chunk)
    return size
