"""Open the plain files below a folder, and no others, whatever happens to the folder meanwhile.

With ``cache.type symlink``, DVC puts a link to its cache in the place of each file. These links are followed.
"""

import os
import stat
from functools import cached_property
from pathlib import Path
from typing import IO

from segcore.runtime.errors import UserError


class PlainFiles:
    """The plain files below ``folder``, and those in DVC's cache that links below it lead to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = Path(os.path.realpath(folder))

    def find(self, path: Path) -> Path:
        """Return the real path of a file below the folder.

        Raises:
            UserError: if it is a special file, or a link that leads elsewhere than to a plain file in DVC's cache.
        """
        real = Path(os.path.realpath(path))
        plain = real == self.real / path.relative_to(self.folder)
        if not real.exists() and self._is_in_cache(real):
            raise UserError(
                f"{path}: a link to a file that is not in DVC's cache; `dvc pull` or `dvc checkout` may get it"
            )
        if not real.is_file() or not (plain or self._is_in_cache(real)):
            raise self._refusal(path)
        return real

    def open(self, path: Path) -> IO[bytes]:
        """Open a file below the folder for reading.

        Raises:
            UserError: as :meth:`find`, also if it was replaced since that looked at it.
        """
        real = self.find(path)
        # Something else may be there by now: a link is an error, and a named pipe does not block.
        file = os.fdopen(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        opened = opened_as(file).readlink()  # not real, if a folder above the file has become a link
        if opened != real or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise self._refusal(path)
        return file

    def _is_in_cache(self, real: Path) -> bool:
        return self._cache is not None and real.is_relative_to(self._cache)

    @cached_property
    def _cache(self) -> Path | None:
        """The folder of DVC's cache that has the files; ``None`` outside a DVC project."""
        from dvc.exceptions import DvcException  # only here: few folders have links, and it is slow to import
        from dvc.repo import Repo

        try:
            with Repo() as repo:
                return Path(os.path.realpath(repo.cache.local.path))
        except DvcException:
            return None

    def _refusal(self, path: Path) -> UserError:
        return UserError(
            f"{path}: a link or a special file, which could lead outside {self.folder}; "
            f"make a copy of plain files with `cp -rL` and use that"
        )


def opened_as(file: IO[bytes]) -> Path:
    """Return a path that is this open file, whatever is at its own path by now."""
    return Path(f"/proc/self/fd/{file.fileno()}")
