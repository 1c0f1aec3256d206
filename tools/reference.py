"""Write docs/reference.md: parameters, stages, files, metrics, commands, targets of make, environment variables.

All of it but the environment variables comes from the code: the types of the parameters and metrics, the docstrings of
stages and commands, dvc.yaml, and the comments in params.yaml and the Makefile. ``make reference`` runs this, and a
test compares the result with the file.
"""

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import yaml

from segcore.__main__ import app
from segcore.fetch.source import FetchParams
from segcore.files.onnx import EXPORT, ExportScores
from segcore.files.scores import SCORES, Scores
from segcore.network.erfnet import ModelParams
from segcore.preprocess.resize import PreprocessParams
from segcore.runtime.typed import Strict
from segcore.train import curves
from segcore.train.augment import AugmentParams
from segcore.train.recipe import TrainParams
from stages.evaluate import EvaluateParams
from stages.export import ExportParams
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
METRICS: dict[Path, type[Strict]] = {curves.METRICS: curves.TrainScores, SCORES: Scores, EXPORT: ExportScores}
VARIABLES = {
    "SEGCORE_DEVICE": "`cpu`, `cuda` or `cuda:N`. By default a free CUDA device, or the CPU if there is none; an "
    "NVIDIA GPU that torch cannot use is an error.",
    "SEGCORE_THREADS": "Threads on the CPU. By default one for each core, or fewer if a container has a CPU quota.",
    "SEGCORE_PROCESSES": "Processes that share the work, each on a GPU of its own or on a part of the cores; "
    "[several processes](cluster.md). By default 1.",
    "SEGCORE_CHECKPOINT_SECONDS": "Seconds from one checkpoint to the next. By default 10, or more, so that they take "
    "at most 1 % of the time.",
}
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
    REFERENCE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page."""
    parts = (HEAD, *parameters(), *stages(), *files(), *metrics(), *commands(), *targets(), *environment())
    return "\n".join(part.rstrip() + "\n" for part in parts)


def parameters() -> Iterator[str]:
    """Yield the parameters: a table for each section of params.yaml."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    yield "## Parameters\n\n`params.yaml` has them. `dvc exp run -S train.epochs=200` changes one, and runs the stages."
    for section, values in yaml.safe_load(text).items():
        schema = SECTIONS[section].model_json_schema()
        lines = re.split(r"\n(?=\w)", text[text.index(f"\n{section}:") + 1 :], maxsplit=1)[0]  # up to the next section
        rows = [
            (f"`{name}`", f"`{shown(value)}`", allowed(schema["properties"][name], schema), comment(lines, name))
            for name, value in values.items()
        ]
        yield f"### {section}\n\n{table(('parameter', 'default', 'allowed', 'about'), rows)}"


def comment(lines: str, name: str) -> str:
    """Return the comment of a parameter in the lines of params.yaml, without the values that it may have."""
    found = re.search(rf"^  {name}:[^#\n]*# (.*)$", lines, re.MULTILINE)
    return linked(re.sub(r"; \w+(?: \| \w+)+$", "", found[1])) if found else ""


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
    """Yield what each stage reads and writes."""
    yield "## Stages\n\n`python -m stages.NAME --help` prints the same."
    for name, docstring in stage_docstrings().items():
        yield f"### {name}\n\n{prose(docstring)}"


def files() -> Iterator[str]:
    """Yield the files that the stages write: which stage does, which read them, and what stores them."""
    graph = graph_of_stages()
    rows = [
        (f"`{path}`", name, ", ".join(readers(path, graph)) or "people", "git" if in_git else "DVC")
        for name, stage in graph.items()
        for path, in_git in written(stage)
    ]
    about = "What the stages write. What DVC stores, `dvc pull` gets from the remote."
    yield f"## Files\n\n{about}\n\n{table(('path', 'written by', 'read by', 'stored by'), rows)}"


def written(stage: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the path of each output of a stage of dvc.yaml, and whether git stores it."""
    for kind in ("outs", "metrics", "plots"):
        for output in stage.get(kind, []):
            [(path, options)] = output.items() if isinstance(output, dict) else [(output, {})]
            yield path, not options.get("cache", True)


def readers(path: str, graph: dict[str, dict[str, Any]]) -> list[str]:
    """Return the stages of dvc.yaml that read a path, what is in it, or the folder that it is in."""
    inside = f"{path}/"
    return [
        name
        for name, stage in graph.items()
        if any(dep == path or dep.startswith(inside) or path.startswith(f"{dep}/") for dep in stage["deps"])
    ]


def metrics() -> Iterator[str]:
    """Yield the metrics: a table for each JSON file."""
    yield "## Metrics"
    for path, model in METRICS.items():
        fields = model.model_json_schema()["properties"]
        rows = [(f"`{name}`", field.get("description", "")) for name, field in fields.items()]
        yield f"### {path}\n\n{table(('metric', 'meaning'), rows)}"


def commands() -> Iterator[str]:
    """Yield the commands of `python -m segcore`, with their arguments and options."""
    yield "## Commands\n\n`python -m segcore COMMAND --help` prints the same."
    for name, command in commands_by_name().items():
        usage = " ".join([f"python -m segcore {name}", *(f"{use(each)}" for each in command.params)])
        rows = [(f"`{name_of(each)}`", about(each)) for each in command.params]
        options = f"\n\n{table(('argument', 'about'), rows)}" if rows else ""
        yield f"### {name}\n\n`{usage}`\n\n{prose(command.callback.__doc__)}{options}"


def name_of(parameter: Any) -> str:
    """Return the name of an argument or option as people type it."""
    if parameter.param_type_name == "option":
        return parameter.opts[0]
    return parameter.metavar or parameter.name.upper()


def use(parameter: Any) -> str:
    """Return an argument or option as a line of usage has it: in brackets unless it is required."""
    name = name_of(parameter)
    if parameter.param_type_name == "option" and not parameter.is_flag:
        name += f" {parameter.name.upper()}"
    return name if parameter.required else f"[{name}]"


def about(parameter: Any) -> str:
    """Return the help of an argument or option, and its default, if it has one that is worth a word."""
    shown, default = parameter.show_default, parameter.default
    if isinstance(shown, bool):
        shown = str(default) if shown and not parameter.required and default not in (None, False, "") else ""
    return f"{parameter.help} By default: {shown}." if shown else parameter.help


def targets() -> Iterator[str]:
    """Yield the targets of make."""
    found = re.findall(r"^([a-z]+):.*?## (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    yield f"## make\n\n{table(('target', 'about'), [(f'`make {name}`', about) for name, about in found])}"


def environment() -> Iterator[str]:
    """Yield the environment variables, with the stages and commands whose docstrings name them."""
    docstrings = stage_docstrings() | {name: each.callback.__doc__ for name, each in commands_by_name().items()}
    rows = [
        (f"`{variable}`", meaning, ", ".join(name for name, text in docstrings.items() if variable in text))
        for variable, meaning in VARIABLES.items()
    ]
    about = "They say how to compute, and not what. A model records its device, threads and processes."
    yield f"## Environment variables\n\n{about}\n\n{table(('variable', 'meaning', 'read by'), rows)}"


def graph_of_stages() -> dict[str, dict[str, Any]]:
    """Return the stages of dvc.yaml."""
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def stage_docstrings() -> dict[str, str]:
    """Return what each stage says about itself, in the order of dvc.yaml."""
    return {name: import_module(f"stages.{name}").main.__doc__ for name in graph_of_stages()}


def commands_by_name() -> dict[str, Any]:
    """Return the commands of `python -m segcore`."""
    group: Any = typer.main.get_command(app)
    return group.commands


def prose(docstring: str) -> str:
    """Return a docstring as Markdown, with the labels of its paragraphs, such as `Reads:`, in bold.

    The first paragraph has no label, although there may be a colon in it.
    """
    first, *others = [" ".join(part.split()) for part in inspect.cleandoc(linked(docstring)).split("\n\n")]
    paragraphs = [first, *(re.sub(r"^(\w+(?: \w+)?):", r"**\1**:", part) for part in others)]
    return "\n\n".join(textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False) for part in paragraphs)


def linked(text: str) -> str:
    """Return a text with links to the pages that it names."""
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def shown(value: object) -> str:
    """Return a value as YAML has it."""
    return yaml.safe_dump(value).splitlines()[0]


if __name__ == "__main__":
    typer.run(main)
