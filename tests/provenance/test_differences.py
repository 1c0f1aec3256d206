"""Provenance names each difference that can change the bytes of a model."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from segcore.network import device
from segcore.provenance.differences import digest
from segcore.runtime.errors import UserError
from tests.support import old_layout
from tests.support.provenance_project import ARRAYS, LOOP, MODEL, OTHER, PACKAGE, SCRIPT, VAL, md5, recorded_params


def change_file(name: str):
    return lambda monkeypatch: Path(name).write_text("changed")


def change_params(old: str, new: str):
    def change(monkeypatch) -> None:
        text = Path("params.yaml").read_text()
        assert old in text
        Path("params.yaml").write_text(text.replace(old, new))

    return change


CHANGES = {
    "versions.torch": (lambda patch: patch.setattr(torch, "__version__", "9.9"), "9.9"),
    "versions.numpy": (lambda patch: patch.setattr(np, "__version__", "9.8"), "9.8"),
    "device": (lambda patch: patch.setattr(device, "name", lambda where: "a card"), "a card"),
    "precision": (lambda patch: patch.setattr(device, "usable_precision", lambda *_: "fp8"), "fp8"),
    "threads": (lambda patch: patch.setenv("SEGCORE_THREADS", "3"), "3"),
    "md5.train_images.npy": (change_file("data/arrays/train_images.npy"), hashlib.md5(b"changed").hexdigest()),
    "md5.train_labels.npy": (change_file("data/arrays/train_labels.npy"), hashlib.md5(b"changed").hexdigest()),
    "md5.stats.json": (lambda patch: Path("data/arrays/stats.json").unlink(), "missing"),
    "train.epochs": (change_params("epochs: 100", "epochs: 7"), "7"),
    "model.encoder_only": (change_params("encoder_only: false", "encoder_only: true"), "true"),
    "augment.shift": (change_params("shift: 0", "shift: 1"), "1"),
    "stages/train.py": (change_file("stages/train.py"), hashlib.md5(b"changed").hexdigest()),
    "segcore/train": (lambda patch: shutil.rmtree("segcore/train"), "missing"),
}


def test_nothing_differs_where_the_model_was_made(project, ask):
    brought = project.commit_lock(project.md5)
    answer = ask()
    assert answer.not_same == {}
    assert {*answer.checks} == {
        *("device", "init", "precision", "threads", "versions.numpy", "versions.torch"),
        *(f"md5.{name}" for name in ARRAYS),
    }
    leaves = sum(map(len, recorded_params().values()))
    assert f"same parameters in params.yaml: {leaves} of {leaves}" in answer.flat
    assert "same files in dvc.lock here: 2 of 2" in answer.flat
    assert "Nothing differs here" in answer.text
    checkout = f"git checkout {brought}"
    assert answer.commands == [checkout, f"dvc checkout {MODEL}", checkout, "dvc repro train"]


@pytest.mark.parametrize("what", CHANGES)
def test_what_differs_is_named_with_both_values(project, ask, monkeypatch, what):
    project.commit_lock(project.md5)
    before = dict(line.split()[1:] for line in ask().lines if line.startswith("same") and len(line.split()) == 3)
    change, here = CHANGES[what]
    change(monkeypatch)
    answer = ask()
    assert answer.not_same == {what: here}
    assert "1 of " in answer.text
    assert " differ, 0 unknown." in answer.text
    assert "Nothing differs" not in answer.text
    assert "changed since" not in answer.text
    [line] = [line for line in answer.lines if line.startswith(f"differs  {what} ")]
    if what in before:
        assert line.split()[2] == before[what]


def test_numbers_are_compared_as_train_reads_them(project, ask):
    recorded = recorded_params()
    change_params(f"lr: {recorded['train']['lr']} ", "lr: 1e-3 ")(None)  # YAML 1.1 takes this for text
    assert yaml.safe_load(Path("params.yaml").read_text())["train"]["lr"] == "1e-3"
    recorded["train"]["lr"] = 0.001
    project.lock(project.make_model(params=recorded))
    assert ask().not_same == {}


def test_validation_data_need_not_match(project, ask):
    project.commit_lock(project.md5)
    for name in VAL:
        Path(name).write_text("changed")
    assert "Nothing differs here" in ask().text


def test_the_precision_here_is_what_this_hardware_makes_of_the_parameter(project, ask, monkeypatch):
    # The model was made in fp32 because its machine had no bf16; this one has it.
    monkeypatch.setattr(device, "_has_bf16", lambda _: False)
    project.lock(project.make_model(precision="fp32"))
    assert ask().not_same == {}
    monkeypatch.setattr(device, "_has_bf16", lambda _: True)
    assert ask().not_same == {"precision": "bf16"}


def test_what_cannot_be_compared_is_unknown(project, ask):
    params = recorded_params() | {"more": {"x": 1}}
    project.lock(project.make_model(processor="a new one", init={"md5": OTHER}, params=params))
    answer = ask()
    assert answer.not_same.keys() == {"processor", "init.md5", "more"}
    assert {answer.checks[what] for what in answer.not_same} == {"unknown"}
    assert "0 of " in answer.text
    assert "3 unknown" in answer.text


def test_parameters_that_only_one_side_knows_differ(project, ask):
    recorded = recorded_params()
    recorded["train"]["dropout"] = 0.5
    del recorded["train"]["weight_decay"]
    project.lock(project.make_model(params=recorded))
    answer = ask()
    assert answer.not_same == {"train.dropout": "unknown to train", "train.weight_decay": "0.01"}
    assert "train.weight_decay not recorded" in answer.flat


def test_sections_that_cannot_be_read_are_unknown_with_the_reason(project, ask):
    project.lock(project.md5)
    change_params("epochs: 100", "epochs: many")(None)
    answer = ask()
    assert "params.yaml: train.epochs" in answer.flat
    assert answer.not_same.keys() == {"train", "init"}
    Path("params.yaml").unlink()
    answer = ask()
    missing = dict.fromkeys(("train", "model", "augment"), "params.yaml: missing")
    assert answer.not_same == missing | {"init": "nothing to compare it with"}


def test_files_are_compared_with_head_or_else_with_the_commit_that_brought_the_model_in(project, ask):
    brought = project.commit_lock(project.md5)
    Path(SCRIPT).write_text("a comment")
    project.commit_lock(project.md5)
    project.lock(OTHER)
    answer = ask()
    assert "same files in dvc.lock of HEAD: 2 of 2" in answer.flat
    project.commit("a different model")
    answer = ask()
    assert f"same files in dvc.lock of {brought}: 1 of 2" in answer.flat
    assert answer.not_same == {SCRIPT: md5(SCRIPT)}


def test_the_commands_set_device_and_threads_where_they_differ(project, ask, monkeypatch):
    project.commit_lock(project.md5)
    monkeypatch.setenv("SEGCORE_THREADS", "3")
    assert ask().commands[-1] == "SEGCORE_THREADS=1 dvc repro train"
    monkeypatch.setattr(device, "name", lambda where: "a card")
    assert ask().commands[-1] == "SEGCORE_DEVICE=cpu SEGCORE_THREADS=1 dvc repro train"
    monkeypatch.setattr(device, "name", lambda where: "CPU of another kind")
    assert ask().commands[-1] == "SEGCORE_THREADS=1 dvc repro train"


def test_the_number_of_processes_is_compared(project, ask, monkeypatch):
    project.lock(project.make_model(processes=2))
    answer = ask()
    assert answer.not_same == {"processes": "1"}
    assert answer.commands[-1] == "SEGCORE_PROCESSES=2 dvc repro train"
    monkeypatch.setenv("SEGCORE_PROCESSES", "2")
    assert ask().not_same == {}
    project.lock(project.make_model())
    answer = ask()
    assert answer.not_same == {"processes": "2"}
    assert answer.commands[-1] == "SEGCORE_PROCESSES=1 dvc repro train"


def test_without_a_device_that_train_would_take_the_reason_stands_in_its_place(project, ask, monkeypatch):
    project.commit_lock(project.md5)
    monkeypatch.setenv("SEGCORE_DEVICE", "cuda:99")
    answer = ask()
    assert answer.not_same.keys() == {"device"}
    assert answer.not_same["device"].startswith("none: SEGCORE_DEVICE=cuda:99: torch")
    assert answer.commands[-1] == "SEGCORE_DEVICE=cpu dvc repro train"


def test_the_changed_files_of_a_folder_are_named(project, ask):
    project.commit_lock(project.md5)
    Path(LOOP).write_text("a comment")
    commit = project.commit_lock(project.md5)
    Path(PACKAGE, "recipe.py").write_text("changed")
    answer = ask()
    assert answer.not_same == {PACKAGE: md5(PACKAGE)}
    assert f"changed since {commit} {PACKAGE}/recipe.py " in answer.flat
    project.lock(project.make_model(threads=2))
    Path(LOOP).write_text("changed")
    assert "changed since" not in ask().text  # no commit has this dvc.lock


@pytest.mark.slow
def test_a_folder_has_the_digest_that_dvc_records(own_git, tmp_path):
    files = ("loop.py", "card.jinja", "sub/data.py")
    ignored = ("loop.py~", ".loop.py.swp", "__pycache__/loop.cpython-311.pyc", "sub/.ipynb_checkpoints/data.py")
    for name in files + ignored:
        Path("code", name).parent.mkdir(parents=True, exist_ok=True)
        Path("code", name).write_text(name)
    Path(".dvcignore").write_text("*~\n.*.swp\n__pycache__/\n.ipynb_checkpoints/\n")
    Path("dvc.yaml").write_text("stages: {train: {cmd: 'true', deps: [code]}}")
    places = {f"DVC_{kind}_DIR": str(tmp_path) for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")}
    for command in (["init", "--quiet", "--no-scm"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], env=os.environ | places, check=True)
    [recorded] = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["train"]["deps"]
    assert recorded["nfiles"] == len(files)
    assert digest(Path("code")) == recorded["md5"]
    Path("code/loop.py~").write_text("changed")
    assert digest(Path("code")) == recorded["md5"]
    Path("code/sub/data.py").write_text("changed")
    assert digest(Path("code")) != recorded["md5"]


def test_results_from_before_the_change_of_layout_are_read(project, ask):
    Path("dvc.lock").write_text(old_layout.LOCK.replace(old_layout.MODEL_MD5, project.md5))
    brought = project.commit("results of the old layout")
    answer = ask()
    assert answer.commits == {brought: "main"}
    gone = dict.fromkeys(("data/random_start.yaml", "segcore/loss.py", "segcore/training.py"), "missing")
    assert answer.not_same == gone | {SCRIPT: md5(SCRIPT)}
    assert answer.commands[-1] == "dvc repro train"


def test_a_dvcignore_that_cannot_be_read_is_an_error(project, ask):
    project.commit_lock(project.md5)
    Path(".dvcignore").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"\.dvcignore: "):
        ask()
