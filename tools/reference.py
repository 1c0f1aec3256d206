"""Write docs/reference.md: parameters, stages, commands, targets of make, metrics and environment variables.

All of it comes from the code: the types of the parameters and metrics, the docstrings of stages and commands, and the
comments in params.yaml and the Makefile. ``make reference`` runs this, and a test compares the result with the file.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import yaml

from segcore.__main__ import app
from segcore.files.onnx import EXPORT, ExportScores
from segcore.files.scores import SCORES, Scores
from segcore.network.erfnet import ModelParams
from segcore.preprocess.resize import PreprocessParams
from segcore.runtime.typed import Strict
from segcore.train.augment import AugmentParams
from segcore.train.recipe import TrainParams
from stages.evaluate import EvaluateParams
from stages.export import ExportParams
from stages.fetch import FetchParams
from stages.render import RenderParams

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs/reference.md"
SECTIONS: dict[str, type[Strict]] = {
    "fetch": FetchParams,
    "preprocess": PreprocessParams,
    "model": ModelParams,
    "augment": AugmentParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "export": ExportParams,
    "render": RenderParams,
}
METRICS: dict[Path, type[Strict]] = {SCORES: Scores, EXPORT: ExportScores}
KINDS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "string": "text",
    "null": "`null`",
}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "multipleOf": "multiple of"}
HEAD = """# Reference

Made from the code by `make reference`; do not edit it. Words are explained in the [glossary](glossary.md).
"""


def main() -> None:
    """Write the page."""
    REFERENCE.write_text(page())


def page() -> str:
    """Return the page."""
    parts = (HEAD, *parameters(), *stages(), *metrics(), *commands(), *targets(), *environment())
    return "\n".join(part.rstrip() + "\n" for part in parts)


def parameters() -> Iterator[str]:
    """Yield the parameters: a table for each section of params.yaml."""
    text = (ROOT / "params.yaml").read_text()
    yield "## Parameters\n\n`params.yaml` has them. `dvc exp run -S train.epochs=200` sets one for a run."
    for section, values in yaml.safe_load(text).items():
        schema = SECTIONS[section].model_json_schema()
        lines = text[text.index(f"\n{section}:") :]
        rows = [
            (f"`{name}`", f"`{shown(value)}`", allowed(schema["properties"][name], schema), comment(lines, name))
            for name, value in values.items()
        ]
        yield f"### {section}\n\n{table(('parameter', 'default', 'allowed', 'about'), rows)}"


def comment(lines: str, name: str) -> str:
    """Return the comment of a parameter in the lines of params.yaml."""
    found = re.search(rf"^  {name}:[^#\n]*# (.*)$", lines, re.MULTILINE)
    return found[1] if found else ""


def allowed(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return what a field of a JSON schema allows, for people."""
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rpartition("/")[2]]
    if "anyOf" in field:
        return " or ".join(allowed(option, schema) for option in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    limits = [f"{word} {field[key]}" for key, word in LIMITS.items() if key in field]
    return ", ".join([KINDS[field["type"]], *limits])


def stages() -> Iterator[str]:
    """Yield what each stage does, and the files that it writes."""
    yield "## Stages\n\n`python -m stages.NAME --help` prints the same."
    for name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]:
        yield f"### {name}\n\n{prose(import_module(f'stages.{name}').main.__doc__)}"


def commands() -> Iterator[str]:
    """Yield the commands of `python -m segcore`, with their arguments and options."""
    yield "## Commands"
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        usage = " ".join(["python -m segcore", name, *command.collect_usage_pieces(command.context_class(command))])
        rows = [(f"`{' '.join(each.opts)}`", getattr(each, "help", None) or "") for each in command.params]
        options = f"\n\n{table(('argument', 'about'), rows)}" if rows else ""
        yield f"### {name}\n\n`{usage}`\n\n{prose(command.callback.__doc__)}{options}"


def metrics() -> Iterator[str]:
    """Yield the metrics: a table for each JSON file."""
    yield "## Metrics"
    for path, model in METRICS.items():
        fields = model.model_json_schema()["properties"]
        rows = [(f"`{name}`", field.get("description", "")) for name, field in fields.items()]
        yield f"### {path}\n\n{table(('metric', 'meaning'), rows)}"


def targets() -> Iterator[str]:
    """Yield the targets of make."""
    found = re.findall(r"^([a-z]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    yield f"## make\n\n{table(('target', 'about'), [(f'`make {name}`', about) for name, about in found])}"


def environment() -> Iterator[str]:
    """Yield the environment variables that the docstrings of stages and commands name."""
    seen: dict[str, tuple[str, list[str]]] = {}
    names = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name in names:
        text = inspect.cleandoc(import_module(f"stages.{name}").main.__doc__)
        for paragraph in re.findall(r"^Environment: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL):
            for found in re.split(r";\s+(?=SEGCORE_)", " ".join(paragraph.split())):
                variable, _, about = found.rstrip(".").partition(", ")
                seen.setdefault(variable, (about, []))[1].append(name)
    rows = [(f"`{variable}`", about, ", ".join(users)) for variable, (about, users) in seen.items()]
    yield f"## Environment variables\n\n{table(('variable', 'meaning', 'stages'), rows)}"


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: one line for each paragraph, with its first word in bold."""
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(docstring or "").split("\n\n")]
    return "\n\n".join(re.sub(r"^(\w[\w ]*):", r"**\1**:", part) for part in paragraphs)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def shown(value: object) -> str:
    """Return a value as YAML has it."""
    return yaml.safe_dump(value).splitlines()[0]


if __name__ == "__main__":
    typer.run(main)
