"""Digests of files, as DVC records them."""

import hashlib
from pathlib import Path


def md5(path: Path) -> str:
    """The digest that dvc.lock has for the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
