"""docs/reference.md is what tools/reference.py makes of the code, and leaves nothing out."""

import re
from types import SimpleNamespace

import pytest
import yaml

from tests.support.workspace import ROOT
from tools import reference

PAGE = reference.REFERENCE.read_text()
SCHEMA = {"$defs": {"Kind": {"enum": ["a", "b"], "type": "string"}}}


def test_the_page_is_current():
    assert reference.page() == PAGE, "run `make reference`"


def test_every_parameter_and_metric_has_a_meaning():
    tables = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(tables) > 80
    assert [line for line in tables if re.search(r"\| +\|", line)] == []


def test_every_section_stage_and_target_is_there():
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(re.findall("^### (.+)$", PAGE, re.MULTILINE)) >= parameters.keys() | stages.keys()
    assert [name for section in parameters.values() for name in section if f"| `{name}` |" not in PAGE] == []
    [declared] = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    internal = {"again", "fast"}  # parts of others, which `make help` does not list either
    assert set(re.findall(r"\| `make (\w+)` \|", PAGE)) == set(declared.replace("\\", "").split()) - internal


def test_every_environment_variable_of_the_code_is_there():
    code = [path.read_text() for folder in ("segcore", "stages") for path in (ROOT / folder).rglob("*.py")]
    assert {name for text in code for name in re.findall(r"SEGCORE_[A-Z_]+[A-Z]", text)} == set(reference.VARIABLES)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, "whole number, ≥ 1, < 9"),
        ({"type": "boolean"}, "`true`, `false`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or `null`"),
        ({"$ref": "#/$defs/Kind"}, "`a`, `b`"),
    ],
)
def test_what_a_parameter_allows(field, words):
    assert reference.allowed(field, SCHEMA) == words


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("  rate: 5  # how fast", "how fast"),
        ("  rate: 5\n  other: 6  # how fast", ""),
        ("  rate: a  # how; a | b_2", "how"),
        ("  rate: a  # a or b; see docs/your-data.md", "a or b; see [your-data.md](your-data.md)"),
    ],
)
def test_the_comment_of_a_parameter(line, about):
    assert reference.comment(line, "rate") == about


def test_a_docstring_has_bold_labels_and_short_lines():
    text = """Compare two results: both.

    Reads: what
    it needs.

    By default, it: waits.

    Exit code: 0.
    """
    assert reference.prose(text).split("\n\n") == [
        "Compare two results: both.",
        "**Reads**: what it needs.",
        "By default, it: waits.",
        "**Exit code**: 0.",
    ]
    assert max(map(len, reference.prose("word " * 100).splitlines())) <= 120


def option(**more) -> SimpleNamespace:
    kept = {"param_type_name": "option", "name": "margin", "opts": ["--margin"], "metavar": None, "is_flag": False}
    default = {"required": False, "help": "The loss.", "default": None, "show_default": True}
    return SimpleNamespace(**(kept | default | more))


@pytest.mark.parametrize(
    ("parameter", "use", "about"),
    [
        (option(), "[--margin MARGIN]", "The loss."),
        (option(default=0.5), "[--margin MARGIN]", "The loss. By default: 0.5."),
        (option(default=0.5, show_default=False), "[--margin MARGIN]", "The loss."),
        (option(show_default="a guess"), "[--margin MARGIN]", "The loss. By default: a guess."),
        (option(required=True), "--margin MARGIN", "The loss."),
        (option(is_flag=True, default=False), "[--margin]", "The loss."),
        (option(param_type_name="argument"), "[MARGIN]", "The loss."),
        (option(param_type_name="argument", metavar="INPUT...", required=True), "INPUT...", "The loss."),
    ],
)
def test_the_usage_and_the_help_of_an_argument(parameter, use, about):
    assert (reference.use(parameter), reference.about(parameter)) == (use, about)


def test_outputs_and_who_stores_them():
    stage = {"outs": ["a", {"b": {"cache": False}}], "plots": [{"c": {"title": "C"}}]}
    assert list(reference.written(stage)) == [("a", False), ("b", True), ("c", False)]


def test_who_reads_a_path():
    graph = {"one": {"deps": ["data/a"]}, "two": {"deps": ["data/a/b.csv"]}, "three": {"deps": ["data/ab"]}}
    assert reference.readers("data/a", graph) == ["one", "two"]
    assert reference.readers("data/a/b.csv", graph) == ["one", "two"]
    assert reference.readers("data/a/c.csv", graph) == ["one"]


def test_a_table_escapes_bars():
    assert reference.table(("x",), [("a|b",)]).splitlines() == ["| x |", "| --- |", "| a\\|b |"]
