"""What the documents tell people to type is there."""

import re

import pytest
import yaml

from tests.workspace import ROOT

DOCUMENTS = ("README.md", "docs/recipes.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_parameters_named_in_commands_exist(document):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    named = re.findall(r"-S (\w+)\.(\w+)=", (ROOT / document).read_text())
    assert named
    assert [f"{section}.{leaf}" for section, leaf in named if leaf not in params.get(section, {})] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_named_in_commands_exist(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", (ROOT / document).read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_repository_lead_somewhere(document):
    links = re.findall(r"\]\(([^):#]+)\)", (ROOT / document).read_text())
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []
