"""What training says while it runs: a line an epoch, a bar on a terminal, and its curves."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segcore.console import say

if TYPE_CHECKING:  # which imports torch
    from segcore.training import Epoch, Training


def curves_text(curves: "list[Epoch]") -> str:
    """The epochs as tab-separated values; validation is left empty where there was none."""
    rows = ["epoch\tloss\tlr\tval_miou"]
    for epoch in curves:
        validation = "" if epoch.val_miou is None else f"{epoch.val_miou:.4f}"
        rows.append(f"{epoch.number}\t{epoch.loss:.4f}\t{epoch.lr:.4g}\t{validation}")
    return "\n".join(rows) + "\n"


@contextmanager
def progress(run: "Training") -> "Iterator[tuple[Callable[[int], None], Callable[[Epoch], None]]]":
    """Give ``advance(frames)``, for the ticks of a run, and ``report(epoch)``: a line, on a terminal above a bar."""
    pace = Pace(run)
    if not sys.stderr.isatty():
        yield pace.advance, lambda epoch: say(pace.line(epoch))
        return

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        batch = run.params.batch_size
        task = bar.add_task("training", total=run.steps * batch, completed=run.step * batch)

        def advance(frames: int) -> None:
            pace.advance(frames)
            bar.advance(task, frames)

        yield advance, lambda epoch: bar.console.out(pace.line(epoch), highlight=False)


class Pace:
    """How fast a run goes: frames per second of training alone, and the time left with validation in it."""

    def __init__(self, run: "Training") -> None:
        self._run = run
        self._first_step = run.step
        self._started = self._last = time.monotonic()
        self._frames, self._seconds = 0, 0.0  # of training, since the last line

    def advance(self, frames: int) -> None:
        """Count the frames of a step; 0 of them mean that the time went into validation."""
        now = time.monotonic()
        if frames:
            self._frames += frames
            self._seconds += now - self._last
        self._last = now

    def line(self, epoch: "Epoch") -> str:
        """What an epoch came to; there is no speed and no time left when it was trained before this process began."""
        said = f"epoch {epoch.number}/{self._run.params.epochs}  loss {epoch.loss:.4f}  lr {epoch.lr:.2e}"
        if self._frames:
            seconds_per_step = (time.monotonic() - self._started) / (self._run.step - self._first_step)
            left = seconds_per_step * (self._run.steps - self._run.step)
            said += f"  {self._frames / self._seconds:.0f} frames/s  {hours(left)} left"
            self._frames, self._seconds = 0, 0.0
        return said if epoch.val_miou is None else f"{said}  val mIoU {epoch.val_miou:.4f}"


def hours(seconds: float) -> str:
    """As 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
