"""The table at the end of `make repro`."""

import json

from segcore import scoreboard


def test_it_shows_every_score_and_where_the_pictures_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "data/renders").mkdir(parents=True)
    (tmp_path / "data/renders/val_worst_1.png").touch()
    scores = {
        "miou": 0.5,
        "miou_native": 0.51234,
        "miou_flip": 0.6,
        "pixel_accuracy": 0.9,
        "iou": {"drivable": 0.75, "sky": None},
    }
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(scores))
    scoreboard.main()
    cells = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["drivable", "0.7500"] in cells
    assert ["sky", "–"] in cells
    assert ["mIoU", "0.5000"] in cells
    assert ["mIoU", "with", "flip", "0.6000"] in cells
    assert ["data/renders/val_worst_1.png"] in cells
