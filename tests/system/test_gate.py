"""Whether dvc.lock was made from the code: asked with DVC run for real, of HEAD and of the workspace."""

import re
import shutil
import subprocess

import pytest
import yaml

from segcore.review.gate import check
from segcore.runtime.errors import UserError
from tests.support.running import assert_fails
from tests.support.workspace import Workspace, stages_run

pytestmark = pytest.mark.system


@pytest.fixture
def clone(finished, tmp_path) -> Workspace:
    """A clone of the finished workspace, without data and cache."""
    return finished.clone(tmp_path / "clone")


def gate(workspace: Workspace, *options: str) -> str:
    """Return what `python -m segcore gate` says, asked for in this process because that takes a third of the time."""
    with workspace.entered():
        try:
            return check("--workspace" in options)
        except UserError as error:
            return f"error: {error}"


def passes(workspace: Workspace, *options: str) -> bool:
    return gate(workspace, *options) == f"dvc.lock of {'the workspace' if options else 'HEAD'} is up to date"


def differences(said: str) -> list[str]:
    """Return the lines between the first, which says that dvc.lock is out of date, and the advice."""
    first, *lines, _ = said.splitlines()
    assert first in [f"error: dvc.lock of {where} is out of date:" for where in ("HEAD", "the workspace")]
    return [line.removeprefix("  ") for line in lines]


def other_model(stage: str, kind: str):
    """Return a function that lets dvc.lock name a different model as what the stage read or made."""

    def change(clone: Workspace) -> None:
        lock = yaml.safe_load((clone.root / "dvc.lock").read_text())
        [model] = [file for file in lock["stages"][stage][kind] if file["path"].endswith(".safetensors")]
        model["md5"] = "0" * 32
        (clone.root / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))

    return change


def replace(name: str, old: str, new: str):
    """Return a function that replaces a text in a file, where it is for the first time."""

    def change(clone: Workspace) -> None:
        text = (clone.root / name).read_text()
        assert old in text
        (clone.root / name).write_text(text.replace(old, new, 1))

    return change


MODEL = "data/model/erfnet.safetensors differs from the version that train recorded"


def test_it_passes_if_dvc_lock_is_up_to_date(finished, clone):
    for place in (finished, clone):
        assert passes(place)
        assert passes(place, "--workspace")


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda clone: clone.set_parameter("evaluate.flip", False), ["evaluate: params.yaml evaluate modified"]),
        (lambda clone: clone.append("segcore/train/loss.py"), ["train: segcore/train modified"]),
        (lambda clone: (clone.root / "segcore/train/loss.py").unlink(), ["train: segcore/train modified"]),
        (lambda clone: shutil.rmtree(clone.root / "segcore/card"), ["card: segcore/card missing"]),
        (
            lambda clone: (clone.root / "metrics/evaluate.json").write_text("{}"),
            ["evaluate: metrics/evaluate.json modified", "card: metrics/evaluate.json modified"],
        ),
        (
            lambda clone: (clone.root / "metrics/evaluate.json").unlink(),
            ["evaluate: metrics/evaluate.json missing", "card: metrics/evaluate.json missing"],
        ),
        (lambda clone: clone.append("metrics/model-card.md"), ["card: metrics/model-card.md modified"]),
        (replace("dvc.yaml", "python -m stages.render", "python -m stages.render -v"), ["render: changed command"]),
        (
            replace("dvc.yaml", "outs: [data/raw]", "outs: [data/raw, data/more]"),
            ["fetch: data/more is not in dvc.lock"],
        ),
        (lambda clone: (clone.root / "dvc.yaml").unlink(), ["dvc.yaml is missing"]),
        (lambda clone: (clone.root / "dvc.lock").unlink(), ["dvc.lock is missing"]),
        (other_model("train", "outs"), [f"evaluate: {MODEL}", f"export: {MODEL}", f"card: {MODEL}"]),
        (other_model("evaluate", "deps"), [f"evaluate: {MODEL}"]),
    ],
)
def test_it_fails_by_exactly_what_differs_from_dvc_lock(clone, change, lines):
    change(clone)
    before = clone.git("status", "--porcelain"), clone.git("diff")
    assert differences(gate(clone, "--workspace")) == lines
    assert "dvc.lock of HEAD is up to date" in gate(clone)
    assert (clone.git("status", "--porcelain"), clone.git("diff")) == before
    clone.commit("the change")
    assert differences(gate(clone)) == lines


def test_an_uncommitted_dvc_lock_is_not_enough(workspace, tmp_path):
    workspace.set_parameter("evaluate.flip", False)
    workspace.git("commit", "--quiet", "--all", "--message=parameters")
    workspace.repro()
    assert passes(workspace, "--workspace")
    said = gate(workspace)
    assert differences(said) == ["evaluate: params.yaml evaluate modified"]
    assert "dvc.lock here differs from HEAD's: perhaps you only have to commit it, with metrics/" in said
    assert differences(gate(workspace.clone(tmp_path / "clone"))) == ["evaluate: params.yaml evaluate modified"]
    workspace.commit("results")
    assert passes(workspace)


def test_a_comment_in_dvc_lock_does_not_matter(clone):
    clone.append("dvc.lock", "# a comment\n")
    assert passes(clone, "--workspace")
    clone.commit("a comment")
    assert passes(clone)


@pytest.fixture(scope="module")
def other_source(finished, tmp_path_factory) -> Workspace:
    """A workspace whose source is a folder that DVC has, with the results committed."""
    workspace = finished.copy(tmp_path_factory.mktemp("source") / "workspace")
    (workspace.root / "data/raw").rename(workspace.root / "data/frames")
    workspace.dvc("add", "data/frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=data/frames")
    workspace.commit("other frames")
    return workspace


def test_it_passes_if_the_source_is_data_that_git_does_not_have(other_source, tmp_path):
    clone = other_source.clone(tmp_path / "without")
    assert passes(clone)
    assert passes(clone, "--workspace")


def test_a_source_outside_of_the_folder_may_be_missing(other_source, tmp_path):
    workspace = other_source.copy(tmp_path / "workspace")
    shutil.copytree(workspace.root / "data/frames", tmp_path / "frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=../frames")
    workspace.commit("frames from elsewhere")
    (tmp_path / "other").mkdir()
    clone = workspace.clone(tmp_path / "other/clone")
    assert passes(clone)
    assert passes(clone, "--workspace")
    min((workspace.root.parent / "frames").rglob("*.jpg")).unlink()
    assert passes(workspace)  # a commit says the same everywhere
    [line] = differences(gate(workspace, "--workspace"))
    assert line.startswith("fetch: ")
    assert line.endswith("/frames modified")


def test_it_fails_if_git_has_different_data_than_the_run(other_source, tmp_path):
    workspace = other_source.copy(tmp_path / "workspace")
    min((workspace.root / "data/frames").rglob("*.jpg")).unlink()
    workspace.dvc("add", "data/frames")
    workspace.commit("fewer frames, and the results of all")
    clone = workspace.clone(tmp_path / "without")
    for options in ((), ("--workspace",)):
        assert differences(gate(clone, *options)) == [
            "fetch: data/frames differs from the version that data/frames.dvc recorded"
        ]


def test_it_says_what_to_do_about_data_of_a_different_commit(workspace):
    model = workspace.root / "data/model/erfnet.safetensors"
    model.unlink()
    model.write_bytes(b"another")
    shutil.rmtree(workspace.root / ".dvc/cache")
    said = gate(workspace, "--workspace")
    assert "train: data/model/erfnet.safetensors modified" in differences(said)
    assert "of a different commit, run `dvc checkout`" in said
    assert passes(workspace)


def test_the_command_leaves_nothing_behind(clone, tmp_path):
    def files() -> dict[str, bytes]:
        paths = (path for path in clone.root.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path): path.read_bytes() for path in paths}

    def run() -> tuple[int, str, str]:
        environment = clone.environment | {"TMPDIR": str(temporary)}
        command = ("python", "-m", "segcore", "gate")
        done = subprocess.run(command, cwd=clone.root, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr.partition("\n")[0]

    before = files()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert run() == (0, "dvc.lock of HEAD is up to date\n", "")
    assert files() == before
    assert list(temporary.iterdir()) == []
    clone.append("segcore/train/loss.py")
    clone.commit("a comment")
    assert run() == (1, "", "error: dvc.lock of HEAD is out of date:")


def test_the_project_may_be_a_folder_of_a_repository(clone, tmp_path):
    shutil.rmtree(clone.root / ".git")
    (tmp_path / "whole").mkdir()
    shutil.move(clone.root, tmp_path / "whole/project")
    whole, project = Workspace(tmp_path / "whole"), Workspace(tmp_path / "whole/project")
    whole.git("init", "--quiet")
    whole.sign()
    whole.commit("all")
    assert passes(project)
    assert passes(project, "--workspace")
    project.append("segcore/train/loss.py")
    assert passes(project)
    whole.commit("a comment")
    assert differences(gate(project)) == ["train: segcore/train modified"]


def test_a_clone_may_lack_commits_and_files(finished, tmp_path):
    assert passes(finished.clone(tmp_path / "shallow", "--depth=1"))
    finished.git("clone", "--quiet", "--bare", ".", str(tmp_path / "server"))
    server = Workspace(tmp_path / "server")
    server.git("config", "uploadpack.allowFilter", "true")
    clone = server.clone(tmp_path / "partial", "--filter=blob:none", "--no-checkout")
    clone.git("sparse-checkout", "set", ".dvc", "segcore")
    clone.git("checkout", "--quiet")
    assert not (clone.root / "metrics").exists()
    assert "?" in clone.git("rev-list", "--objects", "--missing=print", "HEAD")
    assert passes(clone)


@pytest.mark.parametrize(
    ("name", "content"),
    [("dvc.lock", b"[]"), ("dvc.lock", b"\0"), ("dvc.lock", b"stages: {fetch: 1}"), (".dvcignore", b"\xff")],
)
def test_content_that_dvc_does_not_expect_is_an_error(clone, name, content):
    (clone.root / name).write_bytes(content)
    assert gate(clone, "--workspace").startswith("error: DVC says: ")
    clone.commit("damaged")
    assert gate(clone).startswith("error: DVC says: ")


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", ".dvc/config"])
def test_files_that_dvc_cannot_read_are_named(clone, name):
    clone.append(name, "[\n")
    assert name in gate(clone, "--workspace")
    assert passes(clone)
    clone.commit("damaged")
    assert name in gate(clone)


@pytest.fixture(scope="module")
def conflicted(finished, tmp_path_factory) -> Workspace:
    """A workspace in the middle of a merge: both sides have other parameters of train, and their results."""
    workspace = finished.copy(tmp_path_factory.mktemp("conflicted") / "workspace")
    # Values that make params.yaml longer: git may not notice a change of the same length in the same second.
    for branch, parameter, value in (("theirs", "train.lr", 0.0125), ("ours", "augment.contrast", 0.5625)):
        workspace.git("checkout", "--quiet", "-b", branch, "main")
        workspace.dvc("checkout")
        workspace.set_parameter(parameter, value)
        workspace.repro()
        workspace.commit(branch)
    assert workspace.attempt("git", "merge", "theirs").returncode == 1
    assert {"dvc.lock", "metrics/evaluate.json"} <= {*workspace.git("diff", "--name-only", "--diff-filter=U").split()}
    return workspace


@pytest.mark.parametrize(("parameters", "trains"), [("both", True), ("ours", False), ("theirs", False)])
def test_the_way_out_of_a_merge_conflict(conflicted, tmp_path, parameters, trains):
    """Parameters of both sides are new, so they are trained; those of one side ran before, and are restored."""
    workspace = conflicted.copy(tmp_path / "workspace")
    if parameters != "both":
        workspace.git("checkout", parameters, "--", "params.yaml")
    said = gate(workspace, "--workspace")
    assert said.startswith("error: dvc.lock has a merge conflict: ")
    assert "up to date; dvc.lock has a merge conflict" in gate(workspace)
    remake, commit = re.findall("`(.*?)`", said)
    assert ("train" in stages_run(workspace.run("bash", "-c", remake))) == trains
    workspace.run("bash", "-c", f"{commit} --message=merged")
    assert passes(workspace)
    assert passes(workspace, "--workspace")


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock"])
def test_a_conflict_is_named_also_when_committed(clone, name):
    path = clone.root / name
    path.write_text("<<<<<<< HEAD\n" + path.read_text() + "=======\n>>>>>>> theirs\n")
    assert gate(clone, "--workspace").startswith(f"error: {name} has a merge conflict: ")
    clone.commit("too early")
    assert gate(clone).startswith(f"error: {name} has a merge conflict: ")


def test_a_remote_that_cannot_be_used_does_not_matter(clone):
    for url in ("oss://bucket/path", "http://127.0.0.1:9/path", "/proc/1/root/nothing"):
        clone.dvc("remote", "add", "--force", "--default", "team", url)
        assert passes(clone, "--workspace")
        clone.commit(url)
        assert passes(clone)


@pytest.mark.parametrize("arguments", [("main",), ("--margin=0.01",), ("--workspace", "--margin=0.005")])
def test_what_belongs_to_not_worse_needs_it(arguments, finished):
    said = command(finished, *arguments)
    assert_fails(said, "error: BASE and --margin need --not-worse; with make, give MARGIN=0.005, too")


@pytest.mark.parametrize("margin", ["-0.1", "1.5", "five"])
def test_a_margin_that_is_no_share_is_refused(margin, finished):
    assert command(finished, "--not-worse", f"--margin={margin}").returncode == 2


def test_it_fails_if_the_result_may_be_worse(workspace):
    said = command(workspace, "--not-worse", "HEAD")
    assert said.stdout.endswith("not worse, with the same metrics/frames.csv\n")
    workspace.set_parameter("train.lr", 0.0125)
    workspace.repro()
    said = command(workspace, "--workspace", "--not-worse", "HEAD")
    assert said.returncode == 1
    assert said.stdout == "dvc.lock of the workspace is up to date\n"
    assert re.fullmatch(r"error: HEAD → the workspace: mIoU .* may be worse, as fewer than 10 drives .*\n", said.stderr)
    assert command(workspace, "--not-worse", "HEAD").returncode == 0  # HEAD did not change
    workspace.git("commit", "--quiet", "--message=parameters", "--", "params.yaml")
    said = command(workspace, "--not-worse", "HEAD~1")
    assert "dvc.lock of HEAD is out of date" in said.stderr  # before anything is compared


def command(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m segcore gate`."""
    return workspace.attempt("python", "-m", "segcore", "gate", *arguments)
