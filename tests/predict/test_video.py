"""Videos that are drawn anew: their frames, times and colours."""

import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from segcore.predict.video import SUFFIXES, frame_count, redraw
from segcore.predict.video_reader import Clock
from segcore.runtime.errors import UserError
from tests.support.videos import (
    BLUE,
    COLOURS,
    CORNERS,
    GREEN,
    RED,
    SIZE,
    WHITE,
    colour,
    corners,
    decoded,
    make,
    plain,
    quarters,
    seen,
)

TICK = Fraction(1, 90_000)

KINDS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "h264-10-bit.mkv": ("libx264", "yuv420p10le"),
    "h264-grey.mov": ("libx264", "gray"),
    "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "ffv1.mkv": ("ffv1", "bgr0"),
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_of_each_kind_are_read_in_order_and_written_in_order(name, tmp_path):
    codec, pix_fmt = KINDS[name]
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = make(tmp_path / name, plain(COLOURS), codec, pix_fmt, **quiet)
    expected = np.array(COLOURS)
    if pix_fmt == "gray":
        expected = np.repeat(expected @ [[0.299], [0.587], [0.114]], 3, axis=1)
    read = seen(source)
    assert len(read) == len(COLOURS)
    np.testing.assert_allclose([colour(picture) for picture in read], expected, atol=9)

    assert redraw(source, tmp_path / "out", lambda frames: (Image.eval(frame, lambda v: 255 - v) for frame in frames))
    times, written = decoded(tmp_path / "out")
    np.testing.assert_allclose([colour(picture) for picture in written], 255 - expected, atol=12)
    np.testing.assert_allclose(times, np.arange(10) / 25, atol=0.002)
    assert source.suffix in SUFFIXES


# Degrees counter-clockwise and whether mirrored, as PyAV sets the matrix of a file; then where each colour is seen.
TURNS = {
    (0, False): [[RED, GREEN], [BLUE, WHITE]],
    (90, False): [[GREEN, WHITE], [RED, BLUE]],
    (180, False): [[WHITE, BLUE], [GREEN, RED]],
    (-90, False): [[BLUE, RED], [WHITE, GREEN]],
    (0, True): [[GREEN, RED], [WHITE, BLUE]],
    (180, True): [[BLUE, WHITE], [RED, GREEN]],
}


@pytest.mark.parametrize(("turn", "expected"), TURNS.items(), ids=str)
def test_frames_are_upright(turn, expected, tmp_path):
    source = make(tmp_path / "a.mp4", [corners()] * 2, turn=turn)
    for picture in seen(source):
        assert picture.size == (SIZE if turn[0] % 180 == 0 else SIZE[::-1])
        np.testing.assert_allclose(quarters(picture), expected, atol=12)
    _, written = decoded(tmp_path / "seen.partial")
    np.testing.assert_allclose(quarters(written[1]), expected, atol=25)


# The matrix of a phone that is held upright, from the "tkhd" box that it writes: ISO/IEC 14496-12, 8.3.2.
@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), [[BLUE, RED], [WHITE, GREEN]]),  # to be turned clockwise
        ((0, -1, 1, 0), [[GREEN, WHITE], [RED, BLUE]]),
        ((-1, 0, 0, -1), [[WHITE, BLUE], [GREEN, RED]]),
        ((0, 1, 1, 0), [[RED, BLUE], [GREEN, WHITE]]),  # mirrored at a diagonal
        ((0, -1, -1, 0), [[WHITE, GREEN], [BLUE, RED]]),
        ((0, 0, 0, 0), CORNERS),  # of broken cameras: players take it for none
    ],
    ids=str,
)
def test_the_matrix_of_a_track_turns_its_frames(matrix, expected, tmp_path):
    source = make(tmp_path / "a.mp4", [corners()])
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 44  # behind type, version, times, identity, duration, layer and volume
    assert struct.unpack_from(">9i", data, at) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    a, b, c, d = (value * 65536 for value in matrix)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    source.write_bytes(data)
    np.testing.assert_allclose(quarters(seen(source)[0]), expected, atol=12)


def test_a_target_plays_everywhere(tmp_path):
    source = make(tmp_path / "a.webm", plain(COLOURS), "libvpx-vp9", sound=1)
    target = tmp_path / ".b.mp4.partial"
    assert redraw(source, target, lambda frames: frames) == 10
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # so that it plays while it is loaded
    with av.open(str(target)) as file:
        [stream] = file.streams  # no sound
        assert "mp4" in file.format.name
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)
        assert stream.frames == 10
        assert stream.duration * stream.time_base == Fraction(10, 25)


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (35, 33)])
def test_an_odd_width_or_height_repeats_the_edge(size, tmp_path):
    source = make(tmp_path / "a.mp4", [corners(size)] * 3, pix_fmt="yuv444p")
    assert [picture.size for picture in seen(source)] == [size] * 3
    _, written = decoded(tmp_path / "seen.partial")
    assert written[0].size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    right, bottom = written[0].width - 1, written[0].height - 1
    for x, y, expected in ((0, bottom, BLUE), (right, 0, GREEN), (right, bottom, WHITE)):
        np.testing.assert_allclose(written[0].getpixel((x, y)), expected, atol=25)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("first", [0, 900_000])
def test_variable_times_are_kept_and_begin_at_0(name, first, tmp_path):
    times = [0, 1800, 3600, 18_000, 18_900, 90_000, 93_600]  # in 90,000ths of a second
    source = make(tmp_path / name, plain(COLOURS[:6]), times=[first + time for time in times], time_base=TICK, bf="0")
    redraw(source, tmp_path / "out", lambda frames: frames)
    found, _ = decoded(tmp_path / "out")
    np.testing.assert_allclose(found, np.array(times[:-1]) / 90_000, atol=0.001)
    with av.open(str(tmp_path / "out")) as file:
        assert file.duration / av.time_base == pytest.approx(93_600 / 90_000, abs=0.002)


def test_the_last_frame_of_a_target_is_shown_as_long_as_in_the_source(tmp_path):
    source = make(tmp_path / "a.mp4", plain(COLOURS[:5]), times=[0, 1, 2, 3, 4, 54], bf="0")
    redraw(source, tmp_path / "out", lambda frames: frames)
    with av.open(str(tmp_path / "out")) as file:
        assert file.duration / av.time_base == pytest.approx(54 / 25)


def test_a_clock_makes_any_time_stamps_increase_from_0():
    def times(*stamps: int | None) -> list[int]:
        clock = Clock(step=40, second=1000)
        return [clock.time(stamp) for stamp in stamps]

    assert times(7, 47, 87) == [0, 40, 80]
    assert times(None, None, None) == [0, 40, 80]
    assert times(-80, -40, None, 40) == [0, 40, 80, 120]
    assert times(0, 40, 40, 80) == [0, 40, 41, 80]
    assert times(9000, 9040, 5, 45) == [0, 40, 80, 120]  # a clock that was set back


def test_videos_one_after_the_other_in_a_file_are_read_to_the_end(tmp_path):
    """MPEG allows that, and the time stamps begin anew."""
    parts = [make(tmp_path / f"{i}.mpg", plain([colour] * 40), "mpeg2video") for i, colour in enumerate((RED, BLUE))]
    (tmp_path / "a.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert redraw(tmp_path / "a.mpg", tmp_path / "out", lambda frames: frames) == 80
    times, pictures = decoded(tmp_path / "out")
    np.testing.assert_allclose(times, np.arange(80) / 25, atol=0.05)
    np.testing.assert_allclose([colour(pictures[0]), colour(pictures[-1])], [RED, BLUE], atol=12)


@pytest.mark.parametrize(("turn", "expected"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_the_shape_of_pixels_is_kept(turn, expected, tmp_path):
    source = make(tmp_path / "a.mp4", plain(COLOURS), turn=(turn, False), aspect=Fraction(4, 3))
    redraw(source, tmp_path / "out", lambda frames: frames)
    with av.open(str(tmp_path / "out")) as file:
        assert file.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize("height", [480, 720])
def test_untagged_colours_are_read_as_players_do_and_written_with_a_tag(height, tmp_path):
    """ITU-R BT.601 below 720 rows, BT.709 from there on; what is written is BT.709 and says so."""
    from_red, from_blue = (0.299, 0.114) if height < 720 else (0.2126, 0.0722)

    def yuv(red: float, blue: float) -> np.ndarray:
        """Return the formula of BT.601 and BT.709 for ``RED``, limited range."""
        r, g, b = RED
        y = red * r + (1 - red - blue) * g + blue * b
        u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
        return np.array([16 + y * 219 / 255, 128 + u * 224 / 255, 128 + v * 224 / 255])

    frame = av.VideoFrame(64, height, "yuv420p")
    for plane, value in zip(frame.planes, yuv(from_red, from_blue), strict=True):
        plane.update(bytes([round(value)]) * plane.buffer_size)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    np.testing.assert_allclose(colour(seen(tmp_path / "a.mkv")[0]), RED, atol=5)
    with av.open(str(tmp_path / "seen.partial")) as file:
        stream = file.streams.video[0]
        assert [stream.colorspace, stream.color_primaries, stream.color_trc, stream.color_range] == [1, 1, 1, 1]
        [written] = file.decode(stream)
    found = [np.frombuffer(bytes(plane), np.uint8)[0] for plane in written.planes]
    np.testing.assert_allclose(found, yuv(0.2126, 0.0722), atol=4)


def test_frames_are_read_only_as_they_are_asked_for(tmp_path):
    source = make(tmp_path / "a.mp4", plain(COLOURS * 4))
    log = []

    def by_eights(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
        batch = []
        for frame in frames:
            batch.append(frame)
            log.append(len(batch))
            if len(batch) == 8:
                yield from batch
                batch.clear()

    assert redraw(source, tmp_path / "out", by_eights) == 40
    assert log == [1, 2, 3, 4, 5, 6, 7, 8] * 5
    _, pictures = decoded(tmp_path / "out")
    np.testing.assert_allclose([colour(picture) for picture in pictures], COLOURS * 4, atol=12)


def test_a_picture_is_due_for_each_frame(tmp_path):
    source = make(tmp_path / "a.mp4", plain(COLOURS))
    for draw in (lambda frames: (frame for i, frame in enumerate(frames) if i), lambda frames: iter([next(frames)])):
        with pytest.raises(ValueError, match="one picture was expected for each frame"):
            redraw(source, tmp_path / "out", draw)


def test_an_error_of_what_draws_is_passed_on(tmp_path):
    source = make(tmp_path / "a.mp4", plain(COLOURS))

    def draw(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
        yield next(frames)
        raise UserError("out of memory")

    with pytest.raises(UserError, match="out of memory"):
        redraw(source, tmp_path / "out", draw)


def test_frame_count_is_what_the_header_says(tmp_path):
    assert frame_count(make(tmp_path / "a.mp4", plain(COLOURS))) == 10
    assert frame_count(make(tmp_path / "a.mkv", plain(COLOURS))) == 10
    (tmp_path / "b.mp4").write_text("hello")
    assert frame_count(tmp_path / "b.mp4") is None
    assert frame_count(tmp_path / "none.mp4") is None


def test_the_encoder_has_as_many_threads_as_a_stage(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "3")
    redraw(make(tmp_path / "a.mp4", plain(COLOURS, (320, 240))), tmp_path / "out", lambda frames: frames)
    assert b" threads=3 " in (tmp_path / "out").read_bytes()  # x264 writes its options into the video
