"""Record the kernels that a function starts on a CUDA device, and replay them.

A step of training starts about a thousand small kernels, and to start one takes the CPU about as long as the device
needs to run it. As a CUDA graph all are started at once.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def can_record(device: torch.device) -> bool:
    """Whether the kernels of ``device`` can be recorded."""
    return device.type == "cuda"


class Recording:
    """``function`` of CUDA tensors, recorded: for inputs of the same shapes it does what the function does.

    What the function itself holds, as weights, has to stay where it is in memory. The result is overwritten by the next
    call. Random numbers follow the state of torch's generator at the call.
    """

    def __init__(self, function: Callable[..., Tensor], *inputs: Tensor) -> None:
        """Record ``function``, which is also run for real a few times, so that libraries set themselves up before."""
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                function(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self._graph):  # which runs nothing
            self._result = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new)
        self._graph.replay()
        return self._result
