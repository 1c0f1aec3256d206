"""Experiments run their own code on their own data, wherever they run; and diffs of metrics are exact."""

import json
import tarfile
from typing import Any

import pytest

from tests.support.queue_worker import has_succeeded, queue_worker
from tests.support.running import wait_until
from tests.support.workspace import Workspace, stages_run

pytestmark = pytest.mark.system

METRICS = ("metrics/train.json", "metrics/evaluate.json", "metrics/export.json")
# At the end of segcore/network/iou.py, which train and evaluate import: it changes the result, but not in the
# workspace itself.
OTHER_CODE = """
if "/.dvc/tmp/exps/" not in __file__:
    raise ImportError("this is the workspace's code")


def mean_iou(counts):
    return 0.125
"""


def test_an_experiment_in_the_workspace(workspace, finished):
    said = workspace.dvc("exp", "run", "--name=longer", "--set-param=train.epochs=2")
    assert stages_run(said) == ["train", "evaluate", "export", "render", "card"]
    curves = (workspace.root / "metrics/curves.tsv").read_text()
    assert [line.split("\t")[0] for line in curves.splitlines()] == ["epoch", "1", "2"]
    assert metrics_of(experiment(workspace, "longer")) == [read_json(workspace, name) for name in METRICS]

    changed = {name: changes(read_json(finished, name), read_json(workspace, name)) for name in METRICS}
    assert "loss" in changed["metrics/train.json"]
    assert diff(workspace) == {name: values for name, values in changed.items() if values}

    workspace.git("checkout", "--quiet", ".")
    workspace.dvc("checkout")
    assert workspace.outputs() == finished.outputs()
    assert workspace.repro() == []
    assert workspace.dvc("metrics", "diff") == ""


@pytest.mark.parametrize("mode", ["--temp", "--queue"])
def test_an_experiment_elsewhere_has_its_own_code_and_data(workspace, mode):
    with tarfile.open(workspace.root / "data/idd-lite.tar.gz", "w:gz") as archive:
        archive.add(workspace.root / "data/raw", "idd20k_lite")
    workspace.dvc("add", "data/idd-lite.tar.gz")
    workspace.append("segcore/network/iou.py", OTHER_CODE)
    before = workspace.outputs(), workspace.git("status", "--porcelain")

    settings = ["--set-param=train.epochs=2", "--set-param=fetch.source=data/idd-lite.tar.gz"]
    workspace.dvc("exp", "run", mode, "--name=other", *settings, "evaluate")
    if mode == "--queue":
        (workspace.root / "segcore/network/iou.py").write_text("raise ImportError('this is newer code')\n")
        with queue_worker(workspace):
            wait_until(lambda: has_succeeded(workspace, "other"), seconds=180, pause=2)

    other = experiment(workspace, "other")
    train, evaluate, _ = metrics_of(other)
    assert train["val_miou"] == evaluate["miou"] == evaluate["miou_native"] == 0.125
    assert len(workspace.git("show", f"{other['rev']}:metrics/curves.tsv").splitlines()) == 1 + 2
    assert other["data"]["deps"]["data/idd-lite.tar.gz"]["hash"]
    assert (workspace.outputs(), workspace.git("status", "--porcelain")) == before  # the workspace was left alone


def experiment(workspace: Workspace, name: str) -> dict[str, Any]:
    """What ``dvc exp show`` has on an experiment."""
    baselines = json.loads(workspace.dvc("exp", "show", "--json"))
    [shown] = [
        experiment["revs"][0]
        for baseline in baselines
        for experiment in baseline["experiments"] or []
        if experiment["name"] == name
    ]
    return shown


def metrics_of(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of train, evaluate and export in what :func:`experiment` gave."""
    return [shown["data"]["metrics"][name]["data"] for name in METRICS]


def read_json(workspace: Workspace, name: str) -> dict[str, Any]:
    return json.loads((workspace.root / name).read_text())


def diff(workspace: Workspace) -> dict[str, Any]:
    """``dvc metrics diff``: old and new values of what changed, per file."""
    files = json.loads(workspace.dvc("metrics", "diff", "--json"))
    return {
        name: {metric: (change["old"], change["new"]) for metric, change in changed.items()}
        for name, changed in files.items()
    }


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, tuple]:
    """Old and new value of each leaf that differs between two trees of the same form."""
    assert old.keys() == new.keys()
    found: dict[str, tuple] = {}
    for key, value in old.items():
        if isinstance(value, dict):
            found |= changes(value, new[key], f"{prefix}{key}.")
        elif value != new[key]:
            found[prefix + key] = (value, new[key])
    return found
