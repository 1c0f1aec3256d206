"""Rates of several pieces of work, measured in turns, so that other load on the machine affects all of them alike."""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import
    import torch

Work = Callable[[], float]  # works for some seconds and returns how many units of work it has done
IMPORTED = ["benchmarks.article", "segcore.train.loop"]  # by the works; it takes seconds, and once is enough


def by_turns(makers: Mapping[str, Callable[[], Work]], rounds: int) -> dict[str, list[float]]:
    """Return the units per second of each work, one number per round.

    Each runs in its own process, where its maker (a picklable function) makes it, and works while the others wait.
    Every second round goes backwards. The first turn of each is not counted.
    """
    context = multiprocessing.get_context("forkserver")  # no work inherits what a different one loads, sets or starts
    context.set_forkserver_preload(IMPORTED)
    pipes, rates = {}, {name: [] for name in makers}
    try:
        for name, make in makers.items():
            pipes[name], theirs = context.Pipe()
            context.Process(target=_serve, args=(theirs, make), name=name).start()
            theirs.close()
            pipes[name].recv()
        for number in range(rounds):
            for name in list(pipes)[:: -1 if number % 2 else 1]:
                pipes[name].send("go")
                rates[name].append(pipes[name].recv())
    finally:
        for pipe in pipes.values():  # which ends the processes
            pipe.close()
    return rates


def ratio(rates: list[float], other: list[float]) -> dict[str, float]:
    """Return how many times as fast ``rates`` are as ``other`` in the same round: median, lowest and highest."""
    ratios = [a / b for a, b in zip(rates, other, strict=True)]
    return {"ratio": round(median(ratios), 3), "lowest": round(min(ratios), 3), "highest": round(max(ratios), 3)}


def wait(where: "torch.device") -> None:
    """Wait until a CUDA device has computed everything."""
    if where.type == "cuda":
        import torch

        torch.cuda.synchronize(where)


def _serve(pipe: Connection, make: Callable[[], Work]) -> None:
    work = make()
    work()
    pipe.send("ready")
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        started = time.perf_counter()
        units = work()
        pipe.send(units / (time.perf_counter() - started))
