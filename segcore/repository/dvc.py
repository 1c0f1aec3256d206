"""DVC, run as a command, its error messages, and dvc.lock, read as YAML."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from segcore.runtime.errors import UserError

LOCK = "dvc.lock"
PLUGIN = re.compile(r"requires\b.*\bdvc-(\w+)")
LOCKED_PLUGINS = {"azure", "gs", "s3", "ssh", "webdav"}  # the plugins in requirements-remotes.lock

# The entries of one stage: `deps` and `outs`, each a list of `path` and `md5`, and `params` by file.
Stage = dict[str, Any]


def dvc(*arguments: str) -> str:
    """Return what a command of DVC prints.

    Raises:
        UserError: if it fails.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UserError(f"`dvc {' '.join(arguments)}` failed: {explain(reason)}")
    return done.stdout


def explain(error: BaseException | str) -> str:
    """Return the text of an error of DVC with its cause, on one line, and what helps if it names no file or command."""
    parts = [error, error.__cause__] if isinstance(error, BaseException) else [error]
    text, *causes = [" ".join(str(part).split()) or type(part).__name__ for part in parts if part is not None]
    text = ": ".join([text, *(cause for cause in causes if cause not in text)])
    text = text.replace(f"{os.path.relpath('/')}/", "")  # in a commit, the project is at the root for DVC
    if "config file error" in text:
        text += " (in .dvc/config, .dvc/config.local or ~/.config/dvc/config)"
    plugin = PLUGIN.search(text)
    return f"{text} (`{_install(plugin[1])}`)" if plugin and "pip install" not in text else text


def _install(plugin: str) -> str:
    made_by_make = Path(sys.prefix, "installed").exists()
    return "make remotes" if made_by_make and plugin in LOCKED_PLUGINS else f"pip install 'dvc[{plugin}]'"


def read_stages(lock: bytes) -> dict[str, Stage]:
    """Return the stages, by name, from the content of a dvc.lock.

    Raises:
        ValueError: if it is not what DVC writes, for example while a conflict is in it.
    """
    try:
        return yaml.load(lock, yaml.CSafeLoader)["stages"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"not what DVC writes: {error}") from None


def digests(entries: list[dict[str, str]]) -> dict[str, str]:
    """Return the md5 by path of the ``deps`` or ``outs`` of a stage."""
    return {entry["path"]: entry["md5"] for entry in entries}
