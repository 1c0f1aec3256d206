"""The comment under a pull request, with a `gh` that keeps comments in a folder."""

import json
import os
import subprocess

import pytest

from tests.workspace import ROOT

GH = """#!/usr/bin/env python3
import json, pathlib, re, sys
assert sys.argv[1] == "api"
comments = pathlib.Path("comments.json")
held = json.loads(comments.read_text())  # number to author and text
body = [word.removeprefix("body=") for word in sys.argv if word.startswith("body=")]
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

    def comment_it(text: str) -> dict[str, list[str]]:
        (tmp_path / "report.md").write_text(text)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        subprocess.run([ROOT / ".ci/comment", "7", "report.md"], cwd=tmp_path, env={"PATH": path}, check=True)
        return json.loads((tmp_path / "comments.json").read_text())

    return comment_it


def test_the_first_report_is_a_new_comment_and_the_next_takes_its_place(comment):
    marker = "<!-- review -->\n"
    for text in ("# one\n\n@file `code` $HOME", "# two"):
        assert comment(text) == OTHERS | {"2": ["github-actions[bot]", marker + text]}
