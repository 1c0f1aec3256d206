"""Report the result of a benchmark: a table on the terminal, and a JSON file that docs/results.md quotes."""

import json
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WIDTH = 120  # columns, where there is no terminal


def publish(name: str, title: str, rows: list[dict[str, Any]], **about: Any) -> None:
    """Write ``rows`` as :func:`write` does, and print them as :func:`show` does."""
    show(title, rows, write(name, rows, **about))


def write(name: str, rows: list[dict[str, Any]], folder: Path | None = None, **about: Any) -> dict[str, Any]:
    """Write ``rows`` to NAME.json, with ``about``, when, where and by which command they were measured.

    Args:
        folder: by default benchmarks/results.

    Returns:
        all that was written beside the rows.
    """
    import torch

    from segcore.network import device
    from segcore.runtime import threads

    where = device.find_device()
    measured = {
        "date": date.today().isoformat(),
        "command": " ".join(["python -m", f"benchmarks.{name}", *sys.argv[1:]]),
        "device": device.name(where),
        "processor": device.processor(),
        "threads": threads.thread_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"measured": measured, **about, "rows": rows}, indent=2)
    (folder / f"{name}.json").write_text(text + "\n")
    return measured | about


def show(title: str, rows: list[dict[str, Any]], about: dict[str, Any]) -> None:
    """Print ``rows`` as a table, with the keys of the first as columns, and ``about`` below it."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(table)
    console.print(", ".join(f"{key} {_shown(value)}" for key, value in about.items()))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
