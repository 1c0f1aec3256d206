"""Print a line per epoch during training, and a progress bar on a terminal."""

import sys
import time

import torch
from rich.console import Console
from rich.progress import Progress

from segcore.network import device
from segcore.runtime.console import say
from segcore.runtime.threads import thread_count
from segcore.train.curves import Epoch
from segcore.train.loop import Event, Step, Training


class Report:
    """Print the events of a run. As a context manager it stops the progress bar at the end."""

    def __init__(self, run: Training) -> None:
        self._run = run
        self._first_step = run.step
        self._started = self._last = time.monotonic()
        self._frames, self._seconds = 0, 0.0  # of training, since the last line
        self._bar = Progress(console=Console(stderr=True)) if sys.stderr.isatty() else None
        if self._bar:
            batch = run.params.batch_size
            self._task = self._bar.add_task("training", total=run.steps * batch, completed=run.step * batch)

    def __enter__(self) -> "Report":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, event: Event) -> None:
        """Print a line for an epoch; advance the progress bar for a step."""
        if isinstance(event, Epoch):
            line = self.line(event)
            say(line) if self._bar is None else self._bar.console.out(line, highlight=False)
            return
        now = time.monotonic()
        if isinstance(event, Step):
            self._frames += event.frames
            self._seconds += now - self._last
            if self._bar:
                self._bar.advance(self._task, event.frames)
        self._last = now

    def line(self, epoch: Epoch) -> str:
        """Return loss, learning rate, speed of training, the time left, validation included, and the memory of the GPU.

        The last three are missing for an epoch that was trained before this process began.
        """
        said = f"epoch {epoch.number}/{self._run.params.epochs}  loss {epoch.loss:.4f}  lr {epoch.lr:.2e}"
        if self._frames:
            seconds_per_step = (time.monotonic() - self._started) / (self._run.step - self._first_step)
            left = seconds_per_step * (self._run.steps - self._run.step)
            said += f"  {self._frames / self._seconds:.0f} frames/s  {hours(left)} left"
            if self._run.device.type == "cuda":
                said += f"  {torch.cuda.max_memory_reserved(self._run.device) / 2**30:.1f} GiB"
            self._frames, self._seconds = 0, 0.0
        return said if epoch.val_miou is None else f"{said}  val mIoU {epoch.val_miou:.4f}"


def cpu_warning(run: Training, seconds: float) -> str:
    """Return a line that says that ``run`` trains on the CPU, and how long it will take with ``seconds`` per step."""
    return (
        f"training on the CPU ({device.processor()}, {thread_count()} threads, {run.precision}): about "
        f"{hours((run.steps - run.step) * seconds)} for {run.steps - run.step} steps"
    )


def hours(seconds: float) -> str:
    """Return a time as 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
