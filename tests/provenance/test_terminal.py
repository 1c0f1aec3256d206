"""The report on a model: what made it, which files are refused, and the command line."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from segcore.files.model import save_weights
from segcore.runtime.errors import UserError
from tests.support.provenance_project import LOOP, MODEL, Answer, md5, recorded_params
from tests.support.workspace import ROOT, Workspace

# What made it


def test_the_whole_record_is_shown(project, ask):
    long = "/".join(["long"] * 50)
    digest = project.make_model(init={"weights": {"file": long}}, threads=2, nothing=None)
    answer = ask()
    made = answer.text.partition("What made it")[2].partition("Commits")[0]
    fields = dict(line.split(maxsplit=1) for line in made.splitlines() if len(line.split()) > 1)
    assert fields["train.lr"] == str(recorded_params()["train"]["lr"])
    assert fields["augment.flip"] == "true"
    assert fields["md5.stats.json"] == md5("data/arrays/stats.json")
    assert fields["versions.torch"] == torch.__version__
    assert fields["mean"] == "0.5, 0.25, 0.125"
    assert fields["nothing"] == "null"
    assert fields["classes"] == "drivable, sky"
    assert f"init.weights.file {long}" in answer.flat
    assert [digest] == [line.split()[1] for line in answer.lines if line.startswith("md5 ")]


def test_lines_fit_into_80_columns(project, ask):
    project.lock(project.make_model(classes=[f"class-{i}" for i in range(40)], new="one"))
    Path(LOOP).write_text("other code")
    uncommitted = ask()
    project.commit("a subject of many words " * 10)
    answer = ask()
    assert answer.commits
    Path("dvc.lock").unlink()
    project.commit("no dvc.lock", "--amend")
    for said in (uncommitted, answer, ask()):
        assert max(map(len, said.text.splitlines())) <= 80
    assert ", ".join(f"class-{i}" for i in range(40)) in answer.flat


def test_control_characters_of_a_model_or_a_commit_are_escaped(project, ask):
    project.lock(project.make_model(**{"no\x1b[2Jte": "\x1b[31mred", "list": ["\x9b2J"]}))
    project.commit("\x1b[31mred subject")
    said = ask().text
    assert all(line.isprintable() for line in said.splitlines())
    assert r"'\x1b[31mred subject'" in said


# Which files it accepts


def test_a_file_in_dvcs_cache_is_accepted(project, ask):
    brought = project.commit_lock(project.md5)
    cached = Path(".dvc/cache/files/md5", project.md5[:2], project.md5[2:])
    cached.parent.mkdir(parents=True)
    MODEL.rename(cached)
    assert ask(cached).commits.keys() == {brought}


def foreign(metadata: dict[str, str] | None):
    return lambda: save_file({"a": torch.zeros(2)}, MODEL, metadata)


REFUSED = {
    "missing": (MODEL.unlink, "no such file; `dvc checkout` restores"),
    "empty": (lambda: MODEL.write_bytes(b""), "not a complete safetensors file"),
    "pickle": (lambda: torch.save({}, MODEL), "not a complete safetensors file"),
    "cut short": (lambda: MODEL.write_bytes(MODEL.read_bytes()[:-1]), "not a complete safetensors file"),
    "foreign": (foreign(None), "not written by this pipeline"),
    "foreign with metadata": (foreign({"format": "pt"}), "not written by this pipeline"),
    "no JSON": (foreign({"segcore": "x"}), "not written by this pipeline"),
    "no object": (foreign({"segcore": "[]"}), "not written by this pipeline"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_not_a_model_of_this_pipeline_is_refused(project, ask, kind):
    spoil, message = REFUSED[kind]
    spoil()
    with pytest.raises(UserError, match=re.escape(f"{MODEL}: ")) as raised:
        ask()
    assert message in str(raised.value)
    assert "dvc repro" not in str(raised.value)  # which would make another model


def test_an_empty_record_is_a_record(project, ask):
    save_weights(MODEL, {"a": torch.zeros(2)}, {})
    project.lock(md5(MODEL))
    assert "same files in dvc.lock here: 3 of 3" in ask().flat


# From the command line


def run(workspace: Workspace, path: str) -> Answer:
    return Answer(workspace.run("python", "-m", "segcore", "provenance", path))


@pytest.mark.system
def test_models_that_dvc_made(workspace):
    answer = run(workspace, str(MODEL))
    results = workspace.git("rev-parse", "--short", "HEAD").strip()
    assert answer.commits == {results: "main"}
    assert "HEAD has it now: yes" in answer.lines
    assert "Nothing differs here" in answer.text

    workspace.dvc("exp", "run", "--temp", "--name=longer", "--set-param=train.epochs=2", "train")
    [ref] = workspace.git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/longer").split()
    lock = yaml.safe_load(workspace.git("show", f"{ref}:dvc.lock"))
    [digest] = [out["md5"] for out in lock["stages"]["train"]["outs"] if out["path"] == str(MODEL)]
    answer = run(workspace, f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}")
    short = workspace.git("rev-parse", "--short", ref).strip()
    assert answer.commits == {short: "experiment longer"}
    assert answer.not_same == {"train.epochs": "1"}
    assert "HEAD has it now: no" in answer.lines

    # The printed commands work.
    for command in answer.commands[:2]:
        workspace.run(*shlex.split(command))
    assert md5(workspace.root / MODEL) == digest
    assert "Nothing differs here" in run(workspace, str(MODEL)).text


@pytest.mark.system
def test_a_file_that_is_refused_ends_with_a_message(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "segcore", "provenance", str(tmp_path / "none")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/none: no such file")
    assert done.stdout == ""
