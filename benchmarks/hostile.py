"""Fetch from thousands of damaged archives: each must be accepted, or refused with a message, at a small cost.

The stage runs in a process with hard limits on address space, file size and time, in a folder with canary files around
the output. The limits of an archive are low, so that small ones reach them.
"""

import contextlib
import io
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import typer
from PIL import Image

from benchmarks.mutations import hostile_archive
from segcore.dataset.frames import LABELLED, Frame
from segcore.fetch import archive
from segcore.fetch.bring import bring
from segcore.fetch.members import Limits
from segcore.fetch.source import FetchParams
from segcore.files.description import SETS, read_description
from segcore.runtime import console
from segcore.runtime.errors import UserError

LIMITS = Limits(members=200, total=1 << 20)
DATASET = Path(__file__).parents[1] / SETS / "idd_lite.yaml"
DESCRIPTION = read_description(DATASET)
MEMORY = 96 << 20  # more than before the archive: a picture of frames.MAX_PIXELS and its bytes
SECONDS = 20
OLD = {"data/raw/old": b"what was there before", "canary": b"1", "data/canary": b"2"}
# Messages of a failing file system or a lack of memory, which no archive may cause.
OFFENCES = ("Cannot allocate", "unreadable ()", "File too large", "No space", "Permission denied", "No such file")


Unpack = Callable[[Path, Path, archive.Place, Limits], None]


class Outcome(NamedTuple):
    """The outcome for one archive; ``memory`` is in bytes beyond what the process had before."""

    said: str  # "accepted", the message, or what went wrong
    fine: bool
    seconds: float
    memory: int
    disk: int


def main(
    count: Annotated[int, typer.Option(help="archives")] = 10_000,
    seed: Annotated[int, typer.Option(help="what they are made from")] = 0,
) -> None:
    """Fetch from damaged archives, and print how often each outcome was seen; exit code 1 if any did harm."""
    files = data_set()
    kinds: Counter[str] = Counter()
    worst = {"seconds": 0.0, "memory": 0, "disk": 0}
    offenders: list[Path] = []
    with tempfile.TemporaryDirectory() as root, contextlib.closing(Worker(Path(root, "workspace"))) as worker:
        for number in console.progress(range(count), count, "archives"):
            name, data = hostile_archive(Random(f"{seed}/{number}"), files)
            outcome = worker.fetch(name, data)
            kinds[kind(outcome)] += 1
            worst = {key: max(value, getattr(outcome, key)) for key, value in worst.items()}
            if not outcome.fine:
                offenders.append(Path(tempfile.mkdtemp(prefix="hostile-"), f"{number}-{name}"))
                offenders[-1].write_bytes(data)
                print(f"{offenders[-1]}: {outcome.said}", file=sys.stderr, flush=True)
    for said, times in kinds.most_common():
        print(f"{times:7,}  {said}")
    print(f"largest: {worst['seconds']:.2f} s, {worst['memory'] / 1e6:.1f} MB of memory more than before, ", end="")
    print(f"{worst['disk']:,} bytes on disk (limit {LIMITS.total:,})")
    if offenders:
        sys.exit(1)


def data_set() -> dict[str, bytes]:
    """Return a data set of four frames of 8×6 pixels as a dictionary from path to bytes."""
    files: dict[str, bytes] = {}
    for number, (split, drive) in enumerate((("train", "a"), ("train", "b"), ("val", "c"), ("test", "d"))):
        frame = Frame(split, drive, f"{number:06}")
        files[frame.image(".jpg").as_posix()] = _encoded(Image.new("RGB", (8, 6), (40 * number, 99, 0)), "JPEG")
        if split in LABELLED:
            files[frame.label.as_posix()] = _encoded(Image.new("L", (8, 6), number), "PNG")
    return files


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def kind(outcome: Outcome) -> str:
    """Return the first line of the message, without what differs between archives."""
    if not outcome.fine:
        return "OFFENCE: " + outcome.said.splitlines()[0][:100]
    if " in the data set" in outcome.said:
        first = outcome.said.splitlines()[1].strip()
        return "refused: problems in the data set, first: " + _plain(re.sub(r"^\S+: |\w+/\S+", "", first))
    first = re.sub(
        r"^x\.[a-z2.]+: |^data/\S+: |\S+: (?=a second file)|to '.*', |'.*'…?: |\".*\": ",
        "",
        outcome.said.splitlines()[0],
    )
    return _plain(first.partition("; get it from a source that you trust")[0])


def _plain(text: str) -> str:
    numberless = re.sub(r"\b\d[\d,]*\b", "N", text)
    return re.sub(r"it (also )?has.*|\(.*\)|(?<=data set in it: ).*|for (leftImg8bit|found)/.*", "…", numberless)[:110]


class Worker:
    """A process that fetches, and its folder. A process that has died is replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("fork")
        self._start()

    def _start(self) -> None:
        self._reset()
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()

    def fetch(self, name: str, data: bytes) -> Outcome:
        """Run the stage on an archive, and check what it left in the folder."""
        (self._folder / name).write_bytes(data)
        before = OLD | {name: data}
        self._pipe.send(name)
        try:
            if not self._pipe.poll(SECONDS):
                raise EOFError("it hangs")
            outcome = self._pipe.recv()
        except EOFError as error:
            self.close()
            outcome = Outcome(f"{error or 'its process died'}", False, SECONDS, 0, 0)
            self._start()
            return outcome
        outcome = self._judge(outcome, before)
        self._reset()
        return outcome

    def _judge(self, outcome: Outcome, before: dict[str, bytes]) -> Outcome:
        after = everything(self._folder)
        if outcome.said == "accepted":
            made = {path: after.pop(path) for path in list(after) if path.startswith("data/raw/")}
            before = {path: content for path, content in before.items() if not path.startswith("data/raw/")}
            if any(content is None for content in made.values()):
                return outcome._replace(said="a link or a special file in the output", fine=False)
        beside = {path.name for path in self._folder.parent.iterdir()} - {self._folder.name}
        if changed := {path for path in after.keys() | before.keys() if after.get(path) != before.get(path)} | beside:
            return outcome._replace(said=f"changed or new: {sorted(changed)}", fine=False)
        if outcome.disk > LIMITS.total or outcome.memory > MEMORY:
            return outcome._replace(said=f"{outcome.memory:,} B of memory, {outcome.disk:,} B on disk", fine=False)
        return outcome

    def _reset(self) -> None:
        # The folder itself stays, because the process is in it.
        for path in self._folder.iterdir() if self._folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, data in OLD.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(data)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def everything(folder: Path) -> dict[str, bytes | None]:
    """Return the content of each file below ``folder``, and ``None`` for links and special files."""
    found: dict[str, bytes | None] = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            found[path.relative_to(folder).as_posix()] = None
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def serve(pipe: Connection, folder: Path) -> None:
    """Run the stage for each message that comes through ``pipe``, and send the outcome back."""
    os.chdir(folder)
    os.environ["SEGCORE_THREADS"] = "1"
    disk: list[int] = []
    archive.unpack = _measured(archive.unpack, disk)
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    sys.stdout = sys.stderr
    address_space = _status("VmSize") + (512 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMITS.total, LIMITS.total))
    while True:
        name = pipe.recv()
        disk.clear()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, started = _status("VmRSS"), time.monotonic()
        said, fine = attempt(name)
        seconds, memory = time.monotonic() - started, _status("VmHWM") - before
        pipe.send(Outcome(said, fine, seconds, memory, max(disk, default=0)))


def attempt(name: str) -> tuple[str, bool]:
    """Run the stage on an archive, and return the message that it prints, and whether that is as it should be."""
    try:
        bring(FetchParams(dataset=str(DATASET), source=name), DESCRIPTION, LIMITS)
    except UserError as error:
        said = str(error)
    except OSError as error:
        said = console.describe(error)
    except BaseException as error:  # a user would see a traceback
        return f"{type(error).__name__}: {error}", False
    else:
        return "accepted", True
    return said, not any(offence in said for offence in OFFENCES)


def _measured(unpack: Unpack, disk: list[int]) -> Unpack:
    """Return a version of ``unpack`` that also records the size of its output folder at the end.

    That is its largest size, as nothing is deleted.
    """

    def run(source: Path, raw: Path, place: archive.Place, limits: Limits) -> None:
        try:
            unpack(source, raw, place, limits)
        finally:
            disk.append(sum(_sizes(raw)))

    return run


def _sizes(folder: Path) -> Iterator[int]:
    return (path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _status(field: str) -> int:
    [kilobytes] = re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) << 10


if __name__ == "__main__":
    typer.run(main)
