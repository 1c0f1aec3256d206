"""The files that say how a training went."""

import json

import pytest

from segcore.train.curves import Epoch, live_curves, write_curves, write_metrics

CURVES = [Epoch(1, loss=1.23456, lr=0.00123456, val_miou=None), Epoch(2, loss=1, lr=8e-9, val_miou=0.5)]


def test_curves_have_a_row_per_epoch_and_no_white_space_at_the_end(tmp_path):
    write_curves(tmp_path / "curves.tsv", CURVES)
    written = (tmp_path / "curves.tsv").read_text()
    assert written == "epoch\tloss\tval_miou\tlr\n1\t1.2346\t\t0.001235\n2\t1.0000\t0.5000\t8e-09\n"
    assert all(line == line.rstrip() for line in written.splitlines())


def test_metrics_have_4_decimals_and_null_without_a_score(tmp_path):
    for epoch, expected in zip(CURVES, ({"loss": 1.2346, "val_miou": None}, {"loss": 1, "val_miou": 0.5}), strict=True):
        write_metrics(tmp_path / "train.json", epoch)
        assert json.loads((tmp_path / "train.json").read_text()) == expected


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train")
    return tmp_path / "metrics/curves.tsv"


def test_live_curves_can_be_read_after_each_epoch(path):
    with live_curves(path) as rewrite:
        for epochs in (1, 2):
            rewrite(CURVES[:epochs])
            assert len(path.read_text().splitlines()) == 1 + epochs
            assert list(path.parent.iterdir()) == [path]
    assert len(path.read_text().splitlines()) == 3


def test_live_curves_are_removed_after_an_error(path):
    with pytest.raises(RuntimeError), live_curves(path) as rewrite:
        rewrite(CURVES)
        raise RuntimeError
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_does_not_stop_the_training(path):
    with live_curves(path) as rewrite:
        rewrite(CURVES[:1])
        path.with_name(f".{path.name}.live").symlink_to("/dev/full")
        rewrite(CURVES)
        assert len(path.read_text().splitlines()) == 2


def test_without_dvc_nothing_is_written_during_training(path, monkeypatch):
    monkeypatch.delenv("DVC_STAGE")
    with live_curves(path) as rewrite:
        rewrite(CURVES)
    assert not path.parent.exists()
