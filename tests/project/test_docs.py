"""Commands, files and links that the documents name exist."""

import re

import pytest
import yaml

from tests.support.workspace import ROOT

DOCUMENTS = ("README.md", "docs/recipes.md", "docs/datasets.md", "docs/team.md")
PAGES = (
    *DOCUMENTS,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/glossary.md",
    "docs/results.md",
    "docs/after-a-crash.md",
    "docs/cluster.md",
    "docs/export.md",
    "docs/predict.md",
    "docs/release.md",
    "docs/submission.md",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_parameters_named_in_commands_exist(document):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    named = re.findall(r"-S (\w+)\.(\w+)=", (ROOT / document).read_text())
    assert named
    assert [f"{section}.{leaf}" for section, leaf in named if leaf not in params.get(section, {})] == []


@pytest.mark.parametrize("document", PAGES)
def test_targets_named_in_commands_exist(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|&& )make ([a-z]+)", (ROOT / document).read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", PAGES)
def test_links_inside_the_repository_lead_somewhere(document):
    links = re.findall(r"\]\(([^):#]+)", (ROOT / document).read_text())
    assert [
        link for link in links if not link.startswith("http") and not (ROOT / document).parent.joinpath(link).exists()
    ] == []


def test_paths_named_in_contributing_exist():
    """Names in angle brackets are for the reader to choose."""
    named = re.findall(
        r"`((?:[\w.-]+/)+[\w.-]*|[\w.-]+\.(?:lock|md|toml|yaml))`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_names_of_code_in_contributing_exist():
    """As ``name` in `path.py`` or ``name` and `other` in `path.py``."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    phrases = re.findall(r"((?:`\w+`(?:, | and )?)+) in `([\w/]+\.py)`", text)
    named = [(name, path) for names, path in phrases for name in re.findall(r"\w+", names.replace(" and ", " "))]
    assert len(named) > 6
    code = {path: (ROOT / path).read_text() for _, path in named}
    assert [
        at for at in named if not re.search(rf"^(?:(?:class|def) {at[0]}\b|{at[0]}\b.* =)", code[at[1]], re.MULTILINE)
    ] == []
