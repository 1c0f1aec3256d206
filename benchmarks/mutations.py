"""Damage data on purpose, as an accident or an attacker may damage a tar, a compressed tar, a ZIP or a picture.

All randomness comes from the generator that is passed in, so a seed gives the same archive again.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from random import Random

BLOCK = 512
# The fields of a tar header, by offset and length: POSIX.1-2001, "pax", ustar interchange format.
TAR_FIELDS = {
    "name": (0, 100), "mode": (100, 8), "uid": (108, 8), "size": (124, 12), "mtime": (136, 12), "type": (156, 1),
    "target": (157, 100), "magic": (257, 8), "prefix": (345, 155),
}  # fmt: skip
NAMES = (
    "../canary", "a/../../canary", "/tmp/canary", "..", "", ".", "/", "\\..\\canary", "C:\\canary", "a\0b", "n" * 300,
    "n" * 5000, "a/" * 40 + "b", "é" * 200, "\udcff", "\x1b[2J", "leftImg8bit", "leftImg8bit/train/A/000001_image.jpg",
    "leftImg8bit/train/a/000001_image.jpg", "leftImg8bit/train/a/000001_image.jpg/x",
    "leftImg8bit/train/../../../../1_image.jpg", "leftImg8bit/val/a/000001_image.jpg",
    "leftImg8bit/train/.../000001_image.jpg", "leftImg8bit/test/" + "d" * 300 + "/1_image.jpg", "a\nb", "./././x",
)  # fmt: skip
KINDS = b"0123456789ALKSVNMDXxg\0\x80"
VALUES = (b"", b"0", b"77777777777", b"-1", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"00000001000", b"9", b" ", b"\0")
PAX = (
    b"size=99999999999999", b"size=-1", b"size=x", b"path=../canary", b"path=/tmp/canary", b"linkpath=/etc/passwd",
    b"GNU.sparse.map=0,0", b"GNU.sparse.size=1099511627776", b"GNU.sparse.major=1", b"GNU.sparse.realsize=9e99",
    b"hdrcharset=BINARY", b"mtime=nan", b"uid=99999999999999999999", b"path=" + b"p" * 9000, b"\xff\xfe=\0",
)  # fmt: skip


def hostile_archive(random: Random, files: dict[str, bytes]) -> tuple[str, bytes]:
    """Pack ``files`` in some kind of archive, damage it, and return a file name and the content."""
    kind = random.choice((".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip", ".zip"))
    files = dict(files)
    for _ in range(random.choice((0, 0, 1, 2))):
        _change_files(random, files)
    if kind == ".zip":
        data = _zip(random, files)
        mutations: tuple[Callable[[Random, bytearray], None], ...] = (flip, cut, splice, zip_fields, zip_fields)
    else:
        data = _tar(random, files)
        mutations = (flip, cut, splice, tar_header, tar_header)
    damaged = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        random.choice(mutations)(random, damaged)
    if kind not in COMPRESS:
        return f"x{kind}", bytes(damaged)
    zipped = COMPRESS[kind](bytes(damaged), random)
    return f"x{kind}", zipped if random.random() < 0.8 else mutate(random, zipped)


def _gzip(data: bytes, _: Random) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def _bzip2(data: bytes, random: Random) -> bytes:
    """Compress in one or two streams; sometimes 5 MB of zeros, in 45 bytes, are a stream behind them."""
    cut = random.choice((0, 0, len(data) // 2))
    zeros = bytes(5_000_000) if random.random() < 0.1 else b""
    return b"".join(bz2.compress(part) for part in (data[:cut], data[cut:], zeros) if part)


def _xz(data: bytes, random: Random) -> bytes:
    """Compress in a stream that needs little memory, what `xz -9` needs, or more than there is."""
    size = random.choice((1 << 16, 1 << 16, 64 << 20, (1 << 32) - 1)) if random.random() < 0.1 else 1 << 16
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}]
    packed = bytearray(lzma.compress(data, filters=filters))
    if size > 1 << 16:
        _enlarge_dictionary(packed, size)
    return bytes(packed) + bytes(random.choice((0, 0, 4, 3)))


def _enlarge_dictionary(packed: bytearray, size: int) -> None:
    """Change the size of the dictionary in the header of the first block: xz file format 1.1.0, sections 3.1 and 5.3.1.

    To compress with a large one would take more memory than there is.
    """
    bits = next(bits for bits in range(41) if (2 | bits & 1) << (bits // 2 + 11) >= size or bits == 40)
    header = packed[12 : 12 + 4 * (packed[12] + 1)]
    header[header.index(b"\x21\x01", 2) + 2] = bits
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    packed[12 : 12 + len(header)] = header


COMPRESS: dict[str, Callable[[bytes, Random], bytes]] = {".tar.gz": _gzip, ".tar.bz2": _bzip2, ".tar.xz": _xz}


def mutate(random: Random, data: bytes) -> bytes:
    """Return the bytes after one to three mutations."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 3))):
        random.choice((flip, cut, splice))(random, changed)
    return bytes(changed)


def flip(random: Random, data: bytearray) -> None:
    """Change some bytes."""
    for _ in range(random.choice((1, 2, 10))):
        if data:
            data[random.randrange(len(data))] = random.choice((0, 255, random.randrange(256)))


def cut(random: Random, data: bytearray) -> None:
    """Remove the end."""
    del data[random.randrange(len(data) + 1) :]


def splice(random: Random, data: bytearray) -> None:
    """Insert a copy of a piece at a different place, overwrite with it, or remove a piece."""
    start, target = (random.randrange(len(data) + 1) for _ in range(2))
    piece = data[start : start + random.choice((1, 30, BLOCK, 5 * BLOCK))]
    if random.random() < 0.5:
        start, target = start // BLOCK * BLOCK, target // BLOCK * BLOCK
    data[target : target + random.choice((0, len(piece)))] = random.choice((piece, b""))


def tar_header(random: Random, data: bytearray) -> None:
    """Change a field of a header, and correct the checksum of the header, so that the change is read."""
    starts = [at for at in range(0, len(data) - BLOCK + 1, BLOCK) if data[at + 257 : at + 262] == b"ustar"]
    if not starts:
        return
    start = random.choice(starts)
    field = random.choice(list(TAR_FIELDS))
    offset, length = TAR_FIELDS[field]
    if field == "type":
        value = bytes([random.choice(KINDS)])
    elif field in ("name", "prefix", "target"):
        value = random.choice(NAMES).encode("utf-8", "surrogateescape")
    else:
        value = random.choice((*VALUES, random.randbytes(length)))
    data[start + offset : start + offset + length] = value[:length].ljust(length, b"\0")
    header = data[start : start + BLOCK]
    data[start + 148 : start + 156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * ord(" "))


def zip_fields(random: Random, data: bytearray) -> None:
    """Change a field of a local header, of the central directory, or of the end record."""
    magic, size = random.choice(((b"PK\3\4", 30), (b"PK\1\2", 46), (b"PK\1\2", 46), (b"PK\5\6", 22)))
    starts = [at for at in range(len(data) - 3) if data[at : at + 4] == magic]
    if not starts:
        return
    at = random.choice(starts) + random.randrange(4, size)
    value = random.choice((b"\0", b"\1", b"\xff", b"\xff\xff", b"\xff" * 4, random.randbytes(1), struct.pack("<I", 10)))
    data[at : at + len(value)] = value[: len(data) - at]


def _change_files(random: Random, files: dict[str, bytes]) -> None:
    """Rename, damage, remove, add or enlarge a file of the data set."""
    name = random.choice(list(files))
    change = random.randrange(7)
    if change == 0:
        files[random.choice(NAMES)] = files.pop(name)
    elif change == 1:
        files[name] = mended_png(mutate(random, files[name]))
    elif change == 2:
        del files[name]
    elif change == 3:
        files[random.choice(NAMES)] = b"anything"
    elif change == 4:
        files[name] = bytes(random.choice((200_000, 300_000, 3_000_000)))
    elif change == 5:
        files |= {f"many/{number}": b"" for number in range(random.choice((30, 300)))}
    else:
        frame = "leftImg8bit/train/a/1{:05}_image.jpg"
        files |= {frame.format(number): bytes(random.choice((100_000, 250_000))) for number in range(15)}


def mended_png(data: bytes) -> bytes:
    """Return a PNG with the checksums of its chunks computed anew, so that the decoder reads the damage."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    mended, at = data[:8], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        body = data[at + 4 : at + 8 + length]
        mended += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return mended


def _tar(random: Random, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    form = random.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    links = random.choice((0, 0, 0.1, 0.5))
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as tar:
        for name, data in files.items():
            if random.random() < 0.02:
                buffer.write(_special(random))
                tar.offset = buffer.tell()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            with contextlib.suppress(ValueError):  # a name that this format cannot hold
                if random.random() < links:
                    _add_link(random, tar, info, data, list(files))
                else:
                    tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _add_link(random: Random, tar: tarfile.TarFile, info: tarfile.TarInfo, data: bytes, names: list[str]) -> None:
    """Add a file as a hard link: to a copy of it before, as tools write that remove duplicates, or to anything."""
    copy = tarfile.TarInfo(random.choice((info.name.replace("_label", "_inst_label"), f"./copies/{len(data)}")))
    copy.size = len(data)
    tar.addfile(copy, io.BytesIO(data))
    info.type, info.size = tarfile.LNKTYPE, 0
    info.linkname = random.choice((*[copy.name] * 20, info.name, f"x/../{copy.name}", random.choice((*names, *NAMES))))
    tar.addfile(info)


def _special(random: Random) -> bytes:
    """Return a member that no data set needs: a link, a device, a sparse file, or pax records without a member."""
    kind = bytes([random.choice(KINDS)])
    info = tarfile.TarInfo(random.choice(("special", "leftImg8bit/test/d/000006_image.jpg")))
    info.type, info.linkname = kind, random.choice(("/etc/passwd", "../../canary", "leftImg8bit", ""))
    data = b""
    if kind in b"xXgLKS":
        body = b"".join(pax_record(random.choice(PAX)) for _ in range(random.choice((1, 3, 2000))))
        data = body if kind in b"xXg" else random.choice(NAMES).encode("utf-8", "surrogateescape") + b"\0"
    info.size = len(data)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)


def pax_record(text: bytes) -> bytes:
    """Return ``KEY=VALUE`` as a record of a pax header, which begins with its own length in decimal."""
    length = len(text) + 3
    while len(b"%d %s\n" % (length, text)) != length:
        length += 1
    return b"%d %s\n" % (length, text)


def _zip(random: Random, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    system, backslashes = random.choice(((0, False), (3, False), (0, True), (10, True), (3, True)))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            info.filename = info.filename.replace("/", "\\") if backslashes else info.filename
            info.create_system = system
            info.compress_type = random.choice((0, *[8] * 50, 12, 14))
            info.external_attr = random.choice((0, 0o100644, *[0] * 100, 0o120777, 0o020600)) << 16
            with archive.open(info, "w", force_zip64=random.random() < 0.1) as member:
                member.write(data)
    return buffer.getvalue()
