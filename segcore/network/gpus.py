"""Reserve GPUs, so that several stages that run at the same time each have their own."""

import errno
import os
import random
import socket
import time
import warnings
from contextlib import suppress

import torch

from segcore.network.nvidia import FAULTS
from segcore.runtime import processes, signals
from segcore.runtime.console import say
from segcore.runtime.errors import UserError

PAUSE = 1.0  # seconds between two attempts, about
_held: list[socket.socket] = []  # open until this process ends


def reserve(count: int) -> None:
    """Reserve ``count`` GPUs for this process, or for those that it will start. Wait until so many are free.

    A GPU is free if no other process on this machine has reserved it. It is given back when this process ends. For one
    GPU, ``SEGCORE_DEVICE`` is set to it; for several, ``CUDA_VISIBLE_DEVICES``, so that the processes that this one
    starts see no others. Nothing is reserved if ``SEGCORE_DEVICE`` names one device, if torch finds no GPU, for parts
    of a GPU (MIG), or in a process that torchrun has started.

    Raises:
        UserError: if torch sees fewer GPUs, reserved or not.
        Stopped: if the parent has ended.
    """
    may_choose = os.environ.get("SEGCORE_DEVICE", "cuda") == "cuda" and not processes.is_worker()
    gpus = visible() if may_choose else []
    if not gpus:
        return
    if len(gpus) < count:
        raise UserError(f"SEGCORE_PROCESSES={count}: each process needs a GPU of its own, and torch sees {len(gpus)}")
    try:
        taken = _wait(gpus, count)
    except OSError as error:
        say(f"GPUs cannot be reserved here ({error.strerror or error}): start only one run at a time")
        return
    if count == 1:
        os.environ["SEGCORE_DEVICE"] = f"cuda:{gpus.index(taken[0])}"
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)


def _wait(gpus: list[str], count: int) -> list[str]:
    """Take ``count`` GPUs as soon as so many are free, and return them."""
    taken = _take(gpus, count)
    if not taken:
        advice = "; SEGCORE_DEVICE=cuda:N takes one that is reserved" if count == 1 else ""
        say(f"waiting until {count} of the {len(gpus)} GPUs here are free{advice}")
    while not taken:
        time.sleep(PAUSE * random.uniform(0.5, 1.5))  # random, as two that wait for several may each take a part
        if stop := signals.stop_requested([]):
            raise signals.Stopped(stop)
        taken = _take(gpus, count)
    return taken


def visible() -> list[str]:
    """Return the GPUs that torch can use, in its order, by the names that ``CUDA_VISIBLE_DEVICES`` takes."""
    if "MIG-" in os.environ.get("CUDA_VISIBLE_DEVICES", ""):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # device.find_device says what is wrong
        if not torch.cuda.is_available():
            return []
    with suppress(*FAULTS):
        return [f"GPU-{torch.cuda.get_device_properties(i).uuid}" for i in range(torch.cuda.device_count())]
    return []


def _take(gpus: list[str], count: int) -> list[str]:
    """Take the first ``count`` free GPUs, and return them. If fewer are free, take none, and return an empty list."""
    taken: dict[str, socket.socket] = {}
    for gpu in gpus:
        # An abstract socket name: only one process can have it, and Linux frees it when that process ends.
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0segcore {gpu}")
        except OSError as error:
            name.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        taken[gpu] = name
        if len(taken) == count:
            _held.extend(taken.values())
            return list(taken)
    for name in taken.values():
        name.close()
    return []
