"""CUDA graphs: record the kernels that a function starts, and replay them.

A training step starts about a thousand small kernels, and the CPU needs about as long to start one as the device needs
to run it. A CUDA graph starts all of them at once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from segcore.runtime import processes


def can_record(device: torch.device) -> bool:
    """Return whether the kernels of ``device`` can be recorded. With several processes this is untested."""
    return device.type == "cuda" and processes.count() == 1


class Recording:
    """A recorded ``function`` of CUDA tensors: for inputs of the same shapes it does what the function does.

    Other tensors that the function uses, such as weights, must keep their addresses. The next call overwrites the
    result. Random numbers follow the state of torch's generator at the call.
    """

    def __init__(self, function: Callable[..., Tensor], *inputs: Tensor) -> None:
        """Record ``function``. It is first called a few times, so that libraries are initialised."""
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                function(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        # Runs nothing. Other threads may go on using CUDA, such as the one that reads ahead.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._result = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new)
        self._graph.replay()
        return self._result
