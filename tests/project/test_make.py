"""The targets of the Makefile pass settings on, and say what is missing before they make anything."""

import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo.experiments.executor.base import ExecutorInfo

from tests.support.making import make, program
from tests.support.running import git

ECHO = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


def python(first: str) -> str:
    """Return the path of a Python that runs ``first`` before `-c`, and instead of `-m` writes a file and fails."""
    run = f"""[ "$1" = -c ] && exec "{sys.executable}" -c "import sys; {first}; $2" """
    return program("bin/python", f"#!/bin/sh\n{run}\ntouch started\nexit 1\n")


@pytest.fixture
def folder(own_git) -> None:
    """A working folder where the environment is still to be made."""
    Path("requirements.lock").touch()


@pytest.fixture
def installed(folder) -> None:
    """A working folder with an environment whose Python prints its arguments."""
    program(".venv/bin/python", ECHO)
    for name in ("installed", "vega.js"):
        Path(".venv", name).touch()


@pytest.mark.usefixtures("installed")
def test_make_review_passes_base_and_pictures_on():
    command = ["-m", "segcore", "review"]
    assert make("review").stdout.splitlines() == [*command, "--"]
    name = """a 'b' "c" $(d) `e` $f --g"""
    said = make("review", f"BASE={name}", "PICTURES=no").stdout.splitlines()
    assert said == [*command, "--without-pictures", "--", name]
    assert make("review", BASE="of something else", PICTURES="no").stdout.splitlines() == [*command, "--"]
    refused = make("review", "PICTURES=false")
    assert (refused.returncode != 0, refused.stdout) == (True, "")
    assert "PICTURES is false: yes or no" in refused.stderr


@pytest.mark.usefixtures("installed")
def test_a_margin_makes_the_gate_look_at_the_scores():
    command = ["-m", "segcore", "gate"]
    assert make("gate").stdout.splitlines() == command
    assert make("gate", MARGIN="of something else", BASE="of something else").stdout.splitlines() == command
    compare = [*command, "--not-worse", "--margin", "0.005"]
    assert make("gate", "MARGIN=0.005").stdout.splitlines() == compare
    assert make("gate", "MARGIN=0.005", "BASE=my $main").stdout.splitlines() == [*compare, "--", "my $main"]
    assert make("review", "MARGIN=1 $x").stdout.splitlines() == ["-m", "segcore", "review", "--margin", "1 $x", "--"]


@pytest.mark.usefixtures("installed")
def test_make_submission_packs():
    assert make("submission").stdout.splitlines() == ["-m", "segcore", "submission"]


@pytest.mark.usefixtures("folder")
def test_a_copy_without_git_is_refused_before_anything_is_made():
    done = make("repro", f"PYTHON={python('pass')}")
    assert done.returncode != 0
    assert "git init && git add --all && git commit" in done.stderr
    assert not Path("started").exists()
    assert not Path(".venv").exists()


@pytest.mark.usefixtures("folder")
def test_a_copy_without_git_may_say_so_to_dvc():
    Path(".dvc").mkdir()
    Path(".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    make("repro", f"PYTHON={python('pass')}")
    assert Path("started").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("sys.version_info = (3, 10, 4)", "Python 3.11 to 3.13 is needed, and bin/python is 3.10: make PYTHON="),
        ("sys.modules['ensurepip'] = None; sys.version_info = (3, 12, 3)", "apt install python3.12-venv"),
    ],
)
def test_a_python_that_cannot_make_the_environment_is_refused(first, message):
    git("init")
    done = make("repro", f"PYTHON={python(first)}")
    assert done.returncode != 0
    assert message in done.stderr
    assert not Path("started").exists()
    assert not Path(".venv").exists()


@pytest.mark.usefixtures("folder")
def test_a_repository_of_a_different_owner_is_one_too():
    git("init")
    make("repro", f"PYTHON={python('pass')}", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert Path("started").exists()


@pytest.mark.usefixtures("installed")
def test_make_sample_runs_in_a_temporary_folder():
    git("init")
    assert make("sample").stdout.splitlines()[:5] == ["-m", "dvc", "exp", "run", "--temp"]


@pytest.mark.usefixtures("installed")
def test_make_sample_refuses_a_shallow_clone_where_the_experiment_would_be_lost():
    git("init")
    git("commit", "--allow-empty", "--message=first")
    Path(".git/shallow").write_text(git("rev-parse", "HEAD") + "\n")
    done = make("sample")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "git fetch --unshallow" in done.stderr


@pytest.mark.usefixtures("installed")
def test_make_sample_says_how_to_make_git_config_readable_for_dvc():
    git("init")
    for branches in ("heads", "exps"):
        git("config", "--add", "remote.origin.fetch", f"+refs/{branches}/*:refs/{branches}/*")
    done = make("sample")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "sets remote.origin.fetch twice" in done.stderr
    git("config", "--unset", "remote.origin.fetch", "exps")
    remedy = done.stderr.splitlines()[1].replace("VALUE", "+refs/exps/*:refs/exps/*")
    subprocess.run(["bash", "-c", remedy], check=True)
    assert git("config", "--get-all", "remote.origin.fetch").splitlines() == [
        "+refs/heads/*:refs/heads/*",
        "+refs/exps/*:refs/exps/*",
    ]
    assert make("sample").returncode == 0


@pytest.fixture
def experiments(installed):
    """A function that makes the folder of an experiment, as DVC does, and runs something there if it is ``running``."""
    processes = []

    def experiment(folder: str, name: str | None, curves: str = "", running: bool = True) -> None:
        root = Path(".dvc/tmp/exps", folder).resolve()
        (root / "metrics").mkdir(parents=True)
        if curves:
            (root / "metrics/curves.tsv").write_text(curves)
        info = ExecutorInfo("file:///project", "1234", "dvc-task", str(root), ".dvc", name)
        info.dump_json(str(root.parent / f"run/{root.name}/{root.name}.run"))
        if running:
            processes.append(subprocess.Popen(["sleep", "60"], cwd=root))

    yield experiment
    for process in processes:
        process.kill()
        process.wait()


def test_make_watch_shows_what_is_running_and_draws_its_curves(experiments):
    program(".venv/bin/python", '#!/bin/sh\necho "in $(basename "$PWD"):" "$@"\n')
    epochs = [f"{epoch}\t0.{epoch}\t\t1e-3" for epoch in range(1, 8)]
    experiments("tmpa", "longer", "\n".join(["epoch\tloss\tval_miou\tlr", *epochs]) + "\n")
    experiments("standalone/tmpb", None)
    experiments("tmpc", "killed", "epoch\n1\n", running=False)
    done = make("watch")
    assert (done.returncode, done.stderr) == (0, "")
    table = [line.expandtabs(12) for line in ("epoch\tloss\tval_miou\tlr", *epochs[-5:])]
    draw = f"in tmpa: -m dvc plots show --out {Path.cwd()}/dvc_plots_longer"
    assert done.stdout.splitlines() == [
        "longer (.dvc/tmp/exps/tmpa)", *table, draw, "tmpb (.dvc/tmp/exps/standalone/tmpb)", "no epoch yet",
    ]  # fmt: skip


def test_make_watch_says_that_nothing_is_running(experiments):
    experiments("tmpc", "killed", "epoch\n1\n", running=False)
    done = make("watch")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "no experiment is running in the queue or with --temp" in done.stderr


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("before", ["nothing", "a file", "a hard link", "a link", "the archive itself"])
def test_make_data_copies_the_archive(before):
    """DVC may protect, and link to, the file that it is given: never the user's own."""
    own = Path("own archive.tar.gz")
    own.write_bytes(b"own")
    target = Path("data/idd-lite.tar.gz")
    target.parent.mkdir()
    if before == "a file":
        target.write_bytes(b"old")
        target.chmod(0o444)
    elif before == "a hard link":
        target.hardlink_to(own)
    elif before == "a link":
        target.symlink_to(own.resolve())
    elif before == "the archive itself":
        target.hardlink_to(own)
        own.unlink()
        own = target
    assert make("data", f"ARCHIVE={own}").stdout.splitlines()[:4] == ["-m", "dvc", "add", str(target)]
    assert (target.read_bytes(), target.is_symlink(), target.stat().st_nlink) == (b"own", False, 1)
    assert own.stat().st_nlink == 1
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.usefixtures("installed")
def test_make_data_of_a_url():
    url = "https://example.org/a b.tar.gz?token=$x'"
    get, add = ["get-url", "--force", url, "data/idd-lite.tar.gz"], ["add", "data/idd-lite.tar.gz"]
    said = make("data", f"URL={url}").stdout.splitlines()
    assert said[:-1] == ["-m", "dvc", *get, "-m", "dvc", *add]


@pytest.mark.usefixtures("installed")
def test_make_data_of_a_missing_archive():
    Path("data").mkdir()
    done = make("data", "ARCHIVE=no.tar.gz")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "no.tar.gz" in done.stderr
