"""Kinds of files that occur in practice, each in a whole data set: the frames and labels, or the message."""

import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from segcore.files.description import SETS
from segcore.runtime.errors import UserError
from stages import fetch
from tests.support import tiny
from tests.support.idd_lite import COLOURS
from tests.support.running import ROOT

IDD_LITE = ROOT / SETS / "idd_lite.yaml"
LABELLED = [name for name in tiny.published() if name.startswith("gtFine")]
FRAMES = [name for name in tiny.published() if name.startswith("leftImg8bit")]


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """A function that fetches from a folder or archive, and returns what the stage prints, or the error."""
    monkeypatch.chdir(tmp_path)

    def run(source, dataset=IDD_LITE):
        section = {"dataset": str(dataset), "source": str(source)}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump({"fetch": section}))
        try:
            fetch.main()
        except UserError as error:
            assert not (tmp_path / "data/raw").exists()
            return f"error: {error}"
        return capsys.readouterr().out

    return run


@pytest.fixture
def fetched(said, tmp_path):
    """A function that fetches, and returns the frames and labels of data/raw."""

    def run(source, dataset=IDD_LITE):
        assert said(source, dataset).startswith("data/raw: train 3 frames")
        raw = tiny.contents(tmp_path / "data/raw")
        del raw["dataset.json"]
        return raw

    return run


def data_set(tmp_path, change=lambda name, data: data, rename=lambda name: name):
    """The tiny data set as a folder, each file changed and renamed."""
    files = {rename(name): change(name, data) for name, data in tiny.published().items()}
    return tiny.write_folder(tmp_path / "source", files)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def of_labels(change):
    return lambda name, data: change(opened(data)) if name.startswith("gtFine") else data


def of_frames(change):
    return lambda name, data: change(opened(data)) if name.startswith("leftImg8bit") else data


def test_palette_of_greys(fetched, said, tmp_path):
    """The ids are those of Image.convert("L")."""

    def optimised(label):
        ids = np.array(label)
        values = np.unique(ids)
        picture = Image.fromarray(np.searchsorted(values, ids).astype(np.uint8))
        picture.putpalette([int(value) for value in values for _ in range(3)])
        return encoded(picture, "PNG")

    def without_class_1(name, data):
        if name.startswith("gtFine"):
            ids = np.array(opened(data))
            data = tiny.png(np.where(ids == 1, 0, ids).astype(np.uint8))
        return data

    source = data_set(tmp_path, lambda name, data: of_labels(optimised)(name, without_class_1(name, data)))
    raw = fetched(source)
    for name in LABELLED:
        expected = without_class_1(name, tiny.published()[name])
        assert opened(raw[name]).mode == "L"
        np.testing.assert_array_equal(np.array(opened(raw[name])), np.array(opened(expected)))
    assert "\n4 labels written anew as 8-bit grey PNG: the class ids were the greys of a palette\n" in said(source)


def test_exif_orientation(said, tmp_path):
    def turned(frame):
        exif = Image.Exif()
        exif[0x112] = 3
        return encoded(frame.transpose(Image.Transpose.ROTATE_180), "JPEG", exif=exif)

    message = said(data_set(tmp_path, of_frames(turned)))
    assert "  5 of 5 frames: EXIF orientation 3, by which some readers turn a picture and others do not; " in message
    assert "; the first: leftImg8bit/train/a/000001_image.jpg" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize("write", [tiny.write_tar, tiny.write_zip, tiny.write_folder])
@pytest.mark.parametrize("top", ["IDD-master/idd20k_lite", "a/b/c/d/e/f"])
def test_folders_above(fetched, tmp_path, write, top):
    assert fetched(write(tmp_path / "x.gz", tiny.under(top, tiny.published()))) == tiny.published()


def test_empty_root_entry(fetched, tmp_path):
    source = tiny.write_zip(tmp_path / "x.zip", {"/": b""} | tiny.under("idd20k_lite", tiny.published()))
    assert fetched(source) == tiny.published()


def test_backslashes(fetched, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        for name, data in tiny.published().items():
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system = "idd20k_lite\\" + name.replace("/", "\\"), 0
            out.writestr(info, data)
    assert fetched(tmp_path / "x.zip") == tiny.published()


def test_no_test_split(fetched, said, tmp_path):
    files = {name: data for name, data in tiny.published().items() if "/test/" not in name}
    source = tiny.write_folder(tmp_path / "source", files)
    assert fetched(source) == files
    assert ", no test split; " in said(source)


@pytest.mark.parametrize("first", ["_label.png", "_inst_label.png"])
def test_hard_links(fetched, tmp_path, first):
    """Label and instance label are one file; either comes first, and the other is a link to it."""
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        for name, data in tiny.published().items():
            file = tiny.tar_member(f"idd20k_lite/{name}".replace("_label.png", first))
            file.size = len(data)
            tar.addfile(file, io.BytesIO(data))
            if name in LABELLED:
                second = {"_label.png": "_inst_label.png", "_inst_label.png": "_label.png"}[first]
                tar.addfile(tiny.tar_member(file.name.replace(first, second), tarfile.LNKTYPE, file.name))
    assert fetched(tmp_path / "x.tar.gz") == tiny.published()


def test_motion_photo(fetched, tmp_path):
    video = np.random.default_rng(1).bytes(4_500_000)
    source = data_set(tmp_path, lambda name, data: data + video if name in FRAMES else data)
    raw = fetched(source)
    assert all(opened(raw[name]).convert("RGB") == opened(tiny.published()[name]).convert("RGB") for name in FRAMES)


def test_grey_jpeg(fetched, tmp_path):
    fetched(data_set(tmp_path, of_frames(lambda frame: encoded(frame.convert("L"), "JPEG"))))


def test_png_named_jpg(said, tmp_path):
    message = said(data_set(tmp_path, of_frames(lambda frame: encoded(frame, "PNG"))))
    assert "  5 of 5 frames: a PNG, not a JPEG; save it as JPEG; a different name is not enough; the first:" in message
    assert len(message.splitlines()) == 2


def test_labels_of_a_different_name(said, tmp_path):
    source = data_set(tmp_path, rename=lambda name: name.replace("_label.png", "_gtFine_labellevel1Ids.png"))
    message = said(source)
    assert "  train and val: 4 of 4 frames have no label; 4 files look like labels of a different name, for " in message
    assert "_gtFine_labellevel1Ids.png; rename them as gtFine/{split}/{drive}/{frame}_label.png if they are " in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("frames", "labels"),
    [
        ("images", "annotation"), ("images", "annotations"), ("images", "labels"), ("Image", "label"),
        ("IMAGES", "Labels"), ("leftImg8bit", "labels"), ("leftimg8bit", "gtfine"),
    ],
)  # fmt: skip
def test_folders_of_other_names(fetched, tmp_path, frames, labels):
    def rename(name):
        return name.replace("leftImg8bit", frames).replace("gtFine", labels)

    assert fetched(data_set(tmp_path, rename=rename)) == tiny.published()


def test_names_of_the_full_idd(said, tmp_path):
    def rename(name):
        return name.replace("_image.jpg", "_leftImg8bit.png").replace("_label.png", "_gtFine_labellevel1Ids.png")

    message = said(data_set(tmp_path, of_frames(lambda frame: encoded(frame, "PNG")), rename))
    assert "_leftImg8bit.png': not named as an image of IDD-Lite; " in message
    assert "data/sets/idd.yaml" in message and "set fetch.dataset to " in message


def test_web_page(said, tmp_path):
    (tmp_path / "x.tar.gz").write_text("<!DOCTYPE html><html><body>Please log in to download</body></html>")
    message = said(tmp_path / "x.tar.gz")
    assert "x.tar.gz: a web page, and not a tar or a ZIP; log in to its site, and download it again" in message


@pytest.mark.parametrize("name", ["x.tar.xz", "x.tar.gz", "x"])
def test_xz_by_any_name(fetched, tmp_path, name):
    packed = gzip.decompress(tiny.write_tar(tmp_path / "y.gz", tiny.published()).read_bytes())
    (tmp_path / name).write_bytes(lzma.compress(packed))
    assert fetched(tmp_path / name) == tiny.published()


def described(tmp_path, *changes):
    """A copy of IDD-Lite's description, each change a text of it and what replaces it."""
    text = IDD_LITE.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "own.yaml"


def test_void_is_7(said, fetched, tmp_path):
    def changed(label):
        ids = np.array(label)
        return tiny.png(np.where(ids == 255, 7, ids).astype(np.uint8))

    source = data_set(tmp_path, of_labels(changed))
    message = said(source)
    assert "  4 of 4 labels: ids that the description (fetch.dataset) does not know: 7; give each to a class" in message
    assert "; the first: gtFine/train/a/000001_label.png" in message
    assert len(message.splitlines()) == 2
    assert fetched(source, described(tmp_path, ("void: {ids: [255]}", "void: {ids: [7, 255]}"))) == tiny.published()


def test_colour_masks(said, fetched, tmp_path):
    def coloured(label):
        palette = np.array([*COLOURS, *[(0, 0, 0)] * (256 - len(COLOURS))], np.uint8)
        return tiny.png(palette[np.array(label)])

    source = data_set(tmp_path, of_labels(coloured))
    message = said(source)
    assert "  4 of 4 labels: a colour mask and not ids (its mode is RGB); say `encoding: colours` in the des" in message
    assert len(message.splitlines()) == 2
    label = "labels: gtFine/{split}/{drive}/{frame}_label.png"
    dataset = described(
        tmp_path,
        (label, f"{label}\n    encoding: colours"),
        ("void: {ids: [255]}", "void: {ids: [255], mask: [[0, 0, 0]]}"),
    )
    assert fetched(source, dataset) == tiny.published()
    assert "\n4 labels written anew as 8-bit grey PNG: the class ids were the colours of a mask\n" in said(
        source, dataset
    )
