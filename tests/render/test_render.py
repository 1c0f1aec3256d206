import signal
import threading

import numpy as np
import pytest
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.render import ranking
from segcore.runtime import console, signals
from segcore.runtime.errors import UserError
from stages import render
from tests.support.idd_lite import CLASSES, COLOURS, save_dataset
from tests.support.running import run_stage

WIDTH, HEIGHT = 16, 12
HEADER = "drive,frame,class,tp,fp,fn\n"
SKY = 6

# Seven validation frames, worst first; the i-th is all of class i, and predicted as a different one.
RANKED = [("9", "050"), ("10", "7"), ("9", "049"), ("8", "024541"), ("8", "1"), ("7", "2"), ("6", "3")]
TEST = [("120", "001"), ("120", "002"), ("9", "003")]


def write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def grey(value, size=(WIDTH, HEIGHT)):
    return Image.new("L", size, value)


def make_project(folder, val=RANKED, test=TEST, frames=2, test_frames=2, suffix=".jpg"):
    lines = []
    for i, (drive, name) in enumerate(val):
        frame = Frame("val", drive, name)
        write(folder / "data/native" / frame.image(suffix), Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)))
        write(folder / "data/native" / frame.label, grey(i))
        write(folder / f"data/predictions/val/{drive}/{name}_label.png", grey((i + 1) % len(CLASSES)))
        lines.append(f"{drive},{name},{CLASSES[i]},{i},0,{20 - i}\n")
    for drive, name in test:
        image = Frame("test", drive, name).image(suffix)
        write(folder / "data/native" / image, Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)))
        write(folder / f"data/predictions/test/{drive}/{name}_label.png", grey(SKY))
    (folder / "metrics").mkdir()
    (folder / "metrics/frames.csv").write_text(HEADER + "".join(reversed(lines)))
    (folder / "params.yaml").write_text(f"render:\n  frames: {frames}\n  test_frames: {test_frames}\n")
    write(folder / "data/renders/old.png", grey(1))
    save_dataset(folder)
    return folder


def run(folder, *arguments):
    return run_stage("render", folder, *arguments, COLUMNS="100")


def renders(folder):
    return {path.name: path.read_bytes() for path in (folder / "data/renders").iterdir()}


def area(path, colour):
    return int((np.asarray(Image.open(path)) == colour).all(axis=2).sum())


@pytest.mark.slow
def test_pictures_are_named_by_rank_and_the_same_each_time(tmp_path, monkeypatch):
    make_project(tmp_path)
    result = run(tmp_path)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    first = renders(tmp_path)
    ranks = [f"{group}_{i}" for group in ("val_worst", "val_median", "val_best", "test") for i in (1, 2)]
    assert set(first) == {"contact_sheet.png", *(f"{rank}.png" for rank in ranks)}
    # Every pixel is wrong, so the class that fills the errors says which frame was drawn.
    order = {"val_worst_1": 0, "val_worst_2": 1, "val_median_1": 3, "val_median_2": 2, "val_best_1": 6, "val_best_2": 5}
    for rank, i in order.items():
        areas = [area(tmp_path / f"data/renders/{rank}.png", colour) for colour in COLOURS]
        assert np.argmax(areas) == i, rank

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGCORE_THREADS", "1")
    render.main()
    assert renders(tmp_path) == first


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_colours_and_legend_are_those_of_the_data_set(tmp_path, monkeypatch, suffix):
    make_project(tmp_path, frames=1, test_frames=1, suffix=suffix)
    classes = {f"class {i}": (10 * i + 1, 255 - 10 * i, 77) for i in range(19)}
    save_dataset(tmp_path, classes=classes)
    monkeypatch.chdir(tmp_path)
    render.main()
    for name in ("val_worst_1", "test_1", "contact_sheet"):
        picture = tmp_path / f"data/renders/{name}.png"
        assert all(area(picture, colour) >= 100 for colour in classes.values()), name
        assert not any(area(picture, colour) for colour in COLOURS)
    # All pixels of the worst frame are wrong, and its truth is class 0.
    assert area(tmp_path / "data/renders/val_worst_1.png", classes["class 0"]) > 10_000


def test_fewer_frames_than_asked_and_no_test_split(tmp_path, monkeypatch):
    make_project(tmp_path, val=RANKED[:2], test=[], frames=3)
    monkeypatch.chdir(tmp_path)
    render.main()
    assert set(renders(tmp_path)) == {"contact_sheet.png", "val_worst_1.png", "val_best_1.png"}


def test_no_test_frames_wanted(tmp_path, monkeypatch):
    make_project(tmp_path, frames=1, test_frames=0)
    monkeypatch.chdir(tmp_path)
    render.main()
    assert set(renders(tmp_path)) == {"contact_sheet.png", "val_worst_1.png", "val_median_1.png", "val_best_1.png"}


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["predictions/val/9/050_label.png", "native/leftImg8bit/val/6/3_image.jpg"])
def test_a_missing_file_leaves_the_old_pictures(tmp_path, lost):
    make_project(tmp_path)
    (tmp_path / "data" / lost).unlink()
    before = renders(tmp_path)
    result = run(tmp_path)
    assert result.returncode == 1
    assert f"error: data/{lost}: No such file" in result.stderr
    assert "dvc repro" in result.stderr
    assert "Traceback" not in result.stderr
    assert renders(tmp_path) == before
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"native", "predictions", "raw", "renders"}


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("data/predictions/val/9/050_label.png", grey(0, (16, 11)), "size is 16×11, its frame's 16×12"),
        ("data/predictions/test/9/003_label.png", grey(0, (12, 16)), "size is 12×16, its frame's 16×12"),
        ("data/native/gtFine/val/6/3_label.png", grey(7), "7 is no id of the 7 classes"),
        ("data/native/gtFine/val/6/3_label.png", Image.new("RGB", (16, 12)), "grey of 8 bits was expected"),
        ("data/native/leftImg8bit/val/6/3_image.jpg", "not a JPEG", "not a JPEG picture"),
        ("metrics/frames.csv", "", "not the table that evaluate writes"),
        ("metrics/frames.csv", "drive,frame,class,tp,fp\n9,050,sky,1,2\n", "not the table that evaluate writes"),
        ("metrics/frames.csv", f"{HEADER}9,050,sky,1,2,\n", "not the table that evaluate writes"),
        ("data/raw/dataset.json", "{}", "not what fetch writes"),
        ("metrics/frames.csv", f"{HEADER}9,050,sky,0,2,0\n", "no frame has valid ground truth"),
        ("params.yaml", "render: {frames: 2}\n", r"render\.test_frames: missing"),
    ],
)
def test_a_file_that_does_not_fit_leaves_the_old_pictures(tmp_path, monkeypatch, path, content, message):
    make_project(tmp_path, test_frames=3)
    if isinstance(content, str):
        (tmp_path / path).write_text(content)
    else:
        write(tmp_path / path, content)
    before = renders(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        render.main()
    assert path in str(error.value)
    assert renders(tmp_path) == before


def test_a_signal_ends_the_threads_that_draw(tmp_path, monkeypatch):
    make_project(tmp_path)
    before = renders(tmp_path), threading.active_count()

    def progress(items, *_):
        yield next(iter(items))
        raise signals.Stopped(signal.SIGTERM)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    monkeypatch.setattr(console, "progress", progress)
    with pytest.raises(signals.Stopped) as stopped:
        render.main()
    assert (renders(tmp_path), threading.active_count()) == before
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"native", "predictions", "raw", "renders"}
    del stopped  # which held the frames, and their iterators with them


def test_a_frame_scores_the_mean_over_the_classes_in_its_truth(tmp_path):
    path = tmp_path / "frames.csv"
    path.write_text(
        HEADER
        + "9,1,drivable,8,2,0\n"  # 0.8
        + "9,1,sky,3,0,3\n"  # 0.5
        + "9,1,living,0,5,0\n"  # not in the truth
        + "9,0,sky,0,4,0\n"  # a frame without truth
        + "9,00,far,1,1,2\n"  # 0.25
        + "9,000,far,2,2,4\n"  # 0.25
        + "10,5,far,1,0,3\n"  # 0.25
    )
    assert ranking.rank(path) == [
        (Frame("val", "10", "5"), 0.25),
        (Frame("val", "9", "00"), 0.25),
        (Frame("val", "9", "000"), 0.25),
        (Frame("val", "9", "1"), pytest.approx(0.65)),
    ]


@pytest.mark.parametrize(
    ("total", "wanted", "worst", "median", "best"),
    [
        (9, 3, [0, 1, 2], [4, 3, 5], [8, 7, 6]),
        (10, 1, [0], [4], [9]),
        (204, 2, [0, 1], [101, 102], [203, 202]),
        (1, 3, [0], [], []),
        (2, 3, [0], [], [1]),
        (3, 3, [0], [1], [2]),
        (5, 3, [0, 1], [2], [4, 3]),
        (8, 3, [0, 1, 2], [3, 4], [7, 6, 5]),
    ],
)
def test_worst_median_and_best_share_no_frame(total, wanted, worst, median, best):
    chosen = ranking.worst_median_best(list(range(total)), wanted)
    assert chosen == {"worst": worst, "median": median, "best": best}


def test_help_says_what_is_read_and_written(tmp_path):
    result = run(tmp_path, "--help")
    assert result.returncode == 0
    for word in (
        "metrics/frames.csv",
        "data/predictions",
        "data/native",
        "data/raw/dataset.json",
        "render",
        "data/renders",
        "SEGCORE_THREADS",
    ):
        assert word in result.stdout
