"""Recognise the format of a file by its first bytes, to name what was found where something else was expected."""

HEAD = 512  # bytes that are enough to recognise each format

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG"),
    (b"\xff\xd8\xff", "a JPEG"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%PDF-", "a PDF"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PK\3\4", "a ZIP archive"),
    (b"PK\7\x08", "a part of a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (b"\x1f\x9d", "a compress archive (.Z)"),
    (b"MSCF", "a cabinet archive"),
    (b"xar!", "a xar archive"),
)
_TEXTS = (
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
    (b"<error", "an XML document"),
    (b'{"', "a JSON document"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"outs:", "a .dvc file"),
)
_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIC"}

_EXPIRED = "log in to its site, and download it again"
_REMEDIES = {
    "a web page": _EXPIRED,
    "an XML document": _EXPIRED,
    "a JSON document": _EXPIRED,
    "a Git LFS pointer": "run `git lfs pull` in the repository that it comes from",
    "a .dvc file": "run `dvc pull` in the project that it comes from, and name the file without `.dvc`",
}


def recognise(head: bytes) -> str | None:
    """Return the name of a format with its article, for example ``"a PNG"``, or ``None`` if it is not known."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _TEXTS:
        if text.startswith(start):
            # XHTML begins as XML does.
            return "a web page" if name == "an XML document" and b"<html" in text else name
    return None


def remedy(found: str, otherwise: str) -> str:
    """Return what to do with a file of the format ``found``; ``otherwise`` if the format alone does not tell."""
    return _REMEDIES.get(found, otherwise)
