"""Rates of several pieces of work that are measured by turns, so that what else the machine does hits all alike."""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from statistics import median

Work = Callable[[], float]  # does some seconds of work, waits for its end, and gives how many units it did


def by_turns(makers: Mapping[str, Callable[[], Work]], rounds: int) -> dict[str, list[float]]:
    """Units per second of each work, once a round.

    Each has a process of its own, where ``makers`` makes it (picklable functions), and works while the others wait.
    Every other round goes backwards. The first turn of each is not counted.
    """
    context = multiprocessing.get_context("spawn")  # what one loads, sets or forks is not inherited by another
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
    """How many times as fast ``rates`` are as ``other``, round by round: the median, the lowest and the highest."""
    ratios = [a / b for a, b in zip(rates, other, strict=True)]
    return {"ratio": round(median(ratios), 3), "lowest": round(min(ratios), 3), "highest": round(max(ratios), 3)}


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
