"""Redraw the frames of a video. Only a few frames are in memory at a time.

Frames are turned upright as the rotation in the file says. The result is H.264 in an MP4 file, with the time stamps of
the source. Sound is left out, interlaced frames stay interlaced, and HDR is not tone-mapped.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from PIL import Image

from segcore.files.images import Unreadable
from segcore.predict.video_reader import Reader, Stamp
from segcore.predict.video_writer import Writer

SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"))


def redraw(source: Path, target: Path, draw: Callable[[Iterator[Image.Image]], Iterator[Image.Image]]) -> int:
    """Redraw the frames of ``source``, write them to the MP4 file ``target``, and return their number.

    Args:
        target: may have any name.
        draw: takes the RGB pictures of the frames, upright and in order, and yields one for each, in the same order
            and size. A frame is read when ``draw`` asks for it, so it may read some frames ahead.

    Raises:
        Unreadable: if ``source`` is not a video, is damaged, or its frames are larger than the limit for pictures. A
            transport or program stream that was cut off cannot be told from a shorter one.
        OSError: if ``target`` cannot be written.
        UserError: if PyAV is not installed.
    """
    stamps: deque[Stamp] = deque()

    def pictures(reader: Reader) -> Iterator[Image.Image]:
        for picture, stamp in reader.frames():
            stamps.append(stamp)
            yield picture

    with Reader(source) as reader, Writer(target, reader.rate, reader.time_base) as writer:
        read = pictures(reader)
        for picture in draw(read):
            writer.write(picture, stamps.popleft())
        if stamps or next(read, None):
            raise ValueError("one picture was expected for each frame")
    return writer.count


def frame_count(path: Path) -> int | None:
    """Return the approximate number of frames by the header; ``None`` if it has none, or is unreadable.

    Raises:
        UserError: if PyAV is not installed.
    """
    with suppress(Unreadable), Reader(path) as reader:
        return reader.expected
    return None
