"""predictions.csv: one row per picture or video, with the share of its pixels that each class has."""

import csv
import fcntl
import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from threading import Lock

import numpy as np

from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs

NAME = "predictions.csv"
LEGEND = "legend.png"  # beside it
COLUMNS = ["output", "input", "model"]  # then one per class
ENCODING, ERRORS = "utf-8", "surrogateescape"  # the names of files may be any bytes


class Table:
    """Rows of a predictions.csv by output. They say which model made an output."""

    def __init__(self, folder: Path) -> None:
        """Read the table in ``folder``, of a model with any classes, if there is one.

        An incomplete last line is ignored.

        Raises:
            UserError: if the file is a different table.
        """
        self.path = folder / NAME
        self._adding = Lock()
        self._read()

    def _read(self) -> None:
        text = self.path.read_bytes().decode(ENCODING, ERRORS) if self.path.exists() else ""
        self._rows, self._classes = {}, []
        if not text:
            return
        try:
            head, *lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
            self._rows = {output: (output, source, model, *rest) for output, source, model, *rest in lines}
            self._classes = head[len(COLUMNS) :]
            known = head[: len(COLUMNS)] == COLUMNS and self._classes != []
            known = known and all(len(row) == len(head) for row in self._rows.values())
        except (csv.Error, ValueError):
            known = False
        if not known:
            raise UserError(f"{self.path}: not the table that predict writes; choose a different --out, or remove it")

    def outputs(self) -> list[str]:
        """Return the outputs that the table lists."""
        return list(self._rows)

    def maker(self, output: str) -> tuple[str, str] | None:
        """Return the input of an output and the model that made it; ``None`` if the table does not list it."""
        return self._rows[output][1:3] if output in self._rows else None

    @contextmanager
    def open(self, classes: list[str], replaced: Collection[str] = ()) -> Iterator[None]:
        """Write each row as soon as it is added, so that a kill loses none, and all rows, sorted, at the end.

        Args:
            classes: of the model that makes the rows.
            replaced: outputs whose rows may be dropped if they are of different classes.

        Raises:
            UserError: if a different process writes it, or rows of different classes would stay.
        """
        with _locked(self.path.parent):
            self._read()  # again, because a different process may have added rows before the lock
            self._take(classes, replaced)
            self._write()
            with self.path.open("a", encoding=ENCODING, errors=ERRORS, newline="") as self._file:
                try:
                    yield
                finally:
                    self._file.close()
                    self._write()

    def add(self, output: str, source: Path, model: str, pixels: np.ndarray) -> None:
        """Add a row from the number of pixels of each class; safe to call from several threads."""
        row = (output, str(source), model, *(f"{share:.4f}" for share in pixels / pixels.sum()))
        with self._adding:
            self._rows[output] = row
            csv.writer(self._file, lineterminator="\n").writerow(row)
            self._file.flush()

    def _take(self, classes: list[str], replaced: Collection[str]) -> None:
        """Give the table columns for ``classes``."""
        if self._rows and self._classes != classes:
            if stay := self._rows.keys() - replaced:
                raise UserError(
                    f"{self.path}: {len(stay)} of its rows, for example that of {min(stay)}, are of a model with other "
                    f"classes ({shorten(', '.join(self._classes), 200)}): choose a different --out, or give all their "
                    "inputs and --force"
                )
            self._rows = {}
        self._classes = classes

    def _write(self) -> None:
        with (
            new_outputs(self.path) as [partial],
            partial.open("w", encoding=ENCODING, errors=ERRORS, newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(
                [[*COLUMNS, *self._classes], *(row for _, row in sorted(self._rows.items()))]
            )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from predicting into ``folder``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(
            f"a different process predicts into {folder}: wait for it, or choose a different --out"
        ) from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)
