"""The modules of this project that a stage imports, directly or not, read from the code."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def import_closure(script: Path) -> set[str]:
    """Paths, relative to the repository, of ``script`` and of all that it imports, also inside functions."""
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
    """Files of segcore and stages that ``path`` imports anywhere in its text."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not followed here"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = [ROOT / (name.replace(".", "/") + ".py") for name in names if name.split(".")[0] in ("segcore", "stages")]
    return [file for file in files if file.exists()]
