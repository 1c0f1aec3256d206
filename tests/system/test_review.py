"""The report on a change, with DVC run for real."""

import io
import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from segcore.files.scores import frame_scores, read_counts
from tests.support.page import Page
from tests.support.workspace import ROOT, Workspace

PLOTS = {"learning rate", "validation mIoU", "metrics/curves.tsv", "metrics/confusion.json", "metrics/frames.csv"}


@pytest.fixture(scope="module")
def changed(finished, tmp_path_factory) -> Workspace:
    """A workspace with different class weights and their results, not committed."""
    workspace = finished.copy(tmp_path_factory.mktemp("changed") / "workspace")
    workspace.set_parameter("train.class_weights", "none")
    workspace.set_parameter("train.lr", 0.01)
    workspace.repro()
    return workspace


@pytest.fixture
def clone(changed, tmp_path) -> Workspace:
    """A clone of it with its metrics, but without data and cache."""
    changed.run("git", "clone", "--quiet", str(changed.root), str(tmp_path / "clone"))
    shutil.copytree(changed.root / "metrics", tmp_path / "clone/metrics", dirs_exist_ok=True)
    return Workspace(tmp_path / "clone")


def review(workspace: Workspace, *arguments: str) -> tuple[str, Page]:
    workspace.run("python", "-m", "segcore", "review", *arguments)
    folder = workspace.root / "review"
    return (folder / "report.md").read_text(), Page((folder / "report.html").read_text())


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_report_has_parameters_verdicts_metrics_curves_and_frames(changed):
    text, page = review(changed)
    assert "Up to date" in text
    assert ["params.yaml", "train.class_weights", "inverse_log", "none"] in rows(text)
    assert any(row[0] == "mIoU" and row[-1] == "–" for row in rows(text))
    assert any(row[:2] == ["metrics/evaluate.json", "miou"] for row in rows(text))
    assert ["train.class_weights", "inverse_log", "none"] in [row[1:] for row in page.rows]
    assert [row for row in page.rows if row[:2] == ["metrics/evaluate.json", "miou"]]
    assert page.pictures.keys() > PLOTS
    table = changed.root / "metrics/frames.csv"
    drive, frame = frame_scores(read_counts(table.read_bytes(), str(table))).idxmin()
    worst = [name for name in page.pictures if name.startswith("Worst frames: ")]
    assert worst[0] == f"Worst frames: {drive}/{frame}"
    assert any(name.startswith("Frames that changed most: ") for name in page.pictures)
    for name, (kind, content) in page.pictures.items():
        if name in PLOTS:
            assert kind == "svg+xml"
            assert "workspace" in content.decode()
        else:
            assert kind == "png"
            assert Image.open(io.BytesIO(content)).width > 4 * 300


def test_the_frames_in_the_table_link_to_their_pictures(changed):
    review(changed)
    page = (changed.root / "review/report.html").read_text()
    links = re.findall(r'<td><a href="#([^"]*)">([^<]*)</a></td>', page)
    assert links
    for anchor, name in links:
        assert page.count(f'<img id="{anchor}" alt="Frames that changed most: {name}" src="data:') == 1


def test_a_plot_that_cannot_be_drawn_is_named(clone):
    (clone.root / "metrics/confusion.json").write_text("{")
    _, page = review(clone, "HEAD")
    assert "metrics/confusion.json of workspace cannot be drawn" in page.text


def test_the_page_needs_no_other_file_and_no_network(changed):
    _, page = review(changed)
    assert page.references
    assert page.is_whole()
    for kind, content in page.pictures.values():
        if kind == "svg+xml":
            inside = Page(content.decode())
            assert [reference for reference in inside.references if not reference.startswith(("#", "data:"))] == []


def test_without_pictures_it_has_no_frame(changed):
    _, page = review(changed, "--without-pictures")
    assert page.pictures.keys() == PLOTS


def test_it_says_that_nothing_changed(workspace):
    text, page = review(workspace, "HEAD")
    assert text.count("No change.") == 2
    worst = {name for name in page.pictures if name.startswith("Worst frames: ")}
    assert worst
    assert page.pictures.keys() == PLOTS | worst
    assert "None." in page.text


def test_without_data_the_report_has_what_git_has(clone):
    text, page = review(clone, "HEAD")
    assert "Out of date:\n\n- train: metrics/train.json modified\n" in text
    assert any(row[0] == "all frames" for row in rows(text))
    assert page.pictures.keys() == PLOTS
    assert "No more frames are here." in page.text


def test_results_that_cannot_be_compared_have_a_report_too(clone):
    table = clone.root / "metrics/frames.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:8]))
    text, page = review(clone, "HEAD")
    assert "Not known: HEAD and the workspace are scored on different frames" in text
    assert page.pictures.keys() == PLOTS
    assert "No frames: HEAD and the workspace are scored on different frames" in page.text


def test_make_review_passes_base_and_pictures_on(tmp_path):
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv/installed").touch()

    def make(*settings, **environment):
        command = ["make", "--silent", "--file", str(ROOT / "Makefile"), "review", *settings]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"} | environment
        )

    command = ["-m", "segcore", "review"]
    assert make().stdout.splitlines() == [*command, "--"]
    name = """a 'b' "c" $(d) `e` $f --g"""
    said = make(f"BASE={name}", "PICTURES=no").stdout.splitlines()
    assert said == [*command, "--without-pictures", "--", name]
    assert make(BASE="of something else", PICTURES="no").stdout.splitlines() == [*command, "--"]
    refused = make("PICTURES=false")
    assert (refused.returncode != 0, refused.stdout) == (True, "")
    assert "PICTURES is false: yes or no" in refused.stderr


def test_experiments_have_names_and_seeds_too(workspace):
    workspace.dvc("exp", "run", "--name=second", "--set-param=train.seed=2")
    said = workspace.run("python", "-m", "segcore", "compare", "HEAD", "second")
    refs = workspace.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    [second] = [ref for ref in refs if ref.endswith("/second")]
    first, second = (
        json.loads(workspace.git("show", f"{commit}:metrics/evaluate.json"))["miou"] for commit in ("HEAD", second)
    )
    assert said.startswith("HEAD → second: 2 frames of ")
    assert f"(1: {first:.4f}, 2: {second:.4f})" in said
