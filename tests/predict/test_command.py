"""`python -m segcore predict`, with a tiny network."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.predict import video
from segcore.predict.command import Options, predict
from segcore.predict.table import Table
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES
from tests.support.predict_inputs import MODEL, OUT, rows, write_inputs
from tests.support.tiny import contents
from tests.support.tiny_model import SIZE, save_tiny_model, tiny_network


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_inputs()


def run(*given, **changes):
    options = Options(OUT, MODEL, "", confidence=False, tile=False, force=False)
    predict([Path(name) for name in given or ["in"]], options._replace(**changes))


def ids(name):
    return np.asarray(Image.open(OUT / name))


def test_each_picture_gets_class_ids_and_an_overlay_of_its_size():
    run(confidence=True)
    made = {str(path.relative_to(OUT)) for path in OUT.rglob("*") if path.is_file()}
    names = {"a": (70, 50), "sub/b_1_image": (64, 32), "sub/c": (90, 20)}
    endings = ("label.png", "overlay.jpg", "confidence.png")
    assert made == {f"{name}_{ending}" for name in names for ending in endings} | {"predictions.csv", "legend.png"}
    for name, size in names.items():
        assert all(Image.open(OUT / f"{name}_{ending}").size == size for ending in endings)
        assert ids(f"{name}_label.png").max() < len(CLASSES)
        assert ids(f"{name}_confidence.png").min() > 255 // len(CLASSES)


def test_the_table_has_the_share_of_each_class():
    run()
    assert [row["output"] for row in rows()] == ["a_label.png", "sub/b_1_image_label.png", "sub/c_label.png"]
    for row in rows():
        label = ids(row["output"])
        assert [row[name] for name in CLASSES] == [f"{np.mean(label == i):.4f}" for i in range(len(CLASSES))]
    names = ("in/a.png", "in/sub/b_1_image.jpg", "in/sub/c.bmp")
    assert {row["input"] for row in rows()} == {str(Path(name).absolute()) for name in names}
    assert len({row["model"] for row in rows()}) == 1


def test_a_grey_picture_is_predicted_as_the_same_in_colour():
    grey = np.random.default_rng(2).integers(0, 256, (40, 50), dtype=np.uint8)
    Image.fromarray(grey).save("grey.png")
    Image.fromarray(grey).convert("RGBA").save("colour.png")
    run("grey.png", "colour.png")
    assert np.array_equal(ids("grey_label.png"), ids("colour_label.png"))


def test_a_turned_picture_is_predicted_upright():
    exif = Image.Exif()
    exif[274] = 6
    with Image.open("in/a.png") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    run("in/a.png", "turned.png")
    assert np.array_equal(ids("a_label.png"), ids("turned_label.png"))


def test_what_is_there_is_skipped(capsys):
    run()
    before = {path: path.stat().st_mtime_ns for path in OUT.rglob("*_*")}
    shutil.copy("in/a.png", "in/new.png")
    run()
    assert "pictures and videos: 4; predicted already: 3" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(rows()) == 4
    run(force=True)
    assert all(path.stat().st_mtime_ns > time for path, time in before.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda: (OUT / "a_overlay.jpg").unlink(),
        lambda: os.utime("in/a.png", (2e9, 2e9)),
    ],
)
def test_what_is_missing_or_older_than_its_picture_is_made_again(change):
    run()
    before = contents(OUT)
    change()
    (OUT / "a_label.png").write_bytes(b"")
    os.utime(OUT / "a_label.png", (1e9, 1e9))
    (OUT / "sub/c_label.png").touch()
    run()
    assert contents(OUT) == before


def test_confidence_that_was_not_written_is_added():
    run()
    before = contents(OUT)
    run(confidence=True)
    after = contents(OUT)
    assert len(after) == len(before) + 3
    assert before.items() <= after.items()


def test_outputs_of_a_different_model_are_not_replaced_unasked():
    run()
    before = contents(OUT)
    save_tiny_model(Path("other.safetensors"), mean=[0.9] * 3)
    for changes in ({"model": Path("other.safetensors")}, {"tile": True}):
        with pytest.raises(UserError, match=r"out/a_label\.png was made by the model .*--force replaces it"):
            run(**changes)
        assert contents(OUT) == before
    run(model=Path("other.safetensors"), force=True)
    assert contents(OUT) != before


def test_files_of_somebody_else_are_not_replaced_unasked():
    OUT.mkdir()
    (OUT / "a_label.png").write_text("mine")
    with pytest.raises(UserError, match=r"out/a_label\.png is not in out/predictions\.csv"):
        run()
    assert contents(OUT) == {"a_label.png": b"mine"}


def test_the_outputs_of_a_different_picture_are_not_taken_for_this_one_s():
    run()
    before = contents(OUT)
    Path("other").mkdir()
    Image.new("RGB", (8, 8)).save("other/a.png")
    os.utime("other/a.png", (1e9, 1e9))
    with pytest.raises(UserError, match=r"out/a_label\.png is the prediction of .*/in/a\.png, not of other/a\.png"):
        run("other")
    assert contents(OUT) == before
    run("other", force=True)
    assert ids("a_label.png").shape == (8, 8)


def test_confidence_of_an_earlier_model_does_not_stay():
    run(confidence=True)
    save_tiny_model(MODEL, mean=[0.9] * 3)
    run(force=True)
    assert not list(OUT.rglob("*_confidence.png"))


def test_a_legend_that_is_there_stays():
    OUT.mkdir()
    (OUT / "legend.png").write_text("mine")
    run()
    assert (OUT / "legend.png").read_text() == "mine"


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\r\nb", "a\u2028b".encode(), b'"a", b', b"a\x1cb"])
def test_names_may_be_any_bytes(name):
    shutil.copy("in/a.png", b"in/" + name + b".png")
    run()
    before = contents(OUT)
    assert len(list(OUT.glob("*_label.png"))) == 2
    run()
    assert contents(OUT) == before


def test_two_runs_into_one_folder(monkeypatch):
    OUT.mkdir()
    with Table(OUT).open(CLASSES), pytest.raises(UserError, match="a different process predicts into out"):
        run()
    run()


def test_rows_that_a_different_run_added_meanwhile_are_kept():
    OUT.mkdir()
    early = Table(OUT)
    run()
    expected = contents(OUT)
    with early.open(CLASSES):
        pass
    assert contents(OUT) == expected


def test_a_link_that_leads_nowhere_is_named_in_the_end():
    Path("in/b.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"in/b\.png: unreadable \(No such file or directory\)"):
        run()
    assert len(rows()) == 3


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "output,input,model\n", "hello\n", "hello", 'a,"' + "b" * 200_000])
def test_a_different_table_is_not_replaced(content):
    OUT.mkdir()
    (OUT / "predictions.csv").write_text(content)
    with pytest.raises(UserError, match="not the table that predict writes"):
        run()
    assert (OUT / "predictions.csv").read_text() == content


def test_a_line_that_a_kill_cut_short_is_predicted_again():
    run()
    before = contents(OUT)
    table = OUT / "predictions.csv"
    table.write_bytes(table.read_bytes()[:-9])
    (OUT / "sub/c_label.png").unlink()  # an output appears after its line
    (OUT / "sub/c_overlay.jpg").unlink()
    run()
    assert contents(OUT) == before


def test_a_file_is_no_folder_for_outputs():
    OUT.write_text("mine")
    with pytest.raises(UserError, match="--out: out is not a folder"):
        run()
    assert OUT.read_text() == "mine"


def test_bad_files_are_named_in_the_end_and_the_others_are_done():
    Path("in/bad.png").write_bytes(Path("in/a.png").read_bytes()[:99])
    Path("in/text.jpg").write_text("hello")
    with pytest.raises(UserError, match="2 of 5 were not predicted") as caught:
        run()
    assert "in/bad.png: unreadable (" in str(caught.value)
    assert "in/text.jpg: not a picture that Pillow can read" in str(caught.value)
    assert len(rows()) == 3
    assert len(list(OUT.rglob("*_overlay.jpg"))) == 3


def test_tiles_change_only_what_is_larger_than_the_network_s_input():
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (2 * SIZE[0], 3 * SIZE[1], 3), np.uint8)).save("in/d.png")
    run()
    resized = {name: content for name, content in contents(OUT).items() if name.endswith("label.png")}
    run(tile=True, force=True)
    tiled = {name: content for name, content in contents(OUT).items() if name.endswith("label.png")}
    assert {name for name in resized if resized[name] != tiled[name]} == {"a_label.png", "d_label.png"}


def test_a_tiled_picture_of_equal_windows_is_predicted_like_one_of_them():
    """Far from the edges of windows, a picture that repeats itself has the class ids of one window."""
    grey = np.full((*SIZE, 3), 90, np.uint8)
    Image.fromarray(grey).save("one.png")
    Image.fromarray(np.tile(grey, (3, 3, 1))).save("nine.png")
    run("one.png", "nine.png", tile=True)
    middle = ids("nine_label.png")[SIZE[0] * 3 // 2, SIZE[1] * 3 // 2]
    assert middle == ids("one_label.png")[SIZE[0] // 2, SIZE[1] // 2]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("hello"), "neither a safetensors file nor an .onnx of this pipeline"),
        (lambda path: path.write_bytes(b"\x10\0\0\0\0\0\0\0{}"), "not a complete safetensors file"),
        (lambda path: save_tiny_model(path, tiny_network(2).state_dict()), "its weights are not ERFNet's"),
        (lambda path: path.unlink(), "erfnet.safetensors: no such file; `dvc repro` makes it"),
        (lambda path: path.unlink() or path.mkdir(), "erfnet.safetensors: no such file"),
    ],
)
def test_a_bad_model_is_refused_before_any_work(write, message):
    write(MODEL)
    with pytest.raises((UserError, OSError), match=message):
        run()
    assert not OUT.exists()


def test_a_video_is_predicted_frame_by_frame(monkeypatch):
    frames = [Image.new("RGB", (80, 48), (40 * i, 90, 200 - 40 * i)) for i in range(4)]
    drawn = []

    def redraw(source, target, draw):
        drawn.extend(draw(iter(frames)))
        target.write_bytes(b"video")
        return len(drawn)

    monkeypatch.setattr(video, "redraw", redraw)
    monkeypatch.setattr(video, "frame_count", lambda _: None)
    Path("in/clip.MOV").touch()
    run("in")
    assert (OUT / "clip_overlay.mp4").read_bytes() == b"video"
    assert [picture.size for picture in drawn] == [(80, 48)] * 4
    row = next(row for row in rows() if row["output"] == "clip_overlay.mp4")
    assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-3)


def test_a_video_without_pyav_is_refused_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    run("in")
    shutil.rmtree(OUT)
    Path("in/clip.mp4").touch()
    with pytest.raises(UserError, match="videos need PyAV: run `pip install av`"):
        run("in")
    assert not OUT.exists()
