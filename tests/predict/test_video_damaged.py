"""Videos that cannot be read or written."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from segcore.files.images import Unreadable
from segcore.predict import video_reader
from segcore.predict.video import frame_count, redraw
from segcore.runtime.errors import UserError
from tests.support.videos import COLOURS, RED, SIZE, add_silence, colour, make, plain, seen


def noise(count: int = 30, size: tuple[int, int] = SIZE) -> list[Image.Image]:
    generator = np.random.default_rng(1)
    return [Image.fromarray(generator.integers(0, 256, (*size[::-1], 3), np.uint8)) for _ in range(count)]


def first_part(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def overwritten(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + 2000] = np.random.default_rng(2).bytes(2000)
    path.write_bytes(data)


DAMAGED = {
    "mp4 cut off": ("a.mp4", "libx264", {}, first_part, "not a video, or damaged"),
    "mp4 for streaming cut off": ("a.mp4", "libx264", {"movflags": "faststart"}, first_part, "after frame"),
    "mkv cut off": ("a.mkv", "libx264", {}, first_part, r"it ends after 0\.\d of 1\.2 seconds"),
    "webm cut off": ("a.webm", "libvpx-vp9", {}, first_part, r"it ends after 0\.\d of 1\.2 seconds"),
    "avi cut off": ("a.avi", "mpeg4", {}, first_part, "damaged or cut off after frame"),
    "mp4 with other bytes": ("a.mp4", "libx264", {}, overwritten, "damaged after frame"),
    "mkv with other bytes": ("a.mkv", "libx264", {}, overwritten, r"it ends after 0\.\d of 1\.2 seconds"),
    "avi with other bytes": ("a.avi", "mpeg4", {}, overwritten, r"it has \d\d of 30 frames"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_video_is_unreadable(kind, tmp_path, capfd):
    name, codec, container, damage, reason = DAMAGED[kind]
    source = make(tmp_path / name, noise(), codec, container=container)
    damage(source, 0.5)
    with pytest.raises(Unreadable, match=reason):
        redraw(source, tmp_path / "out", lambda frames: frames)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", np.linspace(0.01, 0.99, 15).round(2))
@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_a_cut_anywhere_is_found(name, share, tmp_path):
    source = make(tmp_path / name, noise(8), "mpeg4", container={"movflags": "faststart"} if name == "a.mp4" else None)
    first_part(source, share)
    with pytest.raises(Unreadable):
        redraw(source, tmp_path / "out", lambda frames: frames)


def test_a_trimmed_video_is_not_taken_for_damaged(tmp_path):
    """A phone keeps the trimmed frames in the file, and an edit list says which ones to leave out."""
    whole = make(tmp_path / "a.mp4", plain(COLOURS), bf="0")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 3 * 512, packet.dts - 3 * 512, stream
                target.mux(packet)
    read = seen(tmp_path / "b.mp4")
    np.testing.assert_allclose([colour(picture) for picture in read], COLOURS[3:], atol=9)


def test_a_file_of_a_different_kind_is_unreadable(tmp_path):
    make(tmp_path / "real.mp4", plain(COLOURS))
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        add_silence(file, file.add_stream("libopus", rate=48_000), 0.1)
    make(tmp_path / "cover.mp4", plain([RED]), "mjpeg", "yuvj420p", sound=0.1, cover=True)
    with av.open(str(tmp_path / "header.mp4"), "w", options={"movflags": "empty_moov+frag_keyframe"}) as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        file.start_encoding()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    # Playlists, which would read other files.
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile real.mp4\n")
    (tmp_path / "list.ts").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5\nreal.mp4\n#EXT-X-ENDLIST\n")
    codec = (tmp_path / "real.mp4").read_bytes().replace(b"avc1", b"none").replace(b"avcC", b"none")
    (tmp_path / "codec.mp4").write_bytes(codec)
    plainly = "not a video, or damaged"
    for name, reason in {
        "sound.mp4": "it has no video stream",
        "cover.mp4": "it has no video stream",
        "header.mp4": "it has no frames",
        "empty.mp4": plainly,
        "text.mp4": plainly,
        "list.mp4": plainly,
        "list.ts": plainly,
        "none.mp4": r"not a video, or damaged \(No such file or directory\)",
        "codec.mp4": "its codec is not supported",
    }.items():
        with pytest.raises(Unreadable, match=f"^{reason}$"):
            redraw(tmp_path / name, tmp_path / "out", lambda frames: frames)
    assert not (tmp_path / "out").exists()


def test_a_title_that_is_not_utf_8_does_no_harm(tmp_path):
    make(tmp_path / "a.mp4", plain(COLOURS), title="Rue")
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes().replace(b"Rue", b"\xffue"))
    assert redraw(tmp_path / "a.mp4", tmp_path / "out", lambda frames: frames) == 10


def test_a_name_with_a_colon_is_a_name(tmp_path, monkeypatch):
    make(tmp_path / "a.mp4", plain(COLOURS)).rename(tmp_path / "http:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert redraw(Path("http:a.mp4"), Path("file:b"), lambda frames: frames) == 10
    assert (tmp_path / "file:b").exists()


def test_frames_larger_than_the_limit_are_unreadable(tmp_path):
    source = make(tmp_path / "a.avi", plain([RED], (4096, 3920)), "mjpeg", "yuvj420p")
    with pytest.raises(Unreadable, match="4096×3920 pixels; at most 16,000,000"):
        redraw(source, tmp_path / "out", lambda frames: frames)
    assert frame_count(source) is None  # it is not even decoded


def test_frames_that_change_in_size_are_unreadable(tmp_path, monkeypatch):
    parts = [make(tmp_path / f"{n}.mpg", plain([RED] * 9, (n, 48)), "mpeg2video") for n in (64, 96)]
    (tmp_path / "a.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(Unreadable, match=r"the size of its frames changes after frame \d"):
        redraw(tmp_path / "a.mpg", tmp_path / "out", lambda frames: frames)
    monkeypatch.setattr(video_reader, "MAX_PIXELS", 64 * 48)
    with pytest.raises(Unreadable, match="96×48 pixels; at most 3,072"):
        redraw(tmp_path / "a.mpg", tmp_path / "out", lambda frames: frames)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writes behind ``size`` bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_os_error_at_any_moment(tmp_path):
    source = make(tmp_path / "a.mp4", noise())
    redraw(source, tmp_path / "out", lambda frames: frames)
    whole = (tmp_path / "out").stat().st_size
    for size in (10, 1000, whole // 2, whole - 3000, whole - 300, whole - 1):
        with pytest.raises(OSError, match="File too large"), largest_file(size):
            redraw(source, tmp_path / "out", lambda frames: frames)
    with pytest.raises(OSError, match="No space left"):
        redraw(source, Path("/dev/full"), lambda frames: frames)
    with pytest.raises(OSError, match="No such file"):
        redraw(source, tmp_path / "none/out", lambda frames: frames)


def test_without_pyav_a_message_says_what_to_install(tmp_path, monkeypatch):
    source = make(tmp_path / "a.mp4", plain(COLOURS))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="pip install av"):
        redraw(source, tmp_path / "out", lambda frames: frames)
    with pytest.raises(UserError, match="pip install av"):
        frame_count(source)
