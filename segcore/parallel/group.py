"""Exchange tensors and values between the processes of one stage. With one process, nothing is exchanged.

All processes call these functions in the same order. An exchange waits until every process has reached it.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count as count_from
from signal import Signals
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from segcore.runtime import processes, signals
from segcore.runtime.errors import Unanswered

READY = timedelta(minutes=30)  # for the slowest machine to load its data
ANSWER = timedelta(seconds=20)  # for a process to reach the same call as the others

A = TypeVar("A")
B = TypeVar("B")
_on_gpus: Any = None  # the group for tensors on GPUs, by NCCL
_store: Any = None  # small values that all processes can read
_barriers = count_from(0)  # the numbers of the barriers, each a part of its keys in the store


def join(device: torch.device, answer: timedelta = ANSWER) -> None:
    """Connect this process, which computes on ``device``, to the others, once all of them are ready.

    Args:
        answer: how long an exchange waits for a process that is still running.

    Raises:
        Unanswered: if a different process has ended. Every exchange raises it, also if a process does not answer.
    """
    global _on_gpus, _store
    if processes.count() > 1:
        with _answered():
            store, rank, count = next(dist.rendezvous("env://", timeout=READY))
            # Torchrun may start the processes again, with the same store: each time they need keys of their own.
            _store = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
            _wait_for(range(count))
            dist.init_process_group("gloo", store=_store, rank=rank, world_size=count, timeout=answer)
            if device.type == "cuda":
                # NCCL's timeout ends the process without a message. It is long, so that gloo's, which there is at each
                # step, comes first unless the CPU waits for the GPU.
                _on_gpus = dist.new_group(backend="nccl", timeout=READY)


def leave() -> None:
    """Disconnect this process from the others, which may still be at work."""
    if processes.count() > 1:
        dist.destroy_process_group()


def wait_for_first() -> None:
    """Wait until the first process has called this. It does not wait itself, and may call this much later."""
    if processes.count() > 1:
        with _answered():
            _wait_for([0])


def _wait_for(ranks: Iterable[int]) -> None:
    """Say that this process is here, and wait until all of ``ranks`` are."""
    here = next(_barriers)
    _store.set(f"{here} {processes.rank()}", "")
    deadline = time.monotonic() + READY.total_seconds()
    while not _store.check([f"{here} {rank}" for rank in ranks]):  # a signal could not interrupt a wait of the store
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready after {READY}")
        time.sleep(0.05)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # of this process itself
        raise
    except RuntimeError as error:  # of gloo, NCCL or the store: their classes differ
        raise Unanswered(
            f"a different process of this stage has ended or does not answer ({str(error).splitlines()[0]}); run the "
            "same command again: train goes on from its last checkpoint"
        ) from None


def part(batch: Tensor) -> Tensor:
    """Return the part of a batch, B×…, that this process takes. All parts have the same length."""
    return batch.chunk(processes.count())[processes.rank()] if processes.count() > 1 else batch


def rounds(items: Sequence[A], load: Callable[[Sequence[A]], Iterable[B]]) -> Iterator[B | None]:
    """Yield what ``load`` yields for this process's ``items``, which are every Nth of N processes.

    At the end there may be none left for this process; then it yields ``None``, so that all take equally many rounds.
    """
    mine = iter(load(items[processes.rank() :: processes.count()]))
    for _ in range(0, len(items), processes.count()):
        yield next(mine, None)


def in_turn(function: Callable[..., Iterable[A]], items: Sequence[tuple]) -> Iterator[A]:
    """Yield the results of ``function(*item)`` for each of ``items``, in order, in every process.

    The processes take the items in turn, and stop together.

    Raises:
        Stopped: if a signal has asked any of them to stop, or, of several processes, a parent has ended.
    """
    count = processes.count()
    if count == 1:
        for item in items:
            yield from function(*item)
        return
    with signals.defer() as arrived:
        for first in range(0, len(items), count):
            mine = first + processes.rank()
            own = list(function(*items[mine])) if mine < len(items) else []
            for results in gather(own):
                yield from results
            if stop := stop_requested(arrived):
                raise signals.Stopped(stop)


def stop_requested(arrived: list[Signals]) -> int:
    """Return :func:`segcore.runtime.signals.stop_requested` of any process; 0 if no process has to stop.

    The device goes on computing in the meantime.
    """
    number = signals.stop_requested(arrived) or 0
    if processes.count() > 1:
        with _answered():
            dist.all_reduce(highest := torch.tensor(number), dist.ReduceOp.MAX)  # on the CPU
            if highest and _on_gpus is not None:  # before one of them ends, the GPUs finish what they exchange
                torch.cuda.synchronize()
                dist.all_reduce(torch.zeros(1))
        return int(highest)
    return number


def add(tensor: Tensor) -> Tensor:
    """Replace a tensor by its sum over the processes, and return it."""
    if processes.count() > 1:
        with _answered():
            dist.all_reduce(tensor, group=_group_for(tensor))
    return tensor


def add_gradients(model: torch.nn.Module) -> None:
    """Replace each gradient by its sum over the processes, in one exchange."""
    if processes.count() > 1:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        sums = add(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, total in zip(gradients, sums.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(total.view(gradient.shape))


def stack(tensor: Tensor) -> Tensor:
    """Return the tensors of all N processes, stacked in their order: N×…"""
    stacked = tensor.new_zeros(processes.count(), *tensor.shape)
    stacked[processes.rank()] = tensor
    return add(stacked)


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite each tensor with that of the first process."""
    if processes.count() > 1:
        for tensor in tensors:
            with _answered():
                dist.broadcast(tensor, 0, group=_group_for(tensor))


def from_first(value: A) -> A:
    """Return the ``value`` of the first process."""
    return gather(value)[0]


def gather(value: A) -> list[A]:
    """Return the ``value`` of every process, in their order."""
    if processes.count() == 1:
        return [value]
    values: list[Any] = [None] * processes.count()
    with _answered():
        dist.all_gather_object(values, value)
    return values


def _group_for(tensor: Tensor) -> Any:
    return _on_gpus if tensor.is_cuda else None
