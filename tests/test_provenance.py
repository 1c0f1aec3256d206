"""What made a model, which commits have it, and what must match to make it again."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from segcore import device, provenance
from segcore.console import UserError
from segcore.weights import save_weights
from tests.workspace import ROOT, Workspace

CPU = torch.device("cpu")
MODEL = Path("data/model/erfnet.safetensors")
ARRAYS = ("train_images.npy", "train_labels.npy", "stats.json")
CODE = ("stages/train.py", "segcore/training.py")
VAL = ("data/arrays/val_images.npy", "data/arrays/val_labels.npy")


def recorded_params() -> dict[str, Any]:
    """The parameters of params.yaml as a model made with them has them: the start is recorded by its content."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    del params["train"]["init"]
    return {section: params[section] for section in ("train", "model", "augment")}


class Project:
    """The working folder, as git repository: a model, and all that it was made from."""

    def __init__(self) -> None:
        for name in (*CODE, *VAL, *(f"data/arrays/{name}" for name in ARRAYS)):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(f"content of {name}")
        shutil.copyfile(ROOT / "params.yaml", "params.yaml")
        MODEL.parent.mkdir()
        self.md5 = self.make_model()
        self.git("init", "--quiet", "--initial-branch=main")
        Path(".git/info/exclude").write_text("data\n")

    def make_model(self, **other: Any) -> str:
        """Write a model as train would have made it here, but for ``other``, and return its digest."""
        about = {
            "classes": ["drivable", "sky"],
            "input_size": [160, 320],
            "mean": [0.5, 0.25, 0.125],
            "params": recorded_params(),
            "init": None,
            "md5": {name: md5(f"data/arrays/{name}") for name in ARRAYS},
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "device": device.name(CPU),
            "precision": device.usable_precision("bf16", CPU),
            "threads": 1,
        }
        save_weights(MODEL, {"a": torch.zeros(2)}, about | other)
        return md5(MODEL)

    def lock(self, model: str, name: str = str(MODEL), stage: str = "train", **other: Any) -> None:
        """Write a dvc.lock that has the model with the digest ``model`` at ``name`` as an output of ``stage``."""
        deps = [{"path": path, "md5": md5(path)} for path in (*CODE, *VAL, f"data/arrays/{ARRAYS[0]}")]
        outs = [{"path": name, "md5": model}, {"path": "metrics/train.json", "md5": "1" * 32}]
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": {stage: {"deps": deps, "outs": outs}}, **other}))

    def commit(self, subject: str, *options: str) -> str:
        """Commit all, and return the hash as it is shown."""
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={subject}", *options)
        return self.git("rev-parse", "--short", "HEAD")

    def commit_lock(self, model: str, **other: Any) -> str:
        self.lock(model, **other)
        return self.commit(f"dvc.lock with {model[:4]}")

    def git(self, *arguments: str) -> str:
        return subprocess.check_output(["git", *arguments], text=True, stderr=subprocess.DEVNULL).strip()


class Answer:
    """What the command printed, taken apart."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [line.strip() for line in text.splitlines()]
        self.flat = " ".join(text.split())
        # By hash, what stands behind the date.
        self.commits = dict(re.findall(r"^  ([0-9a-f]{7,})  \d{4}-\d\d-\d\d *(.*)$", text, re.MULTILINE))
        shown = re.findall(r"^  (same|differs|unknown) +(\S+)  .*\n( +here +\S.*)?", text, re.MULTILINE)
        self.checks = {what: verdict for verdict, what, _ in shown}
        self.not_same = {what: here.split(maxsplit=1)[1] for verdict, what, here in shown if verdict != "same"}
        self.commands = [line for line in self.lines if re.match(r"(\w+=\S+ )*(dvc|git) ", line)]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = {"CONFIG_GLOBAL": os.devnull, "CONFIG_NOSYSTEM": "1", "CEILING_DIRECTORIES": str(tmp_path.parent)}
    people = {f"{role}_{key}": f"{key}@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    for name, value in (settings | people).items():
        monkeypatch.setenv(f"GIT_{name}", value)
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    monkeypatch.setenv("SEGCORE_THREADS", "1")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return Project()


@pytest.fixture
def ask(capsys):
    def ask(path: Path = MODEL) -> Answer:
        provenance.main(path)
        return Answer(capsys.readouterr().out)

    return ask


def md5(path: str | Path) -> str:
    return hashlib.md5(Path(path).read_bytes()).hexdigest()


OTHER = "0" * 32


# What made it


def test_all_that_is_recorded_is_shown_whole(project, ask):
    long = "/".join(["long"] * 50)
    digest = project.make_model(init={"weights": {"file": long}}, threads=2, nothing=None)
    answer = ask()
    made = answer.text.partition("What made it")[2].partition("Commits")[0]
    fields = dict(line.split(maxsplit=1) for line in made.splitlines() if len(line.split()) > 1)
    assert fields["train.lr"] == "0.001"
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
    Path(CODE[1]).write_text("other code")
    uncommitted = ask()
    project.commit("a subject of many words " * 10)
    answer = ask()
    assert answer.commits
    Path("dvc.lock").unlink()
    project.commit("no dvc.lock", "--amend")
    for said in (uncommitted, answer, ask()):
        assert max(map(len, said.text.splitlines())) <= 80
    assert ", ".join(f"class-{i}" for i in range(40)) in answer.flat


def test_nothing_in_a_model_or_a_commit_steers_the_terminal(project, ask):
    project.lock(project.make_model(**{"no\x1b[2Jte": "\x1b[31mred", "list": ["\x9b2J"]}))
    project.commit("\x1b[31mred subject")
    said = ask().text
    assert all(line.isprintable() for line in said.splitlines())
    assert r"'\x1b[31mred subject'" in said


# Which commits have it


def test_each_commit_that_brings_it_in_is_listed_and_no_other(project, ask):
    project.commit_lock(OTHER)
    first = project.commit_lock(project.md5)
    Path(CODE[0]).write_text("a comment")
    project.commit_lock(project.md5)  # another dvc.lock with the same model
    project.commit_lock(OTHER)
    again = project.commit_lock(project.md5)
    Path("notes").touch()
    project.commit("no other dvc.lock")
    answer = ask()
    assert answer.commits == {again: "main~1", first: "main~4"}
    assert "never committed" not in answer.text
    assert "dvc.lock with " + project.md5[:4] in answer.lines
    assert "HEAD has it now: yes" in answer.lines
    assert "dvc.lock here has it now: yes" in answer.lines

    project.commit_lock(OTHER)
    answer = ask()
    assert answer.commits.keys() == {again, first}
    assert "HEAD has it now: no" in answer.lines
    assert "dvc.lock here has it now: no" in answer.lines


@pytest.mark.parametrize("other", [{"name": "data/model/other.safetensors"}, {"stage": "evaluate"}])
def test_the_same_bytes_as_something_else_do_not_count(project, ask, other):
    project.commit_lock(project.md5, **other)
    answer = ask()
    assert answer.commits == {}
    assert "HEAD has it now: no" in answer.lines
    assert "dvc.lock here has it now: no" in answer.lines


@pytest.mark.parametrize(
    "text", ["<<<<<<< ours\n{}\n", "[{}]", "stages: {{train: {}}}", "train:\n  outs: {}\n", "\xff{}"]
)
def test_a_dvc_lock_that_nobody_can_read_is_passed_over(project, ask, text):
    Path("dvc.lock").write_bytes(text.format(project.md5).encode("latin-1"))
    project.commit("broken")
    whole = project.commit_lock(project.md5)
    assert ask().commits.keys() == {whole}


def test_a_merge_that_keeps_the_model_of_a_branch_did_not_bring_it_in(project, ask):
    project.commit_lock(OTHER)
    project.git("checkout", "--quiet", "-b", "side")
    brought = project.commit_lock(project.md5)
    project.git("checkout", "--quiet", "main")
    Path("notes").touch()
    project.commit("meanwhile")
    project.git("merge", "--quiet", "--no-edit", "side")
    assert ask().commits.keys() == {brought}


def test_a_merge_that_has_a_model_of_its_own_brought_it_in(project, ask):
    project.commit_lock(OTHER)
    project.git("checkout", "--quiet", "-b", "side")
    project.commit_lock("2" * 32)
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    merge = project.commit_lock(project.md5)
    assert len(project.git("rev-list", "--parents", "-1", "HEAD").split()) == 3
    assert ask().commits == {merge: "main"}


def test_a_model_that_a_merge_dropped_is_found(project, ask):
    project.commit_lock(OTHER)
    project.git("checkout", "--quiet", "-b", "side")
    brought = project.commit_lock(project.md5)
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--strategy=ours", "--no-edit", "side")
    project.git("branch", "-D", "side")
    answer = ask()
    assert answer.commits.keys() == {brought}
    assert "HEAD has it now: no" in answer.lines


def test_branches_tags_and_detached_heads_are_searched(project, ask):
    project.commit_lock(OTHER)
    tips = {}
    for name in ("branch", "tag", "head"):
        project.git("checkout", "--quiet", "--detach", "main")
        project.lock(project.md5)
        tips[name] = project.commit(name)
        if name != "head":
            project.git(name, f"my-{name}", *(["--message=annotated"] if name == "tag" else []))
    assert ask().commits == {tips["branch"]: "my-branch", tips["tag"]: "my-tag", tips["head"]: ""}


def test_experiments_are_found_by_name_but_not_what_waits_in_the_queue(project, ask):
    project.commit_lock(OTHER)
    base = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "--detach")
    experiment = project.commit_lock(project.md5)
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/warm-star", "HEAD")
    project.git("checkout", "--quiet", "--detach", "main")
    project.lock(project.md5)
    project.commit("dvc-exp:queued")
    project.git("update-ref", "refs/exps/celery/stash", "HEAD")
    project.git("checkout", "--quiet", "main")
    answer = ask()
    assert answer.commits == {experiment: "experiment warm-star"}
    assert [line.split("#")[0] for line in answer.commands] == [
        "dvc exp apply warm-star",
        f"dvc checkout {MODEL}",
        "dvc exp apply warm-star",
        "dvc repro train",
    ]


def test_a_name_of_an_experiment_is_one_word_to_the_shell(project, ask):
    project.commit_lock(OTHER)
    base = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "--detach")
    project.commit_lock(project.md5)
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/a;b$(c)", "HEAD")
    project.git("checkout", "--quiet", "main")
    words = subprocess.check_output(["sh", "-c", f"printf '%s\\n' {ask().commands[0]}"], text=True)
    assert words.splitlines() == ["dvc", "exp", "apply", "a;b$(c)"]


def test_a_commit_is_named_by_its_branch_even_if_an_experiment_is_nearer(project, ask):
    brought = project.commit_lock(project.md5)
    base = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "--detach")
    project.commit_lock(OTHER)
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/near", "HEAD")
    project.git("checkout", "--quiet", "main")
    for number in range(2):
        Path(f"notes{number}").touch()
        project.commit("further on")
    assert ask().commits == {brought: "main~2"}


def test_a_model_that_only_the_workspace_has(project, ask):
    project.commit_lock(OTHER)
    project.lock(project.md5)
    answer = ask()
    assert answer.commits == {}
    assert "never committed, or elsewhere" in answer.flat
    assert "HEAD has it now: no" in answer.lines
    assert "dvc.lock here has it now: yes" in answer.lines
    assert "same files in dvc.lock here: 2 of 2" in answer.flat
    assert answer.commands == [f"dvc checkout {MODEL}", "dvc repro train"]


def test_a_model_that_nothing_names(project, ask):
    project.commit_lock(OTHER)
    answer = ask()
    assert answer.commits == {}
    assert "never committed, or elsewhere" in answer.flat
    assert answer.checks["device"] == "same"
    assert "1 unknown" in answer.text
    assert "no dvc.lock that can be read here has the model" in answer.flat
    assert answer.commands == []


def test_a_repository_without_commits(project, ask):
    answer = ask()
    assert "never committed, or elsewhere" in answer.flat
    assert "HEAD has it now: no" in answer.lines


@pytest.mark.parametrize(("cause", "reason"), [("folder", "not a git repository"), ("git", "git is not installed")])
def test_without_git_the_other_answers_are_given(project, ask, monkeypatch, cause, reason):
    project.commit_lock(project.md5)
    if cause == "folder":
        shutil.rmtree(".git")
    else:
        monkeypatch.setenv("PATH", "")
    answer = ask()
    assert f"not known: {'git says: fatal: ' if cause == 'folder' else ''}{reason}" in answer.flat
    assert "never committed" not in answer.text
    assert "HEAD" not in answer.text
    assert "train.lr" in answer.text
    assert answer.checks["device"] == "same"
    assert answer.commands == [f"dvc checkout {MODEL}", "dvc repro train"]


def test_a_shallow_clone_says_that_it_is_one(project, ask, monkeypatch):
    project.commit_lock(OTHER)
    project.commit_lock(project.md5)
    Path("notes").touch()
    last = project.commit("no other dvc.lock")
    assert "shallow" not in ask().text
    project.git("clone", "--quiet", "--depth=1", f"file://{Path.cwd()}", "../clone")
    model = MODEL.absolute()
    monkeypatch.chdir("../clone")
    answer = ask(model)
    assert answer.commits.keys() == {last}
    assert "this clone is shallow" in answer.text


def test_a_pipeline_in_a_folder_of_the_repository(project, ask, tmp_path):
    project.lock(project.md5)
    shutil.rmtree(".git")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", ".."], check=True)
    brought = project.commit("dvc.lock in a folder")
    answer = ask()
    assert answer.commits.keys() == {brought}
    assert "HEAD has it now: yes" in answer.lines


def test_more_commits_need_no_more_processes(project, ask, tmp_path, monkeypatch):
    log = tmp_path / "log"
    shim = tmp_path / "bin/git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {shutil.which("git")} "$@"\n')
    shim.chmod(0o755)
    counts = []
    for _ in range(2):
        for _ in range(3):
            project.commit_lock(OTHER)
            project.commit_lock(project.md5)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
            assert len(ask().commits) == 3 * (len(counts) + 1)
        counts.append(len(log.read_text().split()))
        log.unlink()
    assert counts[0] == counts[1] > 0


# What must match


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
    "segcore/training.py": (change_file("segcore/training.py"), hashlib.md5(b"changed").hexdigest()),
    "stages/train.py": (lambda patch: Path("stages/train.py").unlink(), "missing"),
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
    [line] = [line for line in answer.lines if line.startswith(f"differs  {what} ")]
    if what in before:
        assert line.split()[2] == before[what]


def test_numbers_are_compared_as_train_reads_them(project, ask):
    change_params("lr: 0.001 ", "lr: 1e-3 ")(None)  # YAML 1.1 takes this for text
    assert yaml.safe_load(Path("params.yaml").read_text())["train"]["lr"] == "1e-3"
    recorded = recorded_params()
    recorded["train"]["lr"] = 0.001
    project.lock(project.make_model(params=recorded))
    assert ask().not_same == {}


def test_what_only_the_validation_reads_need_not_match(project, ask):
    project.commit_lock(project.md5)
    for name in VAL:
        Path(name).write_text("changed")
    assert "Nothing differs here" in ask().text


def test_the_precision_that_counts_is_what_this_hardware_makes_of_the_parameter(project, ask, monkeypatch):
    # Made in fp32 because there was no bf16, and here there is.
    monkeypatch.setattr(device, "_has_bf16", lambda _: False)
    project.lock(project.make_model(precision="fp32"))
    assert ask().not_same == {}
    monkeypatch.setattr(device, "_has_bf16", lambda _: True)
    assert ask().not_same == {"precision": "bf16"}


def test_what_this_program_cannot_compare_is_unknown_and_not_the_same(project, ask):
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
    del recorded["train"]["ema"]
    project.lock(project.make_model(params=recorded))
    answer = ask()
    assert answer.not_same == {"train.dropout": "unknown to train", "train.ema": "0.0"}
    assert "train.ema not recorded" in answer.flat


def test_params_that_train_would_refuse_are_said_to_be_so(project, ask):
    project.lock(project.md5)
    change_params("epochs: 100", "epochs: many")(None)
    answer = ask()
    assert "params.yaml: train.epochs" in answer.flat
    assert answer.not_same.keys() == {"train", "init"}
    Path("params.yaml").unlink()
    answer = ask()
    missing = dict.fromkeys(("train", "model", "augment"), "params.yaml: missing")
    assert answer.not_same == missing | {"init": "nothing to compare it with"}


def test_the_code_is_that_of_head_or_else_of_the_commit_that_brought_the_model_in(project, ask):
    brought = project.commit_lock(project.md5)
    Path(CODE[0]).write_text("a comment")
    project.commit_lock(project.md5)
    project.lock(OTHER)
    answer = ask()
    assert "same files in dvc.lock of HEAD: 2 of 2" in answer.flat
    project.commit("another model")
    answer = ask()
    assert f"same files in dvc.lock of {brought}: 1 of 2" in answer.flat
    assert answer.not_same == {CODE[0]: md5(CODE[0])}


def test_the_commands_set_device_and_threads_where_they_differ(project, ask, monkeypatch):
    project.commit_lock(project.md5)
    monkeypatch.setenv("SEGCORE_THREADS", "3")
    assert ask().commands[-1] == "SEGCORE_THREADS=1 dvc repro train"
    monkeypatch.setattr(device, "name", lambda where: "a card")
    assert ask().commands[-1] == "SEGCORE_DEVICE=cpu SEGCORE_THREADS=1 dvc repro train"
    monkeypatch.setattr(device, "name", lambda where: "CPU of another kind")
    assert ask().commands[-1] == "SEGCORE_THREADS=1 dvc repro train"


# Which files it takes


def test_a_file_of_dvcs_cache_is_a_model_as_any_other(project, ask):
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
def test_what_is_no_model_of_ours_is_refused(project, ask, kind):
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


def test_help_is_quick_because_torch_is_not_imported():
    code = "import sys, segcore.provenance; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split() == ["False", "False"]


def run(workspace: Workspace, path: str) -> Answer:
    return Answer(workspace.run("python", "-m", "segcore.provenance", path))


def test_models_that_dvc_made(workspace):
    answer = run(workspace, str(MODEL))
    results = workspace.git("rev-parse", "--short", "HEAD").strip()
    assert answer.commits == {results: "main"}
    assert "HEAD has it now: yes" in answer.lines
    assert "Nothing differs here" in answer.text

    workspace.dvc("exp", "run", "--temp", "--name=longer", "--set-param=train.epochs=2")
    [ref] = workspace.git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/longer").split()
    lock = yaml.safe_load(workspace.git("show", f"{ref}:dvc.lock"))
    [digest] = [out["md5"] for out in lock["stages"]["train"]["outs"] if out["path"] == str(MODEL)]
    answer = run(workspace, f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}")
    short = workspace.git("rev-parse", "--short", ref).strip()
    assert answer.commits == {short: "experiment longer"}
    assert answer.not_same == {"train.epochs": "1"}
    assert "HEAD has it now: no" in answer.lines

    # The commands do what is said of them.
    for command in answer.commands[:2]:
        workspace.run(*shlex.split(command))
    assert md5(workspace.root / MODEL) == digest
    assert "Nothing differs here" in run(workspace, str(MODEL)).text


def test_a_file_that_is_refused_ends_with_a_message(finished, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "segcore.provenance", str(tmp_path / "none")],
        cwd=finished.root,
        env=finished.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/none: no such file")
    assert done.stdout == ""
