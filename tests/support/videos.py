"""Make small videos of plain colours, which survive compression, with PyAV, and read them with it alone."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from segcore.predict.video import redraw

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 40), (40, 50, 210), (240, 240, 240)
CORNERS = [[RED, GREEN], [BLUE, WHITE]]
COLOURS = [(40 + 20 * i, 200 - 15 * i, 30 * (i % 7)) for i in range(10)]
SIZE = (64, 48)


def plain(colours: Iterable[tuple[int, int, int]], size: tuple[int, int] = SIZE) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in colours]


def corners(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a picture whose quarters have the colours ``CORNERS``."""
    return Image.fromarray(np.array(CORNERS, np.uint8)).resize(size, Image.Resampling.NEAREST)


def make(
    path: Path,
    pictures: Sequence[Image.Image],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    turn: tuple[float, bool] | None = None,
    aspect: Fraction | None = None,
    sound: float = 0,
    cover: bool = False,
    title: str = "",
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Write a video of 25 frames per second, or with the ``times`` of the frames and of the end, in time bases."""
    times = times or range(len(pictures) + 1)
    with av.open(str(path), "w", options=container or {}) as file:
        file.metadata["title"] = title
        stream = file.add_stream(codec, rate=25, options={"flags": "+frame_duration", **options})
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = time_base
        if cover:
            stream.disposition = Disposition.attached_pic
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(turn[0], hflip=turn[1])
        speech = file.add_stream("libopus", rate=48_000) if sound else None
        for picture, time, after in zip(pictures, times, times[1:], strict=False):
            frame = av.VideoFrame.from_image(picture).reformat(format=pix_fmt)
            frame.pts, frame.duration, frame.time_base = time, after - time, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if speech:
            add_silence(file, speech, sound)
    return path


def add_silence(file: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, round(48_000 * seconds), 960):
        quiet = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), format="fltp", layout="stereo")
        quiet.sample_rate, quiet.pts, quiet.time_base = 48_000, start, Fraction(1, 48_000)
        file.mux(stream.encode(quiet))
    file.mux(stream.encode())


def seen(path: Path) -> list[Image.Image]:
    """Return the pictures that ``redraw`` hands on."""
    pictures: list[Image.Image] = []

    def look(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
        for frame in frames:
            pictures.append(frame)
            yield frame

    redraw(path, path.with_name("seen.partial"), look)
    return pictures


def colour(picture: Image.Image, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    return np.array(picture)[int(y * picture.height), int(x * picture.width)].astype(int)


def quarters(picture: Image.Image) -> list[list[np.ndarray]]:
    return [[colour(picture, x, y) for x in (0.25, 0.75)] for y in (0.25, 0.75)]


def decoded(path: Path) -> tuple[list[float], list[Image.Image]]:
    """Return the times and pictures of a video, read with PyAV alone."""
    with av.open(str(path)) as file:
        frames = list(file.decode(file.streams.video[0]))
    return [frame.time for frame in frames], [frame.to_image() for frame in frames]
