"""Run the fetch stage as a process, on the tiny data set in IDD-Lite's names or in those of a different description."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from segcore.files.description import SETS
from tests.support import tiny
from tests.support.running import ROOT, run_stage

IDD_LITE = str(ROOT / SETS / "idd_lite.yaml")


def fetch(cwd: Path, source: str | Path, sha256: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the stage in ``cwd``."""
    return fetch_with(cwd, {"dataset": IDD_LITE, "source": str(source), "sha256": sha256}, **options)


def fetch_with(cwd: Path, section: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the stage in ``cwd`` with ``section`` as ``fetch`` of its params.yaml."""
    (cwd / "params.yaml").write_text(yaml.safe_dump({"fetch": section}))
    return run_stage("fetch", cwd, **options)


def fetched(cwd: Path) -> dict[str, bytes]:
    """Return the frames and labels, after a check that there is nothing else but dataset.json."""
    files = tiny.contents(cwd / "data")
    assert files.pop("raw/dataset.json")
    return {name.removeprefix("raw/"): data for name, data in files.items()}


def archived(folder: Path, changes: Mapping[str, bytes | None]) -> Path:
    """An archive of the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in {**tiny.published(), **changes}.items() if data is not None}
    return tiny.write_tar(folder / "x.tar.gz", tiny.under("idd20k_lite", files))


def described(folder: Path, **changes: object) -> str:
    """Write a description of a data set that is named as Cityscapes and IDD are, in parts, with labels of two kinds."""
    images = "leftImg8bit/{split}/{drive}/{frame}_leftImg8bit.{png|jpg}"
    content = {
        "name": "Full",
        "about": "Frames of two parts.",
        "licence": {"terms": "For tests.", "spdx": "mit"},
        "classes": {
            "road": {"colour": [9, 9, 9], "ids": [0, 1, 2, 3], "names": ["road"]},
            "sky": {"colour": [99, 9, 9], "ids": [4, 5, 6], "names": ["sky"]},
        },
        "void": {"ids": [255]},
        "layouts": [
            {"images": images, "labels": "gtFine/{split}/{drive}/{frame}_gtFine_labelIds.png"},
            {
                "images": images,
                "labels": "gtFine/{split}/{drive}/{frame}_gtFine_polygons.json",
                "encoding": "polygons",
            },
        ],
        "parts": ["part_1", "part_2"],
        "size": [8, 6],
        "splits": {"train": {"required": True, "frames": 3}, "val": {"required": True}},
    } | changes
    path = folder / "sets/full.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def full() -> dict[str, bytes]:
    """The tiny data set in the names of :func:`described`."""
    ends = {"_image.jpg": "_leftImg8bit.jpg", "_label.png": "_gtFine_labelIds.png"}
    files = tiny.published()
    return {name[:-10] + ends[name[-10:]]: data for name, data in files.items()}
