"""The workflow gives no code of a pull request a token that writes, and no frame to anybody."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.making import program
from tests.support.running import git
from tests.support.workspace import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def steps(job: str, action: str = "") -> list[dict]:
    return [step for step in WORKFLOW["jobs"][job]["steps"] if step.get("uses", "").startswith(action)]


def test_only_the_comment_may_write_and_it_has_no_code_of_the_pull_request():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in WORKFLOW["jobs"].items() if "permissions" in job] == ["comment"]
    [checkout] = steps("comment", "actions/checkout")
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_no_token_is_left_to_the_code():
    for job in WORKFLOW["jobs"]:
        assert [step["with"]["persist-credentials"] for step in steps(job, "actions/checkout")] == [False]


def test_what_is_uploaded_has_no_frame():
    uploads = [step for job in WORKFLOW["jobs"] for step in steps(job, "actions/upload-artifact")]
    assert [step["with"]["path"] for step in uploads] == ["review"]
    made = [step["run"] for step in WORKFLOW["jobs"]["review"]["steps"] if "make review" in step.get("run", "")]
    assert made
    assert all("PICTURES=no" in run for run in made)


def test_no_value_of_a_pull_request_is_text_of_a_script():
    scripts = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_a_step_has_a_token_only_where_no_code_of_the_pull_request_runs():
    having = {job: [n for n, step in enumerate(steps(job)) if "token" in str(step)] for job in WORKFLOW["jobs"]}
    [fetch] = having.pop("review")
    assert [step for step in steps("review")[: fetch + 1] if "make" in step.get("run", "")] == []
    assert [job for job in having if having[job]] == ["comment"]


def test_what_pip_caches_depends_on_both_locks():
    pattern = {
        step["with"]["cache-dependency-path"] for job in WORKFLOW["jobs"] for step in steps(job, "actions/setup")
    }
    assert [path.name for path in sorted(ROOT.glob(*pattern))] == ["requirements-remotes.lock", "requirements.lock"]


@pytest.fixture
def team(own_git) -> str:
    """The working folder is a clone; returns the name of an experiment that only the repository cloned from has."""
    git("init", "--initial-branch=main", "../team")
    git("-C", "../team", "commit", "--allow-empty", "--message=first")
    git("clone", "../team", ".")
    return "refs/exps/ab/cdef/longer"


def script(has: str) -> dict:
    [step] = [step for step in steps("review") if has in step.get("run", "")]
    return step


def run(step: dict, **environment: str) -> list[str]:
    """Run a step as GitHub does, with a make that prints its arguments, and return what it prints."""
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()


def test_the_review_fetches_experiments_where_there_are_any(team):
    fetch = script("fetch origin")
    run(fetch, PATH="/usr/bin:/bin")
    assert git("for-each-ref", "refs/exps") == ""
    git("-C", "../team", "update-ref", team, "main")
    run(fetch, PATH="/usr/bin:/bin")
    run(fetch, PATH="/usr/bin:/bin")
    assert git("for-each-ref", "--format=%(refname)", "refs/exps").split() == [team]


def test_a_margin_of_the_repository_switches_the_gate_on(team):
    program("bin/make", '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    Path("review").mkdir()
    Path("review/report.md").touch()
    settings = {"PATH": f"{Path('bin').resolve()}:/usr/bin:/bin", "GITHUB_BASE_REF": "main"}
    base = "BASE=" + git("rev-parse", "main").strip()
    review, gate = script("make review"), script("make gate")
    summary = str(Path("summary").resolve())
    assert run(review, MARGIN="", GITHUB_STEP_SUMMARY=summary, **settings) == ["review", base, "PICTURES=no"]
    margin = ["MARGIN=0.005"]
    assert run(review, MARGIN="0.005", GITHUB_STEP_SUMMARY=summary, **settings)[-1:] == margin
    assert run(gate, MARGIN="0.005", **settings) == ["gate", base, *margin]
    assert gate["if"] == "vars.MARGIN != ''"
    assert review["env"] == gate["env"] == {"MARGIN": "${{ vars.MARGIN }}"}
