"""The program in docs/export.md runs without torch, onnx, pandas and this repository."""

import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from segcore.files.onnx import OnnxModel
from tests.support.exported import save_random
from tests.support.idd_lite import COLOURS
from tests.support.running import ROOT

BLOCKED = """
import sys
for name in ("torch", "segcore", "onnx", "pandas"):
    sys.modules[name] = None  # an import then fails
"""


@pytest.mark.slow
def test_the_example_labels_a_picture_and_draws_an_overlay(tmp_path):
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)
    file = save_random(tmp_path / "erfnet.onnx")
    picture = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[274] = 6  # a camera that was turned; the picture is shown upright
    Image.fromarray(np.ascontiguousarray(np.rot90(picture))).save(tmp_path / "street.png", exif=turned)
    command = [sys.executable, "-c", textwrap.dedent(BLOCKED) + program, "street.png"]
    environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name for path in tmp_path.iterdir()} == {"erfnet.onnx", "street.png", "label.png", "overlay.png"}
    [expected], _ = OnnxModel(file).run(picture[None])
    with Image.open(tmp_path / "label.png") as label, Image.open(tmp_path / "overlay.png") as overlay:
        assert label.mode == "L" and np.mean(np.asarray(label) == expected) > 0.999
        colours = np.array(COLOURS)[np.asarray(label)]
        assert np.abs(np.asarray(overlay) - (picture + colours) / 2).max() <= 1
