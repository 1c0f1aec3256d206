"""The code that a stage uses, read from its imports, and the code that dvc.yaml names for it."""

import ast
from collections.abc import Iterable
from pathlib import Path

from tests.support.running import ROOT


def import_closure(script: Path) -> set[str]:
    """Return the paths of ``script`` and all modules it imports, directly or not, also inside functions."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(ROOT).as_posix()
        if name not in found:
            found.add(name)
            waiting += imported_files(path)
    return found


def imported_files(path: Path) -> list[Path]:
    """Return the files of segcore and stages that ``path`` imports anywhere in its text."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative imports are not followed here"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = [ROOT / (name.replace(".", "/") + ".py") for name in names if name.split(".")[0] in ("segcore", "stages")]
    return [file for file in files if file.exists()]


def expand(deps: Iterable[str]) -> set[str]:
    """Return the modules that these deps of dvc.yaml name, one by one or by their folder; ``__init__.py`` are empty."""
    found: set[str] = set()
    for dep in deps:
        if (ROOT / dep).is_dir() and dep.startswith("segcore/"):
            found |= {path.relative_to(ROOT).as_posix() for path in (ROOT / dep).rglob("*.py")}
        elif dep.endswith(".py"):
            found.add(dep)
    return {name for name in found if not name.endswith("/__init__.py")}
