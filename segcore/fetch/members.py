"""Read the members of a tar, a compressed tar or a ZIP one by one, in constant memory, within limits.

An archive is untrusted input. A member that could write or read outside the output folder, or fill the disk or the
memory, is refused here.
"""

import bz2
import gzip
import hashlib
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple, Protocol, cast

from segcore.fetch import formats
from segcore.files.description import Description

MAX_FILE = 64 << 20  # bytes; a PNG of 16 million pixels that noise fills has 48 MB
MAX_PATH = 4096  # characters of a path; Linux allows no longer one
MAX_HEADERS = 4096  # bytes of a tar beside the content of its files, for each member that is allowed
XZ_MEMORY = 80 << 20  # `xz -9` needs 65 MiB

# What tarfile, zipfile and the decompressors raise for damaged input.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError, ValueError, LookupError,
    ArithmeticError, RuntimeError,
)  # fmt: skip

_ZIP = (b"PK\3\4", b"PK\5\6")
_UNPACK = "unpack it, and set fetch.source to the folder"

# APPNOTE.TXT 4.4.2, "version made by", of systems whose paths have backslashes: FAT, OS/2 HPFS, NTFS, VFAT.
_BACKSLASH_SYSTEMS = (0, 6, 10, 14)


def is_damage(error: Exception) -> bool:
    """Return whether damaged input raised this error."""
    # gzip and bzip2 raise an OSError, without the errno that a failing disk sets.
    return isinstance(error, _DAMAGE) or (isinstance(error, OSError) and error.errno is None)


class Refused(Exception):
    """The archive is not read. The text says why, and what to do."""


class Limits(NamedTuple):
    """Limits of an archive. They stop one that was made to fill the disk or the memory."""

    members: int = 100_000
    total: int = 4 << 30  # bytes unpacked

    @classmethod
    def of(cls, description: Description) -> "Limits":
        """Return limits that leave room for a data set of the published size, if the description has it."""
        frames = sum(split.frames or 0 for _, split in description.splits)
        width, height = description.size or (0, 0)
        return cls(max(cls().members, 10 * frames), max(cls().total, frames * width * height * 4))


class Member(NamedTuple):
    """A file of the archive. The data of a hard link are those of an earlier member, its ``original``."""

    number: int
    name: str  # a relative path without empty parts and dots
    data: IO[bytes] | None  # None for a hard link
    original: int | None  # for a hard link, the number of the earlier member


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Entry(NamedTuple):
    name: str
    size: int  # bytes; no more than these are read
    data: IO[bytes] | None = None
    link: str | None = None  # a hard link's target; a folder has neither data nor link


def read_members(file: IO[bytes], limits: Limits) -> Iterator[Member]:
    """Yield the files in order; their data can be read until the next is asked for.

    The first bytes decide the kind of archive, not its name.

    Raises:
        Refused: if it is not an archive that is read here, contains symbolic links, devices, encrypted files,
            absolute paths or ``..``, hard links to anything but an earlier file, or exceeds the limits.
        Exception: if it is damaged; see :func:`is_damage`.
    """
    total = 0
    # Names are kept as digests, because a name can be long. Only hard links need them.
    files: dict[bytes, tuple[int, int]] = {}
    for number, entry in enumerate(_entries(file, limits), start=1):
        if number > limits.members:
            raise _hostile(f"more than {limits.members:,} members")
        if len(entry.name) > MAX_PATH:
            raise _hostile(f"{entry.name[:80]!r}…: a path of more than {MAX_PATH:,} characters")
        if entry.size > MAX_FILE:
            raise _hostile(f"{entry.name!r}: a file of more than {MAX_FILE:,} bytes")
        if entry.data:
            files[_digest(entry.name)] = (number, entry.size)
        original = None
        size = entry.size
        if entry.link is not None:
            if (found := files.get(_digest(entry.link))) is None:
                raise _hostile(f"{entry.name!r}: a link to {entry.link!r}, which is no earlier file of the archive")
            files[_digest(entry.name)] = found
            original, size = found
        total += size
        if total > limits.total:
            raise _too_large(limits)
        if entry.data or original:
            yield Member(number, _normal(entry.name), entry.data, original)


def _hostile(what: str) -> Refused:
    return Refused(f"refused: {what}; get it from a source that you trust, or, if it is your own, {_UNPACK}")


def _too_large(limits: Limits) -> Refused:
    return _hostile(
        f"more than {limits.total:,} bytes unpacked, a limit that `splits.*.frames` and `size` of the description raise"
    )


def _normal(name: str) -> str:
    """Return the path of a member without empty parts and dots."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise _hostile(f"{name!r}: an absolute path, or a path with `..`")
    return "/".join(parts)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(_normal(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def is_archive(file: IO[bytes]) -> bool:
    """Return whether a file begins as a ZIP or as a tar, compressed or not. A damaged stream counts as one, too."""
    if _magic(file).startswith(_ZIP):
        return True
    head = b""
    try:
        stream = _decompressed(file)
        while len(head) < formats.HEAD and (data := stream.read(formats.HEAD - len(head))):
            head += data
    except Refused:
        return True
    except Exception as error:
        if not is_damage(error):
            raise
        return True
    return head[257:262] == b"ustar"


def _magic(file: IO[bytes]) -> bytes:
    magic = file.read(6)
    file.seek(0)
    return magic


def _decompressed(file: IO[bytes]) -> _Readable:
    """Return the stream in a file of gzip, bzip2 or xz, or the file itself."""
    magic = _magic(file)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _Unxz(file) if magic == b"\xfd7zXZ\0" else file


def _entries(file: IO[bytes], limits: Limits) -> Iterator[_Entry]:
    if _magic(file).startswith(_ZIP):
        return _zip_entries(file)
    stream = _decompressed(file)
    return _tar_entries(_Stream(stream, limits, compressed=stream is not file))


def _tar_entries(stream: "_Stream") -> Iterator[_Entry]:
    with _open_tar(stream) as tar:
        while info := tar.next():
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - tarfile would keep them all
            if info.islnk():
                yield _Entry(info.name, 0, link=info.linkname)
            elif info.issparse() or not (info.isdir() or info.isreg()):
                raise _hostile(f"{info.name!r}: a link, a device or another special file")
            else:
                yield _Entry(info.name, info.size, tar.extractfile(info))
    while stream.read(1 << 16):  # gzip and xz verify their checksums only at the end
        pass


def _open_tar(stream: "_Stream") -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_StrictTarInfo)
    except tarfile.ReadError:
        if found := formats.recognise(stream.head):
            otherwise = _UNPACK if found.endswith("archive") else "set fetch.source to an archive or a folder"
            what = f"{found}, compressed, and not a tar" if stream.compressed else f"{found}, and not a tar or a ZIP"
            raise Refused(f"{what}; {formats.remedy(found, otherwise)}") from None
        raise


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
            raise _hostile(f"{info.name!r}: a file of more than {MAX_FILE:,} bytes")
        return info


class _Stream:
    """The bytes of a tar, decompressed, with a limit: 1 kB of bzip2 can hold 1 GB of zeros behind the last member."""

    def __init__(self, file: _Readable, limits: Limits, compressed: bool) -> None:
        self.compressed = compressed
        self._file = file
        self._limits = limits
        self._left = limits.total + MAX_HEADERS * limits.members
        self.head = b""

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.head = self.head or data[: formats.HEAD]
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._limits)
        return data


class _Unxz:
    """Decompress xz, of one or several streams, in bounded memory. LZMAFile has no such bound."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)

    def read(self, size: int) -> bytes:
        """Return 1 to ``size`` bytes; none at the end."""
        data = b""
        while not data:
            compressed = b""
            if self._decoder.eof:
                compressed = self._decoder.unused_data
                while not (compressed := compressed.lstrip(b"\0")):  # zeros between streams are padding
                    if not (compressed := self._file.read(1 << 16)):
                        return b""
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
            elif self._decoder.needs_input and not (compressed := self._file.read(1 << 16)):
                raise EOFError("the end of the xz stream is missing")
            try:
                data = self._decoder.decompress(compressed, size)
            except lzma.LZMAError as error:
                if "limit" not in str(error):
                    raise
                memory = f"xz that needs more than {XZ_MEMORY >> 20} MiB of memory"
                raise Refused(f"{memory}; {_UNPACK}") from None
        return data


def _zip_entries(file: IO[bytes]) -> Iterator[_Entry]:
    with zipfile.ZipFile(file) as archive:
        # Some tools on Windows say that they are on Unix. Then no path has a slash.
        slashes = any("/" in info.filename for info in archive.infolist())
        for info in archive.infolist():
            name = info.filename
            if info.create_system in _BACKSLASH_SYSTEMS or not slashes:
                name = name.replace("\\", "/")
                if re.match("[A-Za-z]:", name):
                    raise _hostile(f"{info.filename!r}: an absolute path, or a path with `..`")
            if info.header_offset < 0:  # zipfile would seek there and raise OSError, as for a bad disk
                raise zipfile.BadZipFile("a member outside the file")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _hostile(f"{name!r}: a link, a device or another special file")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused(f"{name!r}: encrypted, or compressed by a method other than deflate; {_UNPACK}")
            with archive.open(info) as data:
                yield _Entry(name, info.file_size, None if name.endswith("/") else data)
