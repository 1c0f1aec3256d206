"""The benchmarks of training speed: they measure by turns, and what they compare does the same work."""

import json
import os
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import article, gpu, limits, report, throughput, tricks
from benchmarks.rates import by_turns, ratio
from segcore import device, frames, training
from segcore.labels import VOID
from tests.running import ROOT
from tests.tiny_training import CPU, make


def note_times(folder: Path, units: float):
    """Work that leaves a file with the times of its begin and its end."""

    def work() -> float:
        begun = time.monotonic()
        sum(range(100_000))
        (folder / f"{os.getpid()}-{begun}").write_text(json.dumps([begun, time.monotonic()]))
        return units

    return work


def test_works_are_measured_one_at_a_time_each_in_a_process_of_its_own(tmp_path):
    rates = by_turns({"small": partial(note_times, tmp_path, 1), "large": partial(note_times, tmp_path, 100)}, 3)
    assert [len(measured) for measured in rates.values()] == [3, 3]
    assert all(rate > 0 for measured in rates.values() for rate in measured)
    assert len({path.name.partition("-")[0] for path in tmp_path.iterdir()} - {str(os.getpid())}) == 2
    times = sorted(json.loads(path.read_text()) for path in tmp_path.iterdir())
    assert len(times) == 2 * (1 + 3)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


def test_the_ratio_is_taken_round_by_round():
    assert ratio([10, 20, 30], [5, 40, 10]) == {"ratio": 2, "lowest": 0.5, "highest": 3}


@pytest.fixture
def raw(tmp_path):
    """One frame in IDD-Lite's layout, dark on the left and bright on the right, and so its labels."""
    labels = np.zeros((227, 320), dtype=np.uint8)
    labels[:, 160:] = 6
    for folder, name, pixels in (("leftImg8bit", "7_image.jpg", labels * 40), ("gtFine", "7_label.png", labels)):
        path = tmp_path / folder / "train/1" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


def test_the_articles_frames_are_flipped_and_shifted_with_their_labels(raw):
    frames = article.Frames(raw)
    seen = set()
    for _ in range(60):
        image, labels = frames[0]
        assert image.shape == (3, 160, 320)
        assert labels.shape == (160, 320)
        assert ((image[0] > 0.5) == (labels == 6))[labels != VOID].float().mean() > 0.99
        void = labels == VOID
        assert void.sum() <= 2 * (160 + 320)
        edge = int((labels[80] == labels[80, 310]).int().argmax())
        seen.add((int(labels[80, 4]), edge - 160, int(void[:, 160].sum())))
    assert {first for first, _, _ in seen} == {0, 6}
    assert {shift for _, shift, _ in seen} == {0, 1, 2}
    assert {rows for _, _, rows in seen} == {0, 1, 2}


def test_the_articles_loop_learns():
    torch.manual_seed(0)
    loop = article.Loop(torch.ones(7), CPU)
    labels = torch.arange(64).div(32, rounding_mode="floor").expand(2, 32, 64)
    images = labels[:, None].expand(-1, 3, -1, -1) + torch.rand(2, 3, 32, 64) / 4
    losses = [loop.step(images, labels) for _ in range(40)]
    assert losses[-1] < losses[0] * 0.8


@pytest.mark.parametrize("name", [name for name, trick in tricks.TRICKS.items() if not trick.changes])
def test_without_a_trick_training_computes_the_same(name, monkeypatch):
    for module, changed in (
        (training, "can_record"),
        (training, "cross_entropy"),
        (training, "upload"),
        (frames, "upload"),
    ):
        monkeypatch.setattr(module, changed, getattr(module, changed))
    device.prepare(CPU)
    plain, altered = make(), make()
    tricks.TRICKS[name].alter(altered)
    index = torch.arange(2)
    for _ in range(3):
        expected, loss = plain.train_on(index), altered.train_on(index)
        torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)


def test_the_operations_of_a_frame_are_those_of_the_design():
    """15.5 GFLOP forward and backward at 160×320, so a 25th of that at 32×64."""
    assert limits.operations(make()) == pytest.approx(15.52 / 25, rel=0.01)


def test_a_check_that_fails_or_is_late_is_a_line_of_its_own():
    copy = gpu.Copy.__new__(gpu.Copy)
    copy.root = ROOT
    lines = []
    for seconds, command in ((60, ("json.tool", "/no/such/file")), (0, ("json.tool", "README.md"))):
        copy.deadline = time.monotonic() + seconds
        lines += gpu.attempt(lambda command=command: iter([copy.run(*command)]))
    assert [(line["passed"], line["found"]) for line in lines] == [(False, "exit code 2"), (False, "the time is up")]


def test_a_report_says_what_was_measured_where_and_how(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["throughput", "--rounds", "3"])
    report.publish("throughput", "Title", [{"what": "ours", "rate": 1.5}, {"what": "theirs", "rate": None}], tmp_path)
    written = json.loads((tmp_path / "throughput.json").read_text())
    assert written["rows"] == [{"what": "ours", "rate": 1.5}, {"what": "theirs", "rate": None}]
    assert written["measured"]["command"] == "python -m benchmarks.throughput --rounds 3"
    assert {"date", "device", "processor", "threads", "torch"} < set(written["measured"])
    said = capsys.readouterr().out
    assert all(text in said for text in ("Title", "ours", "1.5", "theirs"))


def test_the_steps_of_a_turn_are_as_many_as_the_frames_take():
    done = []
    work = throughput.repeated(lambda: done.append(1), batch=4, frames=32, where=CPU)
    assert work() == 32
    assert len(done) == 8
