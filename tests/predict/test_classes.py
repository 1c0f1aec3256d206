"""Predictions of models with other classes than those of IDD-Lite."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.drawing.pictures import overlay
from segcore.predict.colours import generate
from segcore.predict.command import Options, predict
from segcore.runtime.errors import UserError
from tests.support.exported import export_random
from tests.support.idd_lite import COLOURS
from tests.support.predict_inputs import MODEL, OUT, rows, write_inputs
from tests.support.tiny import contents
from tests.support.tiny_model import save_tiny_model

CLASSES = ["road", "a car, or a bus", "sky"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_inputs()
    save_tiny_model(MODEL, classes=CLASSES)


def run(given="in", **changes):
    options = Options(OUT, MODEL, "", confidence=False, tile=False, force=False)
    predict([Path(given)], options._replace(**changes))


def shown(path):
    """The colours of a picture."""
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}


def test_the_table_has_a_column_for_each_class_of_the_model():
    run()
    for row in rows():
        label = np.asarray(Image.open(OUT / row["output"]))
        assert list(row) == ["output", "input", "model", *CLASSES]
        assert [row[name] for name in CLASSES] == [f"{np.mean(label == i):.4f}" for i in range(3)]
    before = contents(OUT)
    run()
    assert contents(OUT) == before


def test_overlays_and_legend_have_the_colours_of_the_classes():
    run()
    assert {*generate(3)} <= shown(OUT / "legend.png")
    label = np.asarray(Image.open(OUT / "a_label.png"))
    overlay(Image.open("in/a.png"), label, generate(3)).save("expected.jpg", quality=90)
    assert (OUT / "a_overlay.jpg").read_bytes() == Path("expected.jpg").read_bytes()


def test_an_exported_model_brings_its_colours(capsys):
    model = Path("erfnet.onnx")
    model.write_bytes(export_random(classes=CLASSES).SerializeToString())
    run(model=model)
    assert {*COLOURS[:3]} <= shown(OUT / "legend.png")
    assert not {*COLOURS[3:]} & shown(OUT / "legend.png")
    assert list(rows()[0]) == ["output", "input", "model", *CLASSES]
    assert "generated" not in capsys.readouterr().err


@pytest.mark.parametrize("classes", [["road", "sky"], CLASSES[::-1], [*CLASSES, "far"]])
@pytest.mark.parametrize("force", [False, True])
def test_rows_of_other_classes_are_not_kept_beside_new_ones(classes, force):
    run()
    before = contents(OUT)
    save_tiny_model(Path("other.safetensors"), classes=classes)
    Image.new("RGB", (40, 30)).save("new.png")
    with pytest.raises(
        UserError, match=r"out/predictions\.csv: 3 of its rows, for example that of a_label\.png, .*road, a"
    ):
        run("new.png", model=Path("other.safetensors"), force=force)
    assert contents(OUT) == before


def test_results_of_a_model_with_other_classes_are_replaced_only_with_force():
    run()
    before = contents(OUT)
    save_tiny_model(Path("other.safetensors"), classes=["a", "b"])
    with pytest.raises(UserError, match=r"out/a_label\.png was made by the model .*--force replaces it"):
        run(model=Path("other.safetensors"))
    assert contents(OUT) == before
    Path("in/sub/c.bmp").write_text("not a picture")
    with pytest.raises(UserError, match="1 of 3 were not predicted"):
        run(model=Path("other.safetensors"), force=True)
    assert [list(row) for row in rows()] == [["output", "input", "model", "a", "b"]] * 2
    assert all(None not in row.values() for row in rows())
    assert generate(3)[2] not in shown(OUT / "legend.png")


def test_a_legend_of_other_colours_is_named(capsys):
    run()
    (OUT / "legend.png").write_bytes(b"a different one")
    Image.new("RGB", (40, 30)).save("new.png")
    run("new.png")
    assert "out/legend.png stays, but is not the legend of this model's classes and colours" in capsys.readouterr().err
    assert (OUT / "legend.png").read_bytes() == b"a different one"
    run("new.png", force=True)
    assert {*generate(3)} <= shown(OUT / "legend.png")
