"""Make PNGs by hand, from the specification, with every filter: https://www.w3.org/TR/png-3/."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

GREY, RGB, PALETTE = 0, 2, 3  # colour types
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
    """Return a PNG of stored values H×W, of 1 to 8 bits, with chunks ``before`` and ``after`` the data."""
    height, width = samples.shape
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
    for number, values in enumerate(samples):
        row = np.packbits(np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]).astype(int)
        above = np.zeros_like(row) if above is None else above
        left, corner = np.roll(row, 1), np.roll(above, 1)
        left[0] = corner[0] = 0
        predicted = (0 * row, left, above, (left + above) // 2, paeth(left, above, corner))[number % 5]
        rows += bytes([number % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return rows


def paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Return the nearest of the three to left + above - corner; of equal ones left first, then above."""
    guess = left + above - corner
    distances = np.abs(np.stack([left, above, corner]) - guess)
    return np.choose(distances.argmin(axis=0), [left, above, corner])
