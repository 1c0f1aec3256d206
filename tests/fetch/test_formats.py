"""Formats by their first bytes, of files that real programs wrote where there are some."""

import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.formats import HEAD, recognise, remedy


def encoded(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, kind)
    return buffer.getvalue()


def array():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("a", b"")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000"])
def test_pictures(kind):
    expected = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}.get(kind, kind)
    assert recognise(encoded(kind)[:HEAD]) == f"a {expected}"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x20ftypavif\0\0", "an AVIF"),
        (b"\0\0\0\x20ftypheic\0\0", "a HEIC"),
        (b"\0\0\0\x20ftypmp42\0\0", "a video"),
        (array(), "a NumPy array"),
        (zipped(), "a ZIP archive"),
        (gzip.compress(b"", mtime=0), "a gzip archive"),
        (lzma.compress(b""), "an xz archive"),
        (b"\xef\xbb\xbf\r\n <!doctype HTML>", "a web page"),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html>', "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML document"),
        (b'{"error": "expired"}', "a JSON document"),
        (b"outs:\n- md5: 1", "a .dvc file"),
        (b"RIFF1234WAVE", None),
        (b"class ids", None),
        (b"", None),
    ],
    ids=lambda value: str(value)[:12],  # some files have the time in them, behind their first bytes
)
def test_other_files(data, name):
    assert recognise(data) == name


def test_remedies():
    assert remedy("a web page", "convert it") == "log in to its site, and download it again"
    assert remedy("a PNG", "convert it") == "convert it"
