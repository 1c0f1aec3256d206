"""Start a stage in several processes with torchrun, and end as one program would."""

import logging
import os
import signal
import sys
import threading
import time

from segcore.runtime import processes, signals
from segcore.runtime.errors import UserError


def start(stage: str) -> bool:
    """Run ``python -m STAGE`` in ``SEGCORE_PROCESSES`` processes on this machine, until all of them are done.

    Return whether they have done the work: false if one process is enough, and in the processes themselves. If one of
    them fails, torchrun stops the others. Signals to this process are passed on to them. If the process that
    started this one ends, as DVC may, all of them stop.

    Raises:
        UserError: if a process was killed, or there are fewer GPUs than processes.
        SystemExit: if a process has failed, and has said why.
        Stopped: on a signal to this process, or to one of them.
    """
    count = processes.wanted()
    if count == 1 or processes.is_worker():
        return False
    with signals.defer():  # an exception during torch's import can crash Python
        from torch.distributed import run as torchrun
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        from segcore.network import gpus

    logging.disable()  # one message about a failure is enough
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    gpus.reserve(count)
    heeded = ",".join(number.name for number in signals.heeded())
    options = ["--standalone", f"--nproc-per-node={count}", f"--signals-to-handle={heeded}", f"--log-dir={os.devnull}"]
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        torchrun.run(torchrun.parse_args([*options, "-m", stage]))
    except SignalException as error:
        raise signals.Stopped(error.sigval) from None
    except ChildFailedError as error:
        failed = {rank: failure for rank, failure in error.failures.items() if failure.exitcode != processes.ENDED}
        codes = {failure.exitcode for failure in failed.values()}
        stopped = {128 + number for number in signals.STOP_SIGNALS}  # by SIGTERM also those that torchrun has stopped
        if said_why := [code for code in codes - stopped if code > 0]:
            sys.exit(max(said_why))
        for rank, failure in sorted(failed.items(), key=lambda item: item[1].exitcode == -signal.SIGTERM):
            if failure.exitcode < 0:
                raise UserError(
                    f"process {failure.pid}, number {rank} of {count}, was ended by {failure.signal_name()}; run the "
                    "same command again: train goes on from its last checkpoint. If memory ran out, `journalctl -k` "
                    "says so"
                ) from None
        raise signals.Stopped(min(codes, default=128 + signal.SIGTERM) - 128) from None
    return True


def _stop_with_parent() -> None:
    while not signals.parent_has_ended():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
