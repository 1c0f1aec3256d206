"""Which commits have a model."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.provenance_project import MODEL, OTHER, SCRIPT


def test_only_commits_that_bring_the_model_in_are_listed(project, ask):
    project.commit_lock(OTHER)
    first = project.commit_lock(project.md5)
    Path(SCRIPT).write_text("a comment")
    project.commit_lock(project.md5)  # a different dvc.lock with the same model
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
def test_the_same_bytes_as_a_different_output_do_not_count(project, ask, other):
    project.commit_lock(project.md5, **other)
    answer = ask()
    assert answer.commits == {}
    assert "HEAD has it now: no" in answer.lines
    assert "dvc.lock here has it now: no" in answer.lines


@pytest.mark.parametrize(
    "text", ["<<<<<<< ours\n{}\n", "[{}]", "stages: {{train: {}}}", "train:\n  outs: {}\n", "\xff{}"]
)
def test_a_dvc_lock_that_cannot_be_read_is_skipped(project, ask, text):
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


def test_a_merge_with_a_model_that_no_parent_has_brought_it_in(project, ask):
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


def test_branches_tags_and_a_detached_head_are_searched(project, ask):
    project.commit_lock(OTHER)
    tips = {}
    for name in ("branch", "tag", "head"):
        project.git("checkout", "--quiet", "--detach", "main")
        project.lock(project.md5)
        tips[name] = project.commit(name)
        if name != "head":
            project.git(name, f"my-{name}", *(["--message=annotated"] if name == "tag" else []))
    assert ask().commits == {tips["branch"]: "my-branch", tips["tag"]: "my-tag", tips["head"]: ""}


def test_experiments_are_named_and_queued_ones_ignored(project, ask):
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


def test_the_name_of_an_experiment_is_quoted_for_the_shell(project, ask):
    project.commit_lock(OTHER)
    base = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "--detach")
    project.commit_lock(project.md5)
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/a;b$(c)", "HEAD")
    project.git("checkout", "--quiet", "main")
    words = subprocess.check_output(["sh", "-c", f"printf '%s\\n' {ask().commands[0]}"], text=True)
    assert words.splitlines() == ["dvc", "exp", "apply", "a;b$(c)"]


def test_a_commit_is_named_after_its_branch_even_if_an_experiment_is_nearer(project, ask):
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


def test_a_model_that_only_the_workspace_names(project, ask):
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


def test_a_dvc_lock_with_a_conflict_is_no_answer(project, ask):
    project.commit_lock(project.md5)
    lock = Path("dvc.lock")
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> theirs\n")
    unknown = "not known: DVC did not write this dvc.lock; perhaps it has a merge conflict"
    answer = ask()
    assert "HEAD has it now: yes" in answer.lines
    assert f"dvc.lock here has it now: {unknown}" in answer.flat
    project.commit("too early")
    assert f"HEAD has it now: {unknown}" in ask().flat


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


def test_a_shallow_clone_is_reported(project, ask, monkeypatch):
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
