"""All lines of docs/team.md, run in order: three people, each with a clone, a server of git and one of S3."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.making import PROJECT, build
from tests.support.running import wait_until
from tests.support.servers import missing, s3_server
from tests.support.workspace import ROOT, Workspace, stages_run

pytestmark = pytest.mark.system

PAGE = (ROOT / "docs/team.md").read_text()
SECTIONS = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
WHO = re.compile("(?:The|A) (maintainer|author|reviewer|colleague) ")
ELSEWHERE = "A cache that several people share, and links"  # has lines for root; test_cache.py does what they do
FAILS = re.compile("^(.+?) +# fails: .+$", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """Return the blocks of shell lines of a section."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Team:
    """The people, and what the page's lines said to each, by heading."""

    def __init__(self, root: Path) -> None:
        self.root, self.said = root, {}
        server = root / "erfnet.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(server)], check=True)
        self.here = {  # in place of what the page has
            "https://github.com/team/erfnet.git": f"file://{server}",
            "train.epochs=200": "train.epochs=12",
            "range(1,6)": "range(1,4)",
            "{1..5}": "{1..3}",
        }
        self.python = build(root / "python")
        first = Workspace.create(self.clone("maintainer"))
        first.set_sample(val=12)
        first.set_parameter("export.precision", "fp32")  # takes half the time
        for name in PROJECT:
            (first.root / name).write_bytes((ROOT / name).read_bytes())
        first.repro()
        first.commit("the first results")
        first.git("remote", "add", "origin", f"file://{server}")
        first.git("push", "--quiet", "--set-upstream", "origin", "main")

    def clone(self, person: str) -> Path:
        return self.root / person / "erfnet"

    def workspace(self, person: str) -> Workspace:
        """The clone of a person, who has a name and a Python."""
        workspace = Workspace(self.clone(person))
        mail = f"{person}@example.org"
        for role in ("AUTHOR", "COMMITTER"):
            workspace.environment |= {f"GIT_{role}_NAME": person, f"GIT_{role}_EMAIL": mail}
        workspace.environment |= {"PYTHON": self.python}
        return workspace

    def run(self, person: str, text: str) -> tuple[int, str]:
        """Run lines in the clone of a person, or, before it is there, where it will be.

        It stops at the first that does not end as the page says. Returns the exit code and the output.
        """
        for there, here in self.here.items():
            text = text.replace(there, here)
        clone = self.workspace(person)
        clone.root.parent.mkdir(exist_ok=True)
        with (self.root / "said").open("w+") as said:  # a file, because the worker would keep a pipe open
            done = subprocess.run(
                ["bash", "-ec", FAILS.sub(r"if \1; then exit 99; fi", text)],
                cwd=clone.root if clone.root.exists() else clone.root.parent,
                env=clone.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=400,
            )
        return done.returncode, (self.root / "said").read_text()

    def walk(self) -> None:
        """Run the page."""
        for heading, text in SECTIONS:
            if not (found := WHO.match(heading)):
                continue
            if "if it has moved" in heading:
                lines = "git fetch\ndvc gc --all-branches --cloud --dry"
                self.said["maintainer", "before the merge"] = self.run_block("maintainer", lines)
                self.move_main()
            for person in ("author", "reviewer") if found[1] == "colleague" else (found[1],):
                self.said[person, heading] = "".join(self.run_block(person, block) for block in blocks(text))

    def run_block(self, person: str, block: str) -> str:
        """Run a block of the page, and return the output."""
        if block.startswith("dvc queue status"):
            self.wait_for_queue(person)
        code, said = self.run(person, block)
        assert code == 0, f"{block}\n{said}"
        return said

    def wait_for_queue(self, person: str) -> None:
        def status() -> str:
            return self.run(person, "dvc queue status")[1]

        wait_until(lambda: not re.search("Queued|Running", status()), seconds=400, pause=5)

    def move_main(self) -> None:
        """Commit a different change to main, which the author's touches in dvc.lock."""
        maintainer = self.workspace("maintainer")
        maintainer.set_parameter("render.frames", 2)
        assert maintainer.repro() == ["render"]
        maintainer.commit("More pictures")
        maintainer.dvc("push")
        maintainer.git("push", "--quiet")

    def said_to(self, person: str, words: str) -> str:
        """Return what the lines of the one section with these words in its heading said."""
        [said] = [said for (who, heading), said in self.said.items() if who == person and words in heading]
        return said


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Iterator[Team]:
    """A team that has walked all of the page."""
    if reason := missing("s3"):
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("team")
    team = Team(root)
    with s3_server(root / "s3") as server:
        options = {
            "https://s3.example.org": "endpointurl",
            "KEY-ID": "access_key_id",
            "SECRET-KEY": "secret_access_key",
        }
        team.here |= {there: server.options[name] for there, name in options.items()}
        try:
            team.walk()
            yield team
        finally:
            if (team.clone("author") / ".dvc/tmp/exps/celery").is_dir():
                team.run("author", "dvc queue stop --kill")


def test_every_line_is_run():
    """Lines of shell are in sections that say who works, and nowhere else."""
    others = [heading for heading, text in SECTIONS if blocks(text) and not WHO.match(heading)]
    assert [heading for heading in others if heading != ELSEWHERE] == []
    fences = re.findall("^ *```.*", PAGE, re.MULTILINE)
    assert (set(fences[::2]), set(fences[1::2])) == ({"```sh", "```text"}, {"```"})


def test_what_is_replaced_is_there(team):
    lines = "".join(block for _, text in SECTIONS for block in blocks(text))
    assert [there for there in team.here if there not in lines] == []


def test_make_install_adds_the_plugin_for_the_remote(team):
    for person in ("maintainer", "author", "reviewer"):
        assert "requirements-remotes.lock" in (team.clone(person) / ".venv/pip").read_text()


def test_keys_stay_out_of_git(team):
    key = team.here["SECRET-KEY"]
    assert key in (team.clone("author") / ".dvc/config.local").read_text()
    assert team.workspace("author").git("log", "--all", "--oneline", "-S", key, "--", ".dvc") == ""


def test_a_colleague_runs_nothing(team):
    for person in ("author", "reviewer"):
        said = team.said_to(person, "gets everything")
        assert stages_run(said) == []
        assert said.count("Data and pipelines are up to date.") == 2


def test_the_queue_runs_what_is_new(team):
    assert "Failed" not in (said := team.said_to("author", "tries a change"))
    assert said.count("Success") == 6
    assert "Running stage 'train'" in said  # the log


def test_all_see_the_seeds(team):
    for person in ("author", "reviewer"):
        said = team.said_to(person, "looks at")
        assert re.search(r"means over 3 seeds of origin/main's recipe .* and 3 seeds of the workspace's", said)
    assert "mIoU by seed: 1: " in team.said_to("author", "looks at")


def test_the_report_has_the_answer_of_the_gate_and_pictures(team):
    report = (team.clone("reviewer") / "review/report.html").read_text()
    assert "data:image/png" in report
    assert "No more frames" not in report
    answer = re.search(r"mean mIoU .*: not worse, .*", team.said_to("reviewer", "the gate"))
    assert answer and "over drives and 3 and 3 seeds" in answer[0]
    title, _, first = (team.clone("reviewer") / "review/report.md").read_text().splitlines()[:3]
    assert title == "# Review: origin/main → the workspace"
    assert answer[0] in first


def test_the_gate_fails_on_the_way_back(team):
    code, said = team.run("author", "git switch --detach longer^2\nmake gate MARGIN=0.01 BASE=longer")
    team.run_block("author", "git switch longer")
    assert code == 2, said  # make's own code; that of the gate is 1
    assert re.search("over drives and 3 and 3 seeds .*: (may be )?worse", said)


def test_a_merge_takes_from_the_cache_what_ran_there(team):
    said = team.said_to("author", "merges main")
    assert "Merge conflict in dvc.lock" in said
    assert "train" not in stages_run(said)
    assert "render" in stages_run(said)


def test_the_merge_is_complete(team):
    reviewer = team.workspace("reviewer")
    assert reviewer.status() == set()
    assert reviewer.git("rev-parse", "main") == reviewer.git("rev-parse", "origin/main")
    assert (reviewer.parameters()["train"]["epochs"], reviewer.parameters()["render"]["frames"]) == (12, 2)


def test_all_branches_are_only_those_of_the_clone(team):
    assert re.search(r"Removed [1-9]\d* objects from remote", team.said_to("maintainer", "before the merge"))


def test_what_is_deleted_was_of_no_use_any_more(team):
    said = team.said_to("maintainer", "cleans up")
    assert re.search(r"Removed [1-9]\d* objects from remote", said)
    shared = team.run_block("author", "dvc exp list --name-only --all-commits origin")
    assert set(shared.split()) == {f"longer-seed-{number}" for number in (1, 2, 3)}
    [everything] = blocks(dict(SECTIONS)["A colleague gets everything"])
    assert stages_run(team.run_block("newcomer", everything)) == []


def test_a_commit_from_before_the_remote(team):
    [old] = team.workspace("author").git("log", "--format=%H", "--grep=^the first results").split()
    status = f"git switch --detach {old}\ndvc status"
    code, said = team.run("author", status)
    assert (code != 0, "expected 'url'" in said) == (True, True)
    address, default = (
        " ".join(line.split()) for line in re.findall("`(dvc remote [^`]+--local team[^`]*)`", PAGE)[-2:]
    )
    team.run_block("author", f"git switch longer\n{address}\n{default}\n{status}\ngit switch longer\ndvc push")
