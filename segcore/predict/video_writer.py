"""Write pictures as an H.264 video in an MP4 file with PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from segcore.predict.video_reader import Stamp
from segcore.runtime.threads import thread_count

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

# The last two keep the duration of the last frame. With B-frames, the last packet may hold an earlier frame.
_X264 = {"crf": "20", "preset": "veryfast", "flags": "+frame_duration", "bf": "0"}
_BT709, _LIMITED = 1, 1  # ITU-T H.273


class Writer:
    """A video of :attr:`count` pictures; a context manager. The file is complete when its block ends."""

    def __init__(self, path: Path, rate: Fraction, time_base: Fraction) -> None:
        """Set the frames per second, and the unit of the time stamps in seconds."""
        self.count = 0
        self._path, self._rate, self._time_base = path, rate, time_base
        self._opened: tuple[OutputContainer, VideoStream] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._opened is None:
            return
        container, stream = self._opened
        if kind is None:
            with _os_errors(self._path):
                container.mux(stream.encode())
                container.close()
        else:
            with suppress(Exception):
                container.close()

    def write(self, picture: Image.Image, stamp: Stamp) -> None:
        """Append a picture. If its height or width is odd, its last row or column is repeated.

        Raises:
            OSError: if the file cannot be written.
        """
        import av

        pixels = np.asarray(picture.convert("RGB"))
        height, width, _ = pixels.shape
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")  # yuv420p halves both
        with _os_errors(self._path):
            if self._opened is None:
                self._opened = self._open(picture.size, stamp.aspect)
            container, stream = self._opened
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
            frame.pts, frame.duration, frame.time_base = stamp.time, stamp.duration, self._time_base
            container.mux(stream.encode(frame))
        self.count += 1

    def _open(self, size: tuple[int, int], aspect: Fraction) -> "tuple[OutputContainer, VideoStream]":
        import av

        container = av.open(str(self._path.absolute()), "w", format="mp4", options={"movflags": "faststart"})
        stream = container.add_stream("libx264", rate=self._rate, options=_X264)
        stream.width, stream.height = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = thread_count()  # each thread holds a frame
        context.time_base = stream.time_base = self._time_base
        context.sample_aspect_ratio = aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return container, stream


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """Turn the errors of FFmpeg that are not system errors, which are ``OSError`` already, into ``OSError``."""
    from av.error import FFmpegError

    try:
        yield
    except OSError:
        raise
    except FFmpegError as error:
        raise OSError(f"{path}: cannot be written as a video ({error.strerror})") from None
