"""Notice that HEAD is still detached because a ``dvc exp run`` was killed."""

import os
import re
import shlex
import subprocess

# The newest entries of HEAD's log if DVC detached HEAD and never put it back, newest first. DVC detaches and restores
# HEAD to save the workspace, then detaches it for the run. A run that begins with a detached HEAD ends with one.
NEVER_RESTORED = re.compile(
    r"""(?: .*\ (?: commit:\ dvc:\ .* | dvc:\ Restore\ HEAD\ to\ '[0-9a-f]{40,}' )\n )*
        HEAD@\{ (?P<time> \d+ ) }\ checkout:\ moving\ from\ (?P<branch> .+ )\ to\ [0-9a-f]{40,}\n
        .*\ dvc:\ Restore\ HEAD\ to\ '(?P=branch)'\n""",
    re.VERBOSE,
)


def advice() -> str | None:
    """Return a line that names the branch to go back to; None if no run was killed, or git cannot say.

    During a `dvc exp run` HEAD is always detached: a kill shows only if HEAD was so before the run began.
    """
    try:
        found = NEVER_RESTORED.match(_git("reflog", "--date=unix", "--format=%gd %gs", "HEAD"))
        if found and "DVC_EXP_NAME" in os.environ:
            began = int(_git("log", "-1", "--format=%ct", "refs/exps/exec/EXEC_MERGE"))
            found = found if int(found["time"]) < began else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not found:
        return None
    return (
        "HEAD has been detached since a `dvc exp run` was killed; before you commit, run "
        f"`git switch {shlex.quote(found['branch'])}` (see docs/after-a-crash.md)"
    )


def _git(*arguments: str) -> str:
    command = ["git", "-c", "log.showSignature=false", *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=True).stdout
