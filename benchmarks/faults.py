"""Bring faults on the stages again and again and count what they leave: ``python -m benchmarks.faults --rounds 20``."""

import dataclasses
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests import faults
from tests.small_disk import seen_by, small_disk
from tests.workspace import Workspace

Fault = tuple[str, faults.Case, Callable[[random.Random], str]]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each fault meets each stage.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the moments and the sizes.")] = 1,
) -> None:
    """Kill every stage but train at random moments, and let the disk be full at random writes.

    After each fault every output has to be the old one or the new one, whole;
    after a full disk, the old one and nothing beside it; after another run,
    the right bytes and nothing beside them. The exit code is 1 if one is not.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    violations = []
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace.create(Path(name, "workspace"))
        workspace.repro()
        cases = faults.make_cases(workspace.root, Path(name, "cases"))
        disk = Path(name, "disk")
        disk.mkdir()
        with small_disk(disk) as holder:
            if holder is None:
                print("no tmpfs can be mounted here: no full disk but the limit on file size", file=sys.stderr)
            for case in cases.values():
                for fault, where, bring in faults_of(case, disk, holder):
                    for _ in range(rounds):
                        outcome = try_once(where, partial(bring, rng), violations)
                        counts[case.stage, fault, outcome] += 1
    show(counts)
    for violation in violations:
        print(violation, file=sys.stderr)
    if violations:
        raise typer.Exit(1)


def faults_of(case: faults.Case, disk: Path, holder: int | None) -> Iterator[Fault]:
    """What can befall a stage: its name, the stage in its folder, and how it is done."""
    for moment in faults.MOMENTS:
        yield f"killed {moment}", case, partial(faults.kill, case, moment)
    yield "file size limited", case, partial(faults.limit_files, case)
    if holder is not None:
        elsewhere = dataclasses.replace(case, folder=seen_by(holder, disk) / case.stage)
        yield "disk full", elsewhere, partial(faults.fill_disk, elsewhere, holder)


def try_once(case: faults.Case, bring: Callable[[], str], violations: list[str]) -> str:
    """From the old outputs through the fault to the right ones: in which state the fault left them."""
    case.again()
    try:
        state = bring()
        case.check_run()
    except AssertionError as error:
        violations.append(f"{case.stage}: {error}")
        return "VIOLATION"
    return state


def show(counts: Counter[tuple[str, str, str]]) -> None:
    """Print the table."""
    outcomes = sorted({outcome for _, _, outcome in counts})
    table = Table("stage", "fault", *outcomes, title=f"{counts.total()} faults, and the outputs that they left")
    for stage, fault in dict.fromkeys((stage, fault) for stage, fault, _ in counts):
        table.add_row(stage, fault, *(str(counts[stage, fault, outcome]) for outcome in outcomes))
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
