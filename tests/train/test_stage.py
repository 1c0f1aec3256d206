"""The train stage as a process, on arrays of 32×64 pixels."""

import json
import re

import pandas as pd
import pytest
import torch

from segcore.files.model import MODEL, load_weights
from segcore.runtime.errors import UserError
from segcore.train import loop
from segcore.train.curves import CURVES, METRICS
from stages import train
from tests.support.idd_lite import CLASSES
from tests.support.running import assert_fails
from tests.support.tiny import contents
from tests.support.tiny_training import results, stage, started_at, write_inputs, write_params

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


def test_it_writes_model_metrics_and_curves_and_the_same_bytes_again(workspace):
    done = stage(workspace)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"training on the CPU \(.+, 1 threads, \w+\): about \d:\d\d:\d\d for 6 steps", lines[0])
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1/3", "2/3", "3/3"]
    for word in ("loss", "lr", "frames/s", "left", "val mIoU"):
        assert word in lines[-1]

    curves = pd.read_csv(workspace / CURVES, sep="\t")
    assert list(curves.columns) == ["epoch", "loss", "val_miou", "lr"]
    assert curves["epoch"].tolist() == [1, 2, 3]
    assert curves["val_miou"].isna().tolist() == [True, False, False]
    assert not any(line[-1].isspace() for line in (workspace / CURVES).read_text().splitlines())
    metrics = json.loads((workspace / METRICS).read_text())
    assert metrics == {"loss": curves["loss"].iloc[-1], "val_miou": curves["val_miou"].iloc[-1]}

    state, about = load_weights(workspace / MODEL)
    assert state["decoder.output_conv.weight"].shape == (16, 7, 2, 2)
    assert about["classes"] == CLASSES
    assert about["input_size"] == [32, 64]
    assert about["params"]["train"]["epochs"] == 3
    assert about["versions"]["torch"] == torch.__version__
    assert about["threads"] == 1
    assert str(workspace) not in json.dumps(about)

    first = results(workspace)
    done = stage(workspace)
    assert started_at(done.stderr) == 0
    assert results(workspace) == first


@pytest.mark.parametrize("classes", [["road", "car"], ["street", "sidewalk", "anything else"]])
def test_a_model_has_the_classes_of_the_data(workspace, classes):
    write_inputs(workspace, classes=classes)
    done = stage(workspace)
    assert done.returncode == 0, done.stderr
    state, about = load_weights(workspace / MODEL)
    assert about["classes"] == classes
    assert state["decoder.output_conv.weight"].shape == (16, len(classes), 2, 2)


def test_labels_with_more_classes_than_the_statistics_are_refused(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    stats = json.loads((workspace / "data/arrays/stats.json").read_text())
    del stats["share"]["sky"]
    (workspace / "data/arrays/stats.json").write_text(json.dumps(stats))
    with pytest.raises(UserError, match="train labels have values that are no id of the 6 classes; run `dvc repro pre"):
        train.main()
    assert not (workspace / MODEL).exists()


def test_help_says_what_is_read_and_written(workspace):
    done = stage(workspace, "--help")
    assert done.returncode == 0
    for word in ("data/arrays", "erfnet.safetensors", "metrics/curves.tsv", "SEGCORE_DEVICE"):
        assert word in done.stdout


@pytest.fixture
def curves_seen(workspace, monkeypatch):
    """Return the content of the curves at each validation; the run fails at the second one."""
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    seen = []

    def validate(run):
        seen.append(CURVES.read_text() if CURVES.exists() else None)
        if len(seen) == 2:
            raise UserError("a mistake")
        yield loop.Validated()

    monkeypatch.setattr(loop.Training, "_validate", validate)
    return seen


def test_under_dvc_the_curves_appear_during_training_and_are_removed_after_an_error(
    workspace, monkeypatch, curves_seen
):
    monkeypatch.setenv("DVC_STAGE", "train")
    before = contents(workspace)
    with pytest.raises(UserError, match="a mistake"):
        train.main()
    assert curves_seen[-1].splitlines()[0] == "epoch\tloss\tval_miou\tlr"
    assert [line.split("\t")[0] for line in curves_seen[-1].splitlines()[1:]] == ["1", "2"]
    assert contents(workspace) == before


def test_without_dvc_old_outputs_stay_until_training_is_complete(workspace, curves_seen):
    for path in (MODEL, METRICS, CURVES):
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    before = contents(workspace)
    with pytest.raises(UserError, match="a mistake"):
        train.main()
    assert curves_seen == ["old", "old"]
    assert contents(workspace) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "abc"}, "train.epochs: input should be a valid integer; it is 'abc'"),
        ({"lr": -1}, "train.lr: input should be greater than 0; it is -1"),
        ({"epochz": 1}, "train.epochz: unknown parameter"),
        ({"optimizer": "sgd"}, "train.optimizer: input should be 'muon', 'adamw' or 'adam'; it is 'sgd'"),
        ({"batch_size": 6}, "train.batch_size: 6 is more than the 5 train frames"),
    ],
)
def test_a_wrong_parameter_stops_it_before_any_work(workspace, monkeypatch, changes, message):
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    write_params(workspace, **({"epochs": 3, "batch_size": 2} | changes))
    before = contents(workspace)
    with pytest.raises(UserError) as caught:
        train.main()
    assert message in str(caught.value)
    assert contents(workspace) == before


def test_a_loss_that_is_not_finite_ends_the_stage_with_a_message(workspace):
    stats = workspace / "data/arrays/stats.json"
    stats.write_text(stats.read_text().replace("0.5,", "1e39,", 1))
    before = contents(workspace)
    done = stage(workspace)
    assert_fails(done, "error: the loss is nan in epoch 1, step 1 of 2: choose a smaller train.lr")
    assert contents(workspace) == before


@pytest.mark.parametrize("variable", ["DVC_STAGE", "OUTSIDE_OF_DVC"])
def test_a_full_disk_ends_the_stage_with_a_message(workspace, variable):
    before = contents(workspace)
    done = stage(workspace, file_limit=100_000, **{variable: "train"})
    assert_fails(done, "error: File too large")
    assert contents(workspace) == before
