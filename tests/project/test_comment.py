"""The comment under a pull request, with a `gh` that keeps comments in a folder."""

import json
import os
import subprocess

import pytest

from tests.support.workspace import ROOT

GH = """#!/usr/bin/env python3
import json, pathlib, re, sys
assert sys.argv[1] == "api"
comments = pathlib.Path("comments.json")
held = json.loads(comments.read_text())  # number to author and text
body = [pathlib.Path(word.removeprefix("body=@")).read_text() for word in sys.argv if word.startswith("body=@")]
if "--method" in sys.argv:
    [path] = [word for word in sys.argv if word.startswith("repos/{owner}/{repo}/issues/comments/")]
    held[path.rsplit("/")[-1]] = "github-actions[bot]", body[0]
elif body:
    assert "repos/{owner}/{repo}/issues/7/comments" in sys.argv
    held[str(len(held))] = "github-actions[bot]", body[0]
else:
    marker = re.search(r'startswith\\("(.*)"\\)', sys.argv[-1])[1]
    author = re.search(r'\\.user\\.login == "(.*?)"', sys.argv[-1])[1]
    mine = [number for number, (who, text) in held.items() if who == author and text.startswith(marker)]
    print("".join(f"{number}\\n" for number in mine), end="")
comments.write_text(json.dumps(held))
"""

OTHERS = {
    "0": ["github-actions[bot]", "Covered. <!-- review --> is in it, too."],
    "1": ["somebody", "<!-- review -->\nI begin like one of yours."],
}


@pytest.fixture
def comment(tmp_path):
    """A function that comments, and returns all comments there are then."""
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "comments.json").write_text(json.dumps(OTHERS))

    def comment_it(text: str | None) -> dict[str, list[str]]:
        report = tmp_path / "report.md"
        report.unlink(missing_ok=True) if text is None else report.write_text(text)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        command = [ROOT / ".ci/comment", "7", "report.md", "c0ffee"]
        subprocess.run(command, cwd=tmp_path, env={"PATH": path, "LC_ALL": "C.UTF-8"}, check=True)
        return json.loads((tmp_path / "comments.json").read_text())

    return comment_it


def ours(text: str) -> dict[str, list[str]]:
    return OTHERS | {"2": ["github-actions[bot]", f"<!-- review -->\nCommit c0ffee.\n\n{text}\n"]}


def test_the_first_report_is_a_new_comment_and_the_next_takes_its_place(comment):
    for text in ("# one\n\n`code` $HOME \\n %s", "# two"):
        assert comment(text) == ours(text)


def test_without_a_report_the_old_one_does_not_stay(comment):
    comment("# one")
    assert comment(None) == ours("There is no review of it: the log of the job says why.")


def test_nobody_is_called(comment):
    assert comment("by @somebody") == ours("by @<!-- -->somebody")


def test_a_long_report_is_cut_at_what_github_takes(comment):
    assert comment("×" * 200_000) == ours("×" * 60_000 + "\n\n… The rest is in the artifact.")
