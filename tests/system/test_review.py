"""The report on a change, with DVC run for real."""

import io
import json
import re

import pytest
from PIL import Image

from segcore.files.scores import frame_scores, read_counts
from tests.support.page import Page, browse
from tests.support.running import assert_fails
from tests.support.workspace import Workspace

PLOTS = {"learning rate", "validation mIoU", "loss"} | {  # by their titles in dvc.yaml
    "share of each true class, by prediction",
    "IoU per class",
    "accuracy by confidence",
}


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
    clone = changed.clone(tmp_path / "clone")
    changed.give("metrics", clone)
    return clone


def review(workspace: Workspace, *arguments: str) -> tuple[str, Page]:
    workspace.run("python", "-m", "segcore", "review", *arguments)
    folder = workspace.root / "review"
    return (folder / "report.md").read_text(), Page((folder / "report.html").read_text())


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_report_has_parameters_verdicts_metrics_curves_and_frames(changed):
    text, page = review(changed)
    assert "Up to date" in text
    assert ["train.class_weights", "inverse_log", "none", "params.yaml"] in rows(text)
    assert any(row[0] == "mIoU" and row[-2:] == ["–", "–"] for row in rows(text))
    assert any(row[0] == "miou" and row[-1] == "metrics/evaluate.json" for row in rows(text))
    assert ["train.class_weights", "inverse_log", "none", "params.yaml"] in page.rows
    assert [row for row in page.rows if row[0] == "miou" and row[-1] == "metrics/evaluate.json"]
    assert page.pictures.keys() > PLOTS
    assert not re.findall("cannot be|has no points", text + page.text)
    table = changed.root / "metrics/frames.csv"
    drive, frame = frame_scores(read_counts(table.read_bytes(), str(table))).idxmin()
    worst = [name for name in page.pictures if name.startswith("Worst frames: ")]
    assert worst[0] == f"Worst frames: {drive}/{frame}"
    assert any(name.startswith("Frames that became worse or better: ") for name in page.pictures)
    for name, (kind, content) in page.pictures.items():
        if name in PLOTS:
            assert kind == "svg+xml"
            assert "workspace" in content.decode()
        else:
            assert Image.open(io.BytesIO(content)).size == (320, 227)


def test_the_frames_in_the_table_link_to_their_pictures(changed):
    review(changed)
    page = (changed.root / "review/report.html").read_text()
    links = re.findall(r'<th scope="row"><a href="#([^"]*)">([^<]*)</a></th>', page)
    assert links
    for anchor, name in links:
        [figure] = re.findall(f'<figure class="swipe" id="{anchor}">(.*?)</figure>', page, re.DOTALL)
        assert f'alt="Frames that became worse or better: {name}" src="data:' in figure


def test_a_frame_swipes_between_before_and_after(changed):
    review(changed)
    swipe = "r = document.querySelector('#changed-1 input'); r.value = 20; r.dispatchEvent(new Event('input'));"
    show = (
        "document.querySelector('#changed-1 [value=errors]').click();"
        "for (const image of document.querySelectorAll('#changed-1 img'))"
        "  image.title = getComputedStyle(image).visibility + ' ' + getComputedStyle(image).clipPath;"
    )
    page = browse(changed.root / "review/report.html", swipe + show)
    [figure] = re.findall('<figure class="swipe" id="changed-1">(.*?)</figure>', page, re.DOTALL)
    shown = dict(re.findall('<img class="([^"]*)"[^>]* title="([^"]*)"', figure))
    visible = {kind for kind, how in shown.items() if how.startswith("visible")}
    assert visible == {"frame", "before errors", "after errors"}
    assert shown["before errors"] == "visible inset(0px 80% 0px 0px)"
    assert shown["after errors"] == "visible inset(0px 0px 0px 20%)"


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
    assert {name for name in page.pictures if ": " not in name} == PLOTS
    assert not any(name.startswith("Frames that became worse or better") for name in page.pictures)
    assert "None." in page.text


def test_without_data_the_report_has_what_git_has(clone):
    text, page = review(clone, "HEAD")
    assert re.search(
        r"Out of date: \d+ differences?</summary>\n\n(- .*\n)*- train: metrics/train.json modified\n", text
    )
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


def commit_damaged(workspace: Workspace, name: str) -> None:
    """Commit a file with content that cannot be read, and leave it as it was in the workspace."""
    with workspace.restored(name):
        (workspace.root / name).write_text("{")
        workspace.git("commit", "--quiet", "--message=damaged", "--", name)


def test_metrics_that_cannot_be_read_are_named_and_not_taken_for_removed(clone):
    (clone.root / "metrics/evaluate.json").write_text("{")
    commit_damaged(clone, "metrics/train.json")
    text, page = review(clone, "HEAD")
    for report in (text, page.text):
        assert "metrics/evaluate.json of workspace cannot be read: " in report
        assert "metrics/train.json of HEAD cannot be read: " in report
        assert "No change." not in report.rpartition("Better or worse")[2]
        assert "../" not in report
    damaged = ("metrics/evaluate.json", "metrics/train.json")
    assert [row for row in rows(text) + page.rows if len(row) > 1 and row[-1] in damaged] == []


def test_a_commit_that_dvc_cannot_read_is_named(clone):
    commit_damaged(clone, "dvc.yaml")
    text, page = review(clone, "HEAD")
    for report in (text, page.text):
        assert "The params of HEAD cannot be read: " in report
        assert "The metrics of HEAD cannot be read: " in report
        assert "No change." not in report
    assert "Every plot of HEAD cannot be drawn: " in page.text
    assert any(row[0] == "all frames" for row in rows(text))  # which needs no DVC


def test_plots_without_points_are_named(clone):
    (clone.root / "metrics/curves.tsv").write_text("")
    _, page = review(clone, "HEAD")
    for plot in ("metrics/curves.tsv", "learning rate", "validation mIoU"):
        assert f"{plot} of workspace has no points." in page.text


@pytest.mark.parametrize("url", ["oss://bucket/path", "http://127.0.0.1:9/path", "/proc/1/root/nothing"])
def test_a_remote_that_cannot_be_used_is_no_reason_to_fail(clone, url):
    clone.dvc("remote", "add", "--default", "team", url)
    text, page = review(clone, "HEAD")
    assert any(row[0] == "miou" and row[-1] == "metrics/evaluate.json" for row in rows(text))
    assert "No more frames are here." in page.text
    assert ("Every plot of workspace cannot be drawn: " in page.text) == url.startswith("oss")
    assert ("pip install 'dvc[oss]'" in page.text) == url.startswith("oss")


def test_a_configuration_that_dvc_cannot_read_is_an_error(clone):
    clone.append(".dvc/config", "[\n")
    done = clone.attempt("python", "-m", "segcore", "review", "HEAD")
    assert_fails(done, "error: DVC says: config file error: ")
    assert not (clone.root / "review").exists()


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
