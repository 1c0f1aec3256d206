"""The commands in the README, the tutorial and the page on experiments, run from the pages' own text on few frames."""

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from segcore.files.dataset import read_dataset
from tests.support import tiny
from tests.support.making import PROJECT, build
from tests.support.running import wait_until
from tests.support.workspace import ROOT, Workspace, stages_run

README, TUTORIAL, EXPERIMENTS = (
    (ROOT / name).read_text() for name in ("README.md", "docs/tutorial.md", "docs/experiments.md")
)
PAGES = {"README": README, "tutorial": TUTORIAL, "experiments": EXPERIMENTS}
# What these tests do not run, and why.
NOT_RUN = {
    "make test": "tests do not run themselves",
    "make check": "tests do not run themselves",
    "make data URL='https://…'": "needs a server; tests/project/test_make.py has what it passes on",
    "dvc exp run --temp": "tests/system/test_experiments.py runs it",
}
# In place of what the pages have.
HERE = {
    "train.epochs=60": "train.epochs=1",
    "train.epochs=200": "train.epochs=30",
    'dvc exp run -S fetch.source="$HOME': 'dvc exp run preprocess -S fetch.source="$HOME',  # without training
    "preprocess.height=512": "preprocess.height=16",
    "preprocess.width=1024": "preprocess.width=32",
    "range(1,6)": "range(2,4)",
    "MARGIN=0.01": "MARGIN=1",
}


def blocks(page: str) -> dict[str, list[str]]:
    """Return the blocks of shell lines below each heading that has some."""
    sections = re.findall(r"^##? ([^\n]+)\n(.*?)(?=^##? |\Z)", page, re.MULTILINE | re.DOTALL)
    found = {heading: re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for heading, text in sections}
    return {heading: each for heading, each in found.items() if each}


def commands(text: str) -> list[str]:
    """Return the commands in the prose of a page."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`((?:make|dvc|git|python|source) [^`]+)`", prose)


class Person:
    """Somebody with a home, in which lines of a page are run in a clone of the project."""

    def __init__(self, home: Path) -> None:
        self.workspace = Workspace(home / "erfnet")
        self.said: dict[str, str] = {}
        name = {f"GIT_{role}_{key}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        self.workspace.environment |= name | {"HOME": str(home), "PYTHON": build(home / "python")}

    def run(self, text: str, here: dict[str, str] | None = None) -> tuple[int, str]:
        """Run lines until one fails, in the clone or, before it is there, beside it.

        ``here`` replaces more than :data:`HERE`. Returns the exit code and the output.
        """
        for there, instead in (HERE | (here or {})).items():
            text = text.replace(there, instead)
        root = self.workspace.root
        with (root.parent / "said").open("w+") as said:  # a file, because a worker would keep a pipe open
            done = subprocess.run(
                ["bash", "-ec", text],
                cwd=root if root.exists() else root.parent,
                env=self.workspace.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=400,
            )
        return done.returncode, (root.parent / "said").read_text()

    def do(self, text: str, here: dict[str, str] | None = None) -> str:
        """Run lines that have to succeed, and return the output."""
        code, said = self.run(text, here)
        assert code == 0, f"{text}\n{said}"
        return said

    def ask(self, text: str, here: dict[str, str] | None = None) -> str | None:
        """Run lines, and return the output, or ``None`` if one fails."""
        code, said = self.run(text, here)
        return said if code == 0 else None

    def follow(self, page: str, *headings: str, here: dict[str, str] | None = None) -> None:
        """Run the blocks below these headings, but for what is not run."""
        for heading in headings:
            text = "".join(blocks(page)[heading])
            for command in NOT_RUN:
                text = re.sub(f"^{re.escape(command)} .*$", "", text, flags=re.MULTILINE)
            self.said[heading] = self.do(text, here)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_command_in_prose_is_in_a_block_or_is_not_run_for_a_reason(page):
    run = "".join(block for page in PAGES.values() for each in blocks(page).values() for block in each)
    assert [command for command in commands(page) if command not in run and command not in NOT_RUN] == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_block_is_of_a_kind_that_is_known(page):
    """So that no commands hide in a block that is not run."""
    fences = re.findall("^ *```.*", page, re.MULTILINE)
    assert {fence.strip() for fence in fences[::2]} <= {"```sh", "```text", "```mermaid"}
    assert {fence.strip() for fence in fences[1::2]} == {"```"}


def test_what_is_replaced_or_not_run_is_there():
    text = "".join(PAGES.values())
    assert [there for there in [*HERE, *NOT_RUN] if there not in text] == []


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Person:
    """Somebody who has followed the tutorial up to the first results."""
    root = tmp_path_factory.mktemp("pages")
    origin = Workspace.create(root / "origin/erfnet.git")
    origin.set_sample(val=12)
    origin.set_parameter("export.precision", "fp32")  # takes half the time
    origin.set_parameter("train.batch_size", 6)  # the tutorial tries 2, which gives three times as many steps
    origin.set_parameter("train.epochs", 6)
    for name in PROJECT:
        (origin.root / name).write_bytes((ROOT / name).read_bytes())
    origin.commit("project")
    (root / "home").mkdir()
    person = Person(root / "home")
    address = {"https://github.com/team/erfnet.git": f"file://{origin.root}"}
    person.follow(TUTORIAL, "Run it", "Look at it", here=address)
    return person


@pytest.fixture(scope="module")
def copied(started, tmp_path_factory):
    """A function that returns somebody else who has come as far."""

    def copied() -> Person:
        home = tmp_path_factory.mktemp("home")
        started.workspace.copy(home / "erfnet")
        return Person(home)

    return copied


@pytest.fixture(scope="module")
def learner(started, copied) -> Person:
    """Somebody who has followed the tutorial to its end."""
    person = copied()
    person.said |= started.said
    person.follow(TUTORIAL, *list(blocks(TUTORIAL))[2:])
    return person


@pytest.mark.system
def test_the_tutorial_runs_all_stages_then_none_then_what_depends_on_the_model(learner):
    assert stages_run(learner.said["Run it"]) == list(learner.workspace.lock())
    assert "mIoU at native size" in learner.said["Run it"]
    assert stages_run(learner.said["Look at it"]) == []
    assert stages_run(learner.said["Try an improvement"]) == ["train", "evaluate", "export", "render", "card"]


@pytest.mark.system
def test_the_tutorial_compares_with_main(learner):
    assert "miou" in learner.said["Compare"]
    assert "IoU on val" in learner.said["Compare"]
    assert "is up to date" in learner.said["Review it"]
    assert re.search("→ HEAD: mIoU .* not worse", learner.said["Review it"])
    assert (learner.workspace.root / "review/report.html").exists()


@pytest.mark.system
def test_the_tutorial_goes_back_and_takes_the_improvement_from_the_cache(learner):
    assert learner.workspace.status() == set()
    assert learner.workspace.parameters()["train"]["batch_size"] == 2
    assert learner.workspace.git("status", "--porcelain") == ""


@pytest.fixture(scope="module")
def reader(copied, tmp_path_factory) -> Person:
    """Somebody who has done all that the README has."""
    person = copied()
    home = person.workspace.root.parent
    (home / "Downloads").mkdir()
    tiny.write_tar(home / "Downloads/idd-lite.tar.gz", tiny.scenes(6, 12, 2))
    tiny.write_folder(home / "pictures", {"a.jpg": tiny.jpeg((64, 48)), "deeper/b.jpg": tiny.jpeg((20, 30))})
    write_cityscapes(home / "cityscapes")
    person.workspace.dvc("remote", "add", "--local", "--default", "team", str(home / "remote"))
    person.follow(README, "Start", "Train on IDD-Lite")
    person.workspace.git("switch", "--create", "longer")
    person.follow(README, "Try a different recipe")
    person.follow(README, "Review a change", "Predict", "Export and share", "Use your own data")
    return person


def write_cityscapes(folder: Path) -> None:
    """Write both archives of Cityscapes, of two cities with four frames of noise each."""
    folder.mkdir()
    frames, labels = {}, {}
    for city, split in (("aachen", "train"), ("lindau", "val")):
        for number in range(4):
            random = np.random.default_rng(number)
            name = f"{split}/{city}/{city}_{number:06}_000019"
            picture = random.integers(0, 256, (24, 48, 3), dtype=np.uint8)
            frames[f"leftImg8bit/{name}_leftImg8bit.png"] = tiny.png(picture)
            labels[f"gtFine/{name}_gtFine_labelIds.png"] = tiny.png(random.choice(np.uint8([7, 11, 23]), (24, 48)))
    tiny.write_zip(folder / "leftImg8bit_trainvaltest.zip", frames)
    tiny.write_zip(folder / "gtFine_trainvaltest.zip", labels)


@pytest.mark.system
def test_every_block_of_the_readme_is_run(reader):
    assert reader.said.keys() == blocks(README).keys()


@pytest.mark.system
def test_the_readme_trains_on_the_archive_that_was_downloaded(reader):
    assert (reader.workspace.root / "data/idd-lite.tar.gz.dvc").exists()
    assert "fetch" in stages_run(reader.said["Train on IDD-Lite"])
    assert reader.workspace.git("log", "--format=%s", "main").splitlines()[0] == "Train on IDD-Lite"


@pytest.mark.system
def test_the_readme_shows_what_a_recipe_changed(reader):
    said = reader.said["Try a different recipe"]
    assert stages_run(said) == ["train", "evaluate", "export", "render", "card"]
    assert "metrics/evaluate.json" in said
    assert "train.epochs" in said  # of the table of experiments
    assert f"file://{reader.workspace.root}/dvc_plots/index.html" in said


@pytest.mark.system
def test_the_readme_reviews_predicts_and_shares(reader):
    assert "not worse" in reader.said["Review a change"]
    assert {"a_label.png", "deeper/b_overlay.jpg"} <= tiny.contents(reader.workspace.root / "predictions").keys()
    assert (reader.workspace.root.parent / "remote/files/md5").is_dir()


@pytest.mark.system
def test_the_readme_takes_cityscapes_at_its_size(reader):
    assert stages_run(reader.said["Use your own data"]) == ["fetch", "preprocess"]
    root = reader.workspace.root
    assert read_dataset(root / "data/raw/dataset.json").name == "Cityscapes"
    assert np.load(root / "data/arrays/train_images.npy").shape == (4, 16, 32, 3)


@pytest.fixture(scope="module")
def experimenter(copied, tmp_path_factory) -> Iterator[Person]:
    """Somebody who has run all commands of the page on experiments; ``said`` is by command."""
    person = copied()
    source = tmp_path_factory.mktemp("source") / "größe (1)/idd.zip"
    source.parent.mkdir()
    tiny.write_zip(source, tiny.scenes(6, 12, 2))
    (run, *others), keep, queue, watch, [path] = map(lines, itertools.chain(*blocks(EXPERIMENTS).values()))
    try:
        person.said[run] = person.do(run)
        own = {"NAME": person.workspace.dvc("exp", "list", "--name-only").strip(), "COMMIT": "HEAD"}
        person.said |= {command: person.do(command, own) for command in [*others, *keep]}
        assert person.workspace.status() == set()  # as in the commit
        person.do("git switch main && dvc checkout")
        person.said |= {command: person.do(command, own) for command in queue}
        running = wait_until(lambda: re.search(r"(\S+) .* Running", person.do("dvc queue status")), 120, pause=1)
        for command in watch:  # until it succeeds: DVC may just be between two of the queue
            person.said[command] = wait_until(lambda to_run=command: person.ask(to_run, {"NAME": running[1]}), 120, 1)
    finally:
        person.run("dvc queue stop --kill")
    person.said[path] = person.do(path, {"/data/größe (1)": str(source.parent)})
    yield person


def lines(block: str) -> list[str]:
    """Return the commands of a block, one a line, without comments."""
    return [re.split(" +# ", line)[0] for line in block.splitlines()]


@pytest.mark.system
def test_experiments_are_kept_under_their_name(experimenter):
    [longer] = [said for command, said in experimenter.said.items() if command.startswith("dvc exp run -S train")]
    assert stages_run(longer) == ["train", "evaluate", "export", "render", "card"]
    branch = experimenter.workspace.git("show", "longer:params.yaml")
    assert "epochs: 30" in branch
    assert "IoU on val" in experimenter.said["python -m segcore compare HEAD NAME"]
    table = experimenter.said["dvc exp show --only-changed --drop '.*/[^:]*$'"]
    assert "train.epochs" in table
    assert "evaluate.json:miou" in table


@pytest.mark.system
def test_queued_experiments_can_be_watched(experimenter):
    assert experimenter.said["dvc exp run --queue -S 'train.seed=range(1,6)'"].count("Queued experiment") == 2
    assert "Running stage 'train'" in experimenter.said["dvc queue logs --follow NAME"]
    assert "(.dvc/tmp/exps/tmp" in experimenter.said["make watch"]
    assert "dvc_plots/index.html" in experimenter.said["dvc plots show"]


@pytest.mark.system
def test_a_path_with_signs_is_a_source(experimenter):
    [said] = [said for command, said in experimenter.said.items() if "größe" in command]
    assert "fetch" in stages_run(said)
