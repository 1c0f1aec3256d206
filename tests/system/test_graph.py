"""Which stages a change reruns. The expected stages never come from dvc.yaml, which is tested here: for parameters they
come from the table below, for code from its imports, for data from the files that each stage is seen to open.
"""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from PIL import Image

from segcore.provenance.differences import flatten
from tests.support.closure import expand, import_closure
from tests.support.idd_lite import CLASSES
from tests.support.workspace import ROOT, Workspace

STAGES = ("fetch", "preprocess", "describe", "train", "evaluate", "export", "render", "card")

# Each parameter and the stages that read it.
PARAMETERS = {
    "fetch.source": "fetch",
    "fetch.dataset": "fetch",
    "fetch.sha256": "fetch",
    "preprocess.height": "preprocess",
    "preprocess.width": "preprocess",
    "preprocess.validation": "preprocess card",
    "model.encoder_only": "train",
    "augment.flip": "train",
    "augment.shift": "train",
    "augment.scale_min": "train",
    "augment.scale_max": "train",
    "augment.brightness": "train",
    "augment.contrast": "train",
    "augment.saturation": "train",
    "train.init": "train",
    "train.seed": "train",
    "train.epochs": "train",
    "train.batch_size": "train",
    "train.optimizer": "train",
    "train.lr": "train",
    "train.weight_decay": "train",
    "train.schedule": "train",
    "train.class_weights": "train",
    "train.precision": "train",
    "train.validate_every": "train",
    "evaluate.flip": "evaluate",
    "export.precision": "export card",
    "render.frames": "render",
    "render.test_frames": "render",
}

# Each kind of file that stages read and write.
KINDS = (
    "data/random_start.yaml",
    "data/sample.tar.gz",
    "data/sets/idd_lite.yaml",
    "data/raw/dataset.json",
    "data/raw/leftImg8bit/train/*/*_image.jpg",
    "data/raw/leftImg8bit/val/*/*_image.jpg",
    "data/raw/leftImg8bit/test/*/*_image.jpg",
    "data/raw/gtFine/train/*/*_label.png",
    "data/raw/gtFine/val/*/*_label.png",
    "data/arrays/train_images.npy",
    "data/arrays/train_labels.npy",
    "data/arrays/val_images.npy",
    "data/arrays/val_labels.npy",
    "data/arrays/test_images.npy",
    "data/arrays/frames.csv",
    "data/arrays/stats.json",
    "data/native/leftImg8bit/val/*/*_image.jpg",
    "data/native/leftImg8bit/test/*/*_image.jpg",
    "data/native/gtFine/val/*/*_label.png",
    "data/report.html",
    "data/model/erfnet.safetensors",
    "data/model/erfnet.onnx",
    "data/predictions/val/*/*_label.png",
    "data/predictions/test/*/*_label.png",
    "data/renders/contact_sheet.png",
    "data/renders/val_*.png",
    "data/renders/test_*.png",
    "metrics/train.json",
    "metrics/curves.tsv",
    "metrics/evaluate.json",
    "metrics/confusion.json",
    "metrics/frames.csv",
    "metrics/calibration.csv",
    "metrics/export.json",
    "metrics/model-card.md",
)

DESCRIBED = ["fetch", "preprocess", "describe", "evaluate", "export", "render", "card"]

# Changes, and the stages that then run: those that read what was changed, and after them those whose inputs changed.
CHANGES = {
    "preprocess.width": (
        lambda workspace: workspace.set_parameter("preprocess.width", 48),
        ["preprocess", "describe", "train", "evaluate", "export", "render", "card"],
    ),
    "train.seed": (
        lambda workspace: workspace.set_parameter("train.seed", 2),
        ["train", "evaluate", "export", "render", "card"],
    ),
    # What is scored beside them changes no prediction.
    "evaluate.flip": (lambda workspace: workspace.set_parameter("evaluate.flip", False), ["evaluate", "card"]),
    # A comment changes neither the model nor the predictions, so nothing runs after them.
    "confusion.py": (
        lambda workspace: workspace.append("segcore/network/confusion.py"),
        ["train", "evaluate", "export"],
    ),
    # One more test frame leaves the arrays of train and val as they are.
    "sample.tar.gz": (
        lambda workspace: workspace.set_sample(test=3),
        ["fetch", "preprocess", "describe", "evaluate", "export", "render", "card"],
    ),
    "render.frames": (lambda workspace: workspace.set_parameter("render.frames", 2), ["render"]),
    # A change of the description reruns train only if it changes the names of the classes.
    "colour, licence, protocol": (
        lambda workspace: describe_anew(
            workspace,
            {"[128, 64, 128]": "[128, 64, 129]", "spdx: mit": "spdx: cc0-1.0", "width: 256": "width: 128"},
        ),
        DESCRIBED,
    ),
    "class": (lambda workspace: describe_anew(workspace, {"  far:": "  distant:"}), list(STAGES)),
    "drawing": (lambda workspace: workspace.append("segcore/drawing/pictures.py"), ["describe", "render"]),
}

CODE = sorted(path.relative_to(ROOT) for top in ("segcore", "stages") for path in (ROOT / top).rglob("*.py"))
PACKAGES = [str(path) for path in CODE if path.name == "__init__.py"]
MODULES = [str(path) for path in CODE if path.name != "__init__.py"]
CLOSURES = {stage: import_closure(ROOT / f"stages/{stage}.py") for stage in STAGES}
DEPS = {stage: entry["deps"] for stage, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()}


# The lists are complete


def test_the_list_of_stages_is_complete():
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert scripts == {*STAGES, "__init__"}
    assert list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]) == list(STAGES)


def test_the_table_of_parameters_is_complete():
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert {f"{section}.{leaf}" for section, leaves in sections.items() for leaf in leaves} == PARAMETERS.keys()


def test_the_list_of_file_kinds_is_complete(finished):
    names = files(finished)
    assert [kind for kind in KINDS if not any(fnmatch(name, kind) for name in names)] == []
    assert [name for name in names if not any(fnmatch(name, kind) for kind in KINDS)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_empty(package):
    # Stages import them, and none depends on them.
    assert (ROOT / package).read_bytes() == b""


# What dvc.yaml says


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_code_that_it_imports(stage):
    assert expand(DEPS[stage]) == CLOSURES[stage]


def test_code_is_named_by_folder_and_only_files_by_module():
    code = [dep for deps in DEPS.values() for dep in deps if dep.startswith(("segcore", "stages"))]
    assert len(code) <= 79
    for dep in code:
        assert (ROOT / dep).is_dir() or dep.startswith(("segcore/files/", "stages/")), dep


@pytest.mark.parametrize("stage", STAGES)
def test_stage_imports_nothing_else_when_it_runs(traces, stage):
    assert set(traces[stage].imported) <= CLOSURES[stage] | {*PACKAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_files_that_it_opens(finished, traces, stage):
    declared = {path for path in paths(finished, stage, "deps") if not path.startswith(("segcore/", "stages/"))}
    opened = [name for name in traces[stage].read if name != "params.yaml"]
    assert_same(declared, opened)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_the_outputs_that_it_writes(finished, traces, stage):
    assert_same(paths(finished, stage, "outs"), traces[stage].written)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_sections_that_it_reads(finished, traces, stage):
    declared = finished.lock()[stage].get("params", {}).get("params.yaml", {})
    assert set(flatten(declared)) == read_by(stage)
    assert ("params.yaml" in traces[stage].read) == bool(declared)


def test_stages_run_on_what_they_depend_on_alone(workspace, tmp_path):
    # With a hold-out, where a stage might want more than it does with the official frames.
    workspace.set_parameter("preprocess.validation", "holdout")
    workspace.remove_outputs()
    for stage in STAGES:
        alone = Workspace(tmp_path / stage / "workspace")
        for name in paths(workspace, stage, "deps") | {*PACKAGES}:
            workspace.give(name, alone)
        sections = {parameter.split(".")[0] for parameter in read_by(stage)}
        values = {section: workspace.parameters()[section] for section in sections}
        (alone.root / "params.yaml").write_text(yaml.safe_dump(values))
        alone.run("python", "-m", f"stages.{stage}")
        for name in paths(workspace, stage, "outs"):
            alone.give(name, workspace)


# What DVC makes of it


def test_nothing_is_stale_after_a_run(finished):
    assert finished.status() == set()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_stale_after_another_value(finished, parameter):
    section, leaf = parameter.split(".")
    value = finished.parameters()[section][leaf]
    with finished.restored("params.yaml"):
        finished.set_parameter(parameter, not value if isinstance(value, bool) else f"{value}0")
        assert finished.status() == set(PARAMETERS[parameter].split())


@pytest.mark.parametrize("module", MODULES)
def test_stale_after_other_code(finished, module):
    with finished.restored(module):
        finished.append(module)
        assert finished.status() == {stage for stage in STAGES if module in CLOSURES[stage]}


@pytest.mark.parametrize("kind", KINDS)
def test_stale_after_other_data(finished, traces, kind):
    used = {stage: traces[stage].read + traces[stage].written for stage in STAGES}
    users = {stage for stage in STAGES if any(fnmatch(name, kind) for name in used[stage])}
    [name, *_] = [name for name in files(finished) if fnmatch(name, kind)]
    with finished.restored(name):
        finished.append(name)
        assert finished.status() == users


def test_nothing_is_stale_after_other_tests(finished):
    with finished.restored("tests/system/test_graph.py"):
        finished.append("tests/system/test_graph.py")
        assert finished.status() == set()


def test_the_command_line_says_the_same(workspace):
    workspace.set_parameter("train.seed", 2)
    workspace.append("segcore/drawing/pictures.py")
    assert json.loads(workspace.dvc("status", "--json")).keys() == workspace.status() == {"train", "describe", "render"}


# What DVC runs


def test_a_second_repro_runs_nothing(finished):
    assert "Data and pipelines are up to date." in finished.dvc("repro")
    assert finished.git("status", "--porcelain") == ""


@pytest.fixture(scope="module")
def reruns(finished, tmp_path_factory) -> dict[str, Future]:
    """For each of the changes a workspace that has it, and the stages that ``dvc repro`` ran; two at a time."""

    def rerun(change: Callable[[Workspace], None], folder: Path) -> tuple[Workspace, list[str]]:
        workspace = finished.copy(folder / "workspace")
        change(workspace)
        return workspace, workspace.repro()

    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(rerun, CHANGES[name][0], tmp_path_factory.mktemp("rerun")) for name in CHANGES}


@pytest.mark.parametrize("change", CHANGES)
def test_repro_runs_what_a_change_affects(reruns, change):
    workspace, ran = reruns[change].result()
    assert ran == CHANGES[change][1]
    assert workspace.status() == set()


def test_going_back_restores_from_the_cache(workspace, finished):
    source = workspace.root / "data/idd-lite"
    shutil.copytree(workspace.root / "data/raw", source)
    workspace.set_parameter("fetch.source", "data/idd-lite")
    label = min(source.glob("gtFine/val/*/*_label.png"))
    with Image.open(label) as picture:
        Image.new("L", picture.size, CLASSES.index("sky")).save(label)
    assert workspace.repro() == list(STAGES)

    shutil.rmtree(source)
    workspace.git("checkout", "--quiet", "params.yaml")
    assert workspace.repro() == ["card"]  # which has an output that DVC does not cache
    assert workspace.outputs() == finished.outputs()
    assert workspace.git("status", "--porcelain") == ""


def assert_same(declared: set[str], used: list[str]) -> None:
    """Check that all that was used is declared, or below a declared folder, and that all that is declared was used."""
    covering = {name: {path for path in declared if Path(name).is_relative_to(path)} for name in used}
    assert [name for name, covers in covering.items() if not covers] == []
    assert declared - set().union(*covering.values()) == set()


def describe_anew(workspace: Workspace, changes: dict[str, str]) -> None:
    """Change the description of the data set."""
    path = workspace.root / "data/sets/idd_lite.yaml"
    text = path.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)


def read_by(stage: str) -> set[str]:
    """The parameters that a stage reads."""
    return {parameter for parameter, readers in PARAMETERS.items() if stage in readers.split()}


def paths(workspace: Workspace, stage: str, kind: str) -> set[str]:
    """The deps or outs of a stage of dvc.yaml, as DVC understood them."""
    return {entry["path"] for entry in workspace.lock()[stage][kind]}


def files(workspace: Workspace) -> list[str]:
    """The files that stages read and write."""
    given = ["data/random_start.yaml", "data/sample.tar.gz", "data/sets/idd_lite.yaml"]
    return sorted([*given, *workspace.outputs()])
