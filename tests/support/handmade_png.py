"""Make PNGs by hand, from the specification, with every filter: https://www.w3.org/TR/png-3/."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types
# Adam7: first column and row of each pass, and the steps.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make(
    samples: np.ndarray,
    bits: int,
    colour: int = GREY,
    interlaced: bool = False,
    palette: Sequence[tuple[int, int, int]] = (),
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Return a PNG of stored values, with chunks ``before`` and ``after`` the data.

    The values are H×W of 1 to 8 bits, or of 16, or H×W×C of 8 or 16 bits.
    """
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    parts = [samples[y::step_y, x::step_x] for x, y, step_x, step_y in passes]
    data = b"".join(filtered(part, bits) for part in parts if part.size)
    entries = chunk(b"PLTE", bytes(value for entry in palette for value in entry)) if palette else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + entries + before + chunk(b"IDAT", zlib.compress(data)) + after
        + chunk(b"IEND", b"")
    )  # fmt: skip


def filtered(samples: np.ndarray, bits: int) -> bytes:
    """Return the rows, packed, each by a different one of the five filters."""
    rows = b""
    above = None
    pixel = max(1, bits * samples[0, 0].size // 8)  # bytes
    for number, values in enumerate(samples):
        row = packed(values.ravel(), bits).astype(int)
        above = np.zeros_like(row) if above is None else above
        left, corner = np.roll(row, pixel), np.roll(above, pixel)
        left[:pixel] = corner[:pixel] = 0
        predicted = (0 * row, left, above, (left + above) // 2, paeth(left, above, corner))[number % 5]
        rows += bytes([number % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return rows


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the bytes of the values of a row."""
    if bits == 16:
        return np.frombuffer(values.astype(">u2").tobytes(), np.uint8)
    return np.packbits(np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :])


def exif(orientation: int, endian: str = "<", kind: int = 3) -> bytes:
    """Return EXIF data with nothing but an orientation, a 16-bit number unless ``kind`` says otherwise."""
    value = struct.pack(f"{endian}HHIHH", 0x112, kind, 1, orientation, 0)
    return {"<": b"II*\0", ">": b"MM\0*"}[endian] + struct.pack(f"{endian}IH", 8, 1) + value + bytes(4)


def paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Return the nearest of the three to left + above - corner; of equal ones left first, then above."""
    guess = left + above - corner
    distances = np.abs(np.stack([left, above, corner]) - guess)
    return np.choose(distances.argmin(axis=0), [left, above, corner])
