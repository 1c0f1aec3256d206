"""The workflow gives no code of a pull request a token that writes, and no frame to anybody."""

import yaml

from tests.support.workspace import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def steps(job: str, action: str) -> list[dict]:
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
