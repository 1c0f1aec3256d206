"""Several processes that share each batch: they see and learn what one process does."""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support.running import ROOT
from tests.support.tiny_training import ENVIRONMENT

pytestmark = pytest.mark.slow
SYSTEM = [("float64", 4), ("float32", 2)]
TRAININGS = [("float64", 2), *(pytest.param(*training, marks=pytest.mark.system) for training in SYSTEM)]


@dataclass
class Seen:
    """What the processes of one training saw and computed.

    ``images``, ``labels`` and ``dropped`` are whole batches, put together from the parts of the processes;
    ``first`` and ``others`` are what each process wrote; see :mod:`tests.support.shared_training`.
    """

    images: list[torch.Tensor]
    labels: list[torch.Tensor]
    dropped: list[torch.Tensor]
    first: dict
    others: list[dict]


def run(folder: Path, dtype: str, count: int) -> Seen:
    folder.mkdir()
    program = ["-m", "tests.support.shared_training", str(folder), dtype]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command = [sys.executable, *(launcher if count > 1 else []), *program]
    environment = os.environ | ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=300)
    parts = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]
    whole = {
        key: [torch.cat(batch) for batch in zip(*(part[key] for part in parts), strict=True)]
        for key in ("images", "labels", "dropped")
    }
    return Seen(**whole, first=parts[0], others=parts[1:])


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A function that returns what the processes of a training saw; each training runs once."""
    folder = tmp_path_factory.mktemp("seen")
    return functools.cache(lambda dtype, count: run(folder / f"{dtype}-{count}", dtype, count))


@pytest.mark.parametrize(("dtype", "count"), TRAININGS)
def test_the_processes_see_the_same_pixels_and_drop_the_same_channels(seen, dtype, count):
    for key in ("images", "labels", "dropped"):
        ours, theirs = getattr(seen(dtype, 1), key), getattr(seen(dtype, count), key)
        assert len(ours) == len(theirs) > 0
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), key
    assert any(batch.any() for batch in seen(dtype, 1).dropped)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.system)])
def test_they_learn_what_one_process_does(seen, count):
    one, several = seen("float64", 1).first, seen("float64", count).first
    torch.testing.assert_close(torch.stack(several["losses"]), torch.stack(one["losses"]), rtol=0, atol=1e-9)
    assert distance(several, one) < 1e-10
    assert several["curves"][-1].val_miou == one["curves"][-1].val_miou


@pytest.mark.system
def test_in_fp32_they_are_as_close_to_the_true_gradient_as_one_process(seen):
    one, several, true = seen("float32", 1).first, seen("float32", 2).first, seen("float64", 1).first
    assert 0 < distance(several, true) < 2 * distance(one, true)
    torch.testing.assert_close(torch.stack(several["losses"]), torch.stack(true["losses"]).float(), rtol=0, atol=0.02)


def distance(result: dict, true: dict) -> float:
    """Return the norm of the difference between two gradients, relative to that of the true one.

    The true gradient of a bias before a batch norm is zero, so that of a computed one is noise.
    """
    noise = ("conv.bias", "conv1x3_1.bias", "conv1x3_2.bias")
    names = [name for name in true["gradients"] if not name.endswith(noise)]
    ours, theirs = (
        torch.cat([each["gradients"][name].double().flatten() for name in names]) for each in (result, true)
    )
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("dtype", "count"), TRAININGS)
def test_they_all_end_with_the_same_weights(seen, dtype, count):
    together = seen(dtype, count)
    first = together.first["weights"]
    assert len(together.others) == count - 1
    for other in together.others:
        assert all(torch.equal(first[name], weight) for name, weight in other["weights"].items())
