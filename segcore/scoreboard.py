"""`python -m segcore.scoreboard`: the scores of the workspace as a table, and where the pictures are."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segcore import console


def main() -> None:
    """Print IoU per class, mIoU, and the paths of the rendered pictures."""
    scores = json.loads(Path("metrics/evaluate.json").read_text())
    table = Table(title="IoU on val, IDD-Lite protocol")
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for name, value in scores["iou"].items():
        table.add_row(name, show(value))
    table.add_section()
    table.add_row("mIoU", show(scores["miou"]), style="bold")
    table.add_row("mIoU at native size", show(scores["miou_native"]))
    if "miou_flip" in scores:
        table.add_row("mIoU with flip", show(scores["miou_flip"]))
    table.add_row("pixel accuracy", show(scores["pixel_accuracy"]))
    screen = Console()
    screen.print(table)
    screen.print("Pictures to open:", highlight=False)
    for path in sorted(Path("data/renders").iterdir()):
        screen.print(f"  {path}", highlight=False, soft_wrap=True)


def show(value: float | None) -> str:
    """4 decimals, or a dash for a class that is neither in the truth nor in the prediction."""
    return "–" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    console.run(main)
