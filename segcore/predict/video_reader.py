"""Read the frames of a video with PyAV: upright, in the order in which they are shown, with their times."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from PIL import Image

from segcore.dataset.frames import MAX_PIXELS
from segcore.files.images import Unreadable
from segcore.runtime.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Without this list, FFmpeg would accept a playlist that is named like a video, and read the files in it.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts"
_END = Fraction(1, 2)  # seconds by which a Matroska file may end before the time that its header says
_BT709, _UNSPECIFIED = 1, 2  # ITU-T H.273
_HD = 720  # height from which players assume BT.709 for a video without a tag
# A display matrix moves a point (x, y), y downwards, to (ax + cy, bx + dy). The key is the signs of a, b, c, d.
_TURNS = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,  # Pillow counts counter-clockwise
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


_SWAP = [turn for signs, turn in _TURNS.items() if not signs[0]]  # height and width


class Stamp(NamedTuple):
    """Time and duration of a frame, in units of the time base, and a pixel's width divided by its height."""

    time: int
    duration: int
    aspect: Fraction


class Reader:
    """The frames of a video; a context manager.

    Attributes:
        rate: frames per second, on average.
        time_base: seconds.
        expected: approximate number of frames by the header; ``None`` if it has none.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            Unreadable: if it is not a video, or its frames are too large.
            UserError: if PyAV is not installed.
        """
        self._av = import_av()
        with self._reasons("not a video, or damaged"):
            # The path is absolute, because FFmpeg takes text before a colon for a protocol.
            file, options = str(path.absolute()), {"format_whitelist": _FORMATS}
            # Titles that are not UTF-8 are errors by default before version 19, which has no such argument.
            lenient = {"metadata_errors": "replace"} if int(self._av.__version__.partition(".")[0]) < 19 else {}
            self._container: InputContainer = self._av.open(file, container_options=options, **lenient)
        try:
            self._stream = self._find_stream()
        except BaseException:
            self._container.close()
            raise
        rate = _fraction(self._stream.average_rate) or _fraction(self._stream.guessed_rate)
        self.rate = rate or Fraction(25)
        self.time_base = _fraction(self._stream.time_base) or 1 / self.rate
        self._seconds = Fraction(self._container.duration or 0, self._av.time_base)
        self.expected = self._stream.frames or round(self._seconds * self.rate) or None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[tuple[Image.Image, Stamp]]:
        """Yield RGB pictures, upright and in the order in which they are shown, with times that begin at 0.

        Raises:
            Unreadable: if the video is damaged or has no frames, or if their size changes.
        """
        step = max(1, round(1 / (self.rate * self.time_base)))  # from frame to frame
        clock = Clock(step, round(1 / self.time_base))
        pixel = _fraction(self._stream.sample_aspect_ratio) or Fraction(1)
        size = None
        for number, frame in enumerate(self._decode()):
            picture, turn = _picture(frame), _turn(frame)
            if turn is not None:
                picture = picture.transpose(turn)
            aspect = 1 / pixel if turn in _SWAP else pixel
            if picture.size != (size := size or picture.size):
                raise Unreadable(f"the size of its frames changes after frame {number}")
            yield picture, Stamp(clock.time(frame.pts), frame.duration or step, aspect)
        if size is None:
            raise Unreadable("it has no frames")

    def _find_stream(self) -> "VideoStream":
        cover = self._av.stream.Disposition.attached_pic  # the cover of an album is a video stream, too
        streams = [stream for stream in self._container.streams.video if not stream.disposition & cover]
        if not streams:
            raise Unreadable("it has no video stream")
        if streams[0].codec_context is None:
            raise Unreadable("its codec is not supported")
        _check_size(streams[0].width, streams[0].height)
        return streams[0]

    def _decode(self) -> "Iterator[VideoFrame]":
        """Yield the frames, and compare their number and time with the header: FFmpeg rarely reports a missing end."""
        packets = decoded = 0
        end = Fraction(0)  # of all streams so far, in seconds
        demuxed = self._container.demux()
        while True:
            with self._reasons(f"damaged after frame {decoded}"):
                if (packet := next(demuxed, None)) is None:
                    break
                if packet.pts is not None and (base := _fraction(packet.time_base)):
                    end = max(end, (packet.pts + (packet.duration or 0)) * base)
                if packet.stream.index != self._stream.index:
                    continue
                if packet.is_corrupt:
                    raise Unreadable(f"damaged or cut off after frame {decoded}")
                packets += packet.size > 0
                frames = self._stream.decode(packet)
            for frame in frames:
                _check_size(frame.width, frame.height)
                yield frame
                decoded += 1
        if packets < self._stream.frames:
            raise Unreadable(f"damaged or cut off: it has {packets} of {self._stream.frames} frames")
        if "matroska" in self._container.format.name and end < self._seconds - _END:
            raise Unreadable(
                f"damaged or cut off: it ends after {float(end):.1f} of {float(self._seconds):.1f} seconds"
            )

    @contextmanager
    def _reasons(self, what: str) -> Iterator[None]:
        """Turn the errors of FFmpeg into ``Unreadable``."""
        try:
            yield
        except (self._av.error.InvalidDataError, self._av.error.ArgumentError):
            raise Unreadable(what) from None
        except self._av.error.FFmpegError as error:
            raise Unreadable(f"{what} ({error.strerror})") from None


class Clock:
    """Conversion of any time stamps to times that begin at 0 and increase, as MP4 needs them."""

    def __init__(self, step: int, second: int) -> None:
        """Set the usual time between two frames, and the length of a second, in units of the time base."""
        self._step, self._second = step, second
        self._last = -step
        self._start: int | None = None

    def time(self, stamp: int | None) -> int:
        """Return the time of the next frame: one step after the frame before if it has no time stamp."""
        due = self._last + self._step
        if stamp is not None:
            if self._start is None or stamp - self._start < self._last - self._second:  # the first, or set back
                self._start = stamp - due
            due = max(stamp - self._start, self._last + 1)
        self._last = due
        return due


def _turn(frame: "VideoFrame") -> Image.Transpose | None:
    """Return how to turn or mirror a frame so that it is upright."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return None
    a, b, _, c, d, *_ = ((value > 0) - (value < 0) for value in struct.unpack("=9i", bytes(matrix)))
    return _TURNS.get((a, b, c, d))


def _picture(frame: "VideoFrame") -> Image.Image:
    guess = frame.colorspace == _UNSPECIFIED and frame.height >= _HD and not frame.format.is_rgb
    return frame.to_image(src_colorspace=_BT709 if guess else None)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width}×{height} pixels; at most {MAX_PIXELS:,} in all were expected")


class _Rational(Protocol):
    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def _fraction(value: _Rational | None) -> Fraction | None:
    """Convert a number of PyAV, ``None`` if unknown. Versions of PyAV differ in both types."""
    return Fraction(value.numerator, value.denominator) if value else None


def import_av() -> ModuleType:
    """Return PyAV.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import av
    except ImportError:
        raise UserError("videos need PyAV: run `pip install av`") from None
    return av
