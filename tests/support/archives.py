"""Archives of every kind that can be unpacked."""

import bz2
import gzip
import lzma
import tarfile
from pathlib import Path

from tests.support import tiny

FILES = {"top/a.txt": b"first", "top/deep/b.bin": bytes(range(256)) * 300, "c": b""}
COMPRESS = {".gz": gzip.compress, ".tgz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".tar": bytes}


def write_tar(path: Path, files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    """Write a tar, compressed as the end of its name says."""
    plain = tiny.write_tar(path.with_name("plain.tar"), files, extra).read_bytes()
    path.write_bytes(COMPRESS[path.suffix](plain))
    return path


WRITERS = {suffix: write_tar for suffix in (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")} | {
    ".zip": tiny.write_zip
}
