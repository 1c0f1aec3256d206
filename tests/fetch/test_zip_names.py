"""Names in a ZIP: the root as an entry, and backslashes from Windows."""

import zipfile
from pathlib import Path

import pytest

from segcore.fetch import archive
from segcore.fetch.members import Limits
from segcore.runtime.errors import UserError
from tests.support import tiny

FAT, UNIX, HPFS, NTFS, MVS, VFAT = 0, 3, 6, 10, 11, 14


def write(path: Path, names: list[str], system: int) -> Path:
    """Write a ZIP whose files have their own names as content."""
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system = name, system
            out.writestr(info, b"" if name.endswith(("/", "\\")) else name.encode())
    return path


def unpack(tmp_path: Path, names: list[str], system: int) -> list[str]:
    path = write(tmp_path / "x.zip", names, system)
    archive.unpack(path, tmp_path / "root", lambda name: Path(name.replace("\\", "|")), Limits())
    return sorted(tiny.contents(tmp_path / "root"))


@pytest.mark.parametrize("root", ["/", "//", "./", "\\"])
@pytest.mark.parametrize("system", [FAT, UNIX])
def test_an_entry_for_the_root_is_passed_over(tmp_path, root, system):
    if root != "\\" or system == FAT:
        assert unpack(tmp_path, [root, "a/b"], system) == ["a/b"]


@pytest.mark.parametrize("system", [FAT, HPFS, NTFS, VFAT])
def test_backslashes_of_a_system_that_has_them_are_slashes(tmp_path, system):
    names = ["a\\", "a\\b\\c.txt", "a\\.\\d.txt", "e/f\\g"]
    assert unpack(tmp_path, names, system) == ["a/b/c.txt", "a/d.txt", "e/f/g"]


@pytest.mark.parametrize("system", [UNIX, MVS])
def test_backslashes_of_other_systems_are_slashes_only_if_there_are_no_others(tmp_path, system):
    assert unpack(tmp_path, ["a\\b"], system) == ["a/b"]
    (tmp_path / "second").mkdir()
    assert unpack(tmp_path / "second", ["a\\b", "c/d"], system) == ["a|b", "c/d"]


@pytest.mark.parametrize(
    "name", ["..\\x", "a\\..\\..\\x", "\\x", "\\\\server\\share\\x", "C:\\x", "c:x", "a/..\\x", "/x", "../x"]
)
@pytest.mark.parametrize("system", [FAT, NTFS])
def test_backslashes_lead_nowhere_else(tmp_path, name, system):
    (tmp_path / "inner").mkdir()
    with pytest.raises(UserError) as error:
        unpack(tmp_path / "inner", ["a\\b", name], system)
    assert ": an absolute path, or a path with `..`" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]
