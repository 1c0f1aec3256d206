"""The benchmarks of training speed: they measure in turns, and what they compare does the same work."""

import json
import os
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from benchmarks import article, kernels, limits, report, scaling, streaming, throughput, tricks
from benchmarks.rates import by_turns, ratio
from segcore.dataset.classes import VOID
from segcore.network import device, tensors
from segcore.train import loop
from tests.support.running import ROOT
from tests.support.tiny_training import CPU, make, write_inputs

pytestmark = pytest.mark.system


def note_times(folder: Path, units: float):
    """Return work that writes a file with the times of its start and its end."""

    def work() -> float:
        begun = time.monotonic()
        sum(range(100_000))
        (folder / f"{os.getpid()}-{begun}").write_text(json.dumps([begun, time.monotonic()]))
        return units

    return work


def test_works_are_measured_one_at_a_time_in_different_processes(tmp_path):
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
    """Write one frame in IDD-Lite's layout, dark on the left and bright on the right, with labels to match."""
    labels = np.zeros((227, 320), dtype=np.uint8)
    labels[:, 160:] = 6
    for folder, name, pixels in (("leftImg8bit", "7_image.jpg", labels * 40), ("gtFine", "7_label.png", labels)):
        path = tmp_path / "data/raw" / folder / "train/1" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "data/raw"


def test_the_articles_frames_are_flipped_and_shifted_with_their_labels(raw):
    frames = article.Frames(raw, (320, 160))
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
    training = article.Loop(torch.ones(7), encoder_only=False, device=CPU)
    labels = torch.arange(64).div(32, rounding_mode="floor").expand(2, 32, 64)
    images = labels[:, None].expand(-1, 3, -1, -1) + torch.rand(2, 3, 32, 64) / 4
    losses = [training.step(images, labels) for _ in range(40)]
    assert losses[-1] < losses[0] * 0.8


def restore_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo after the test what the tricks change in modules."""
    for module, changed in (
        (loop, "can_record"),
        (loop, "upload"),
        (tensors, "upload"),
    ):
        monkeypatch.setattr(module, changed, getattr(module, changed))


@pytest.mark.parametrize("name", [name for name, trick in tricks.TRICKS.items() if not trick.changes])
def test_training_without_a_trick_computes_the_same(name, monkeypatch):
    restore_modules(monkeypatch)
    device.prepare(CPU)
    plain, altered = make(), make()
    tricks.TRICKS[name].alter(altered)
    index = torch.arange(2)
    for _ in range(3):
        expected, loss = plain.train_step(index), altered.train_step(index)
        torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)


@pytest.fixture
def in_this_process(raw, tmp_path, monkeypatch):
    """Give the benchmarks small inputs, and run each work once, in this process."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(article, "BATCH_SIZE", 1)
    monkeypatch.setattr(article, "WORKERS", 1)
    monkeypatch.setattr(limits, "SIZES", (16, 32))
    monkeypatch.setattr(tricks, "BATCH_SIZES", (2, 4))
    restore_modules(monkeypatch)
    for module in (throughput, limits, tricks, streaming):
        monkeypatch.setattr(module, "by_turns", lambda makers, _: {name: [make()()] for name, make in makers.items()})


@pytest.mark.parametrize("module", [throughput, limits, tricks])
def test_a_benchmark_measures_each_work_and_publishes_the_rates(in_this_process, module, tmp_path):
    module.main(rounds=1, frames=8)
    rows = json.loads((tmp_path / f"results/{module.__name__.split('.')[1]}.json").read_text())["rows"]
    assert len(rows) >= 2


@pytest.mark.parametrize(("encoder_only", "title"), [(False, "full network, 32×64"), (True, "encoder only, 32×64")])
def test_the_article_trains_our_network_at_our_size(in_this_process, encoder_only, title):
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"model": {"encoder_only": encoder_only}}))
    run, (training, batches) = throughput.make_run(), throughput.make_article()
    images, labels = next(batches)
    assert images.shape[2:] == labels.shape[1:] == run.data.train.size
    assert training.model.state_dict().keys() == run.model.state_dict().keys()
    assert np.isfinite(training.step(images, labels))
    assert throughput.network_and_size() == title


def test_training_on_arrays_larger_than_memory(in_this_process, tmp_path):
    streaming.main(gigabytes=0.01, rounds=1, frames=8)
    found = json.loads((tmp_path / "results/streaming.json").read_text())
    assert [row["frames"] for row in found["rows"]] == ["in memory", "read ahead", "read between steps"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "params.yaml", "results"}


def test_training_in_several_processes(in_this_process, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    monkeypatch.setattr(scaling, "BATCH_SIZES", (4,))
    scaling.main(rounds=1, frames=8)
    rows = json.loads((tmp_path / "results/scaling.json").read_text())["rows"]
    assert [(row["processes"], row["threads of each"]) for row in rows] == [(1, 2), (2, 1)]
    assert all(row["frames/s"] > 0 for row in rows)


def test_the_kernels_of_a_step(in_this_process, tmp_path):
    kernels.main(steps=2, top=5)
    found = json.loads((tmp_path / "results/kernels.json").read_text())
    shares = [row["share"] for row in found["rows"]]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) < 1
    assert any("convolution" in row["kernel"] for row in found["rows"])


def test_the_operations_of_a_frame_are_those_of_the_design():
    """15.5 GFLOP forward and backward at 160×320, so a 25th of that at 32×64."""
    assert limits.operations(make()) == pytest.approx(15.52 / 25, rel=0.01)


def test_a_report_says_what_was_measured_where_and_how(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["throughput", "--rounds", "3"])
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.publish("throughput", "Title", [{"what": "ours", "rate": 1.5}, {"what": "theirs", "rate": None}])
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
