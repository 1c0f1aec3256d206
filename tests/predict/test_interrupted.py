"""`python -m segcore predict` as a process: killed, stopped, on a full disk, with a bad file."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.predict_inputs import MODEL, OUT, rows, write_inputs
from tests.support.running import ROOT, assert_fails, heed_signals, wait_until
from tests.support.tiny import contents

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_inputs()


def start(*arguments, file_limit=None):
    def prepare():
        heed_signals()
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-m", "segcore", "predict", "in", "--out", "out", "--model", str(MODEL), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare,
    )  # fmt: skip


def wait(process):
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def not_partial():
    return {name: content for name, content in contents(OUT).items() if not name.endswith(".partial")}


def test_a_full_disk_ends_with_a_message_and_the_same_command_goes_on():
    noise = np.random.default_rng(5).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save("in/z.png")
    assert_fails(wait(start(file_limit=10_000)), "File too large")
    assert contents(OUT) == not_partial()
    done = wait(start())
    assert done.returncode == 0, done.stderr
    assert len(rows()) == 4


def test_the_command_says_which_file_is_bad():
    Path("in/bad.png").write_text("hello")
    assert_fails(wait(start()), "1 of 4 were not predicted:\nin/bad.png: not a picture that Pillow can read")
    assert len(rows()) == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_after_a_signal_every_output_is_whole_and_the_same_command_goes_on(number):
    for i in range(400):
        shutil.copy("in/a.png", f"in/{i}.png")
    assert wait(start()).returncode == 0
    undisturbed = contents(OUT)
    shutil.rmtree(OUT)
    process = start()
    wait_until(lambda: len(list(OUT.glob("*_label.png"))) > 20)
    process.send_signal(number)
    done = wait(process)
    left = not_partial()
    assert 20 < len(left) < len(undisturbed)
    assert all(content == undisturbed[name] for name, content in left.items() if name != "predictions.csv")
    if number == signal.SIGINT:
        assert done.stderr.splitlines()[-1].startswith("stopped by SIGINT")
        assert contents(OUT) == left
    again = wait(start())
    assert again.returncode == 0, again.stderr
    assert ", 0 of them" not in again.stderr.splitlines()[0]
    assert not_partial() == undisturbed
