"""predictions.csv: one row per picture or video, with the share of its pixels that each class has."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np

from segcore.dataset.classes import CLASSES
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs

NAME = "predictions.csv"
COLUMNS = ("output", "input", "model", *CLASSES)


class Table:
    """The rows of a predictions.csv by output. They show which outputs are there, and by which model."""

    def __init__(self, folder: Path) -> None:
        """Read the table in ``folder``, if there is one. A last line that is not complete is left out.

        Raises:
            UserError: if the file is a different table.
        """
        self.path = folder / NAME
        self._lock = Lock()
        text = self.path.read_text("utf-8", errors="replace") if self.path.exists() else ""
        head, *lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1])) if "\n" in text else [list(COLUMNS)]
        if tuple(head) != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
            raise UserError(f"{self.path}: not the table that predict writes; choose a different --out, or remove it")
        self._rows = {line[0]: line for line in lines}

    def model(self, output: str) -> str | None:
        """Return the model that made an output, None if the table does not have it."""
        return self._rows[output][COLUMNS.index("model")] if output in self._rows else None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write each row that is added at once, so that a kill loses none; in the end write all rows, sorted."""
        self._write()
        with self.path.open("a", encoding="utf-8", newline="") as self._file:
            try:
                yield
            finally:
                self._file.close()
                self._write()

    def add(self, output: str, source: Path, model: str, pixels: np.ndarray) -> None:
        """Add a row with the number of pixels of each class. Threads may call it."""
        row = [output, str(source), model, *(f"{share:.4f}" for share in pixels / pixels.sum())]
        with self._lock:
            self._rows[output] = row
            csv.writer(self._file, lineterminator="\n").writerow(row)
            self._file.flush()

    def _write(self) -> None:
        with new_outputs(self.path) as [partial], partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *(row for _, row in sorted(self._rows.items()))])
