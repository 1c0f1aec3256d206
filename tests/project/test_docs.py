"""Commands, files and links that the documents name exist."""

import re

import pytest
import yaml

from tests.support.workspace import ROOT

DOCUMENTS = (
    "README.md",
    "docs/datasets.md",
    "docs/experiments.md",
    "docs/recipes.md",
    "docs/reference.md",
    "docs/team.md",
    "docs/tutorial.md",
)
PAGES = sorted(
    {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} | {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
)
LINK = re.compile(r"\]\(([^):#]*)(?:#([^)]+))?\)")  # to a page or a heading of the repository


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
    page = ROOT / document
    broken = []
    for path, anchor in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall("^#+ (.*)$", re.sub("^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_anchors_are_those_of_github():
    page = "# The article's `code`, and more\n```sh\n# no heading\n```\n## A – B\n"
    assert anchors(page) == {"the-articles-code-and-more", "a--b"}


def test_the_readme_leads_to_every_page():
    linked = {path for path, _ in LINK.findall((ROOT / "README.md").read_text())}
    assert [page for page in PAGES if page not in linked | {"README.md", "CHANGELOG.md"}] == []


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
