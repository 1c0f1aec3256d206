"""The page of `dvc plots show`: every plot that dvc.yaml asks for, no other, and the pictures."""

import re
import subprocess
import sys

import pytest

from tests.support.workspace import ROOT


def test_plots_show_draws_all_of_them_and_nothing_else(finished, tmp_path):
    finished.dvc("plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    titles = {"loss", "learning rate", "validation mIoU", "IoU per class", "accuracy by confidence"}
    assert all(f'"text": "{title}"' in page for title in titles)
    assert page.count('"$schema"') == len(titles) + 1  # and the confusion matrix
    assert "share of each true class" in page
    assert "<DVC_" not in page  # nothing of a template is left over
    pictures = {path.name for path in (finished.root / "data/renders").iterdir()}
    shown = {path.name.removeprefix("workspace_data_renders_") for path in (tmp_path / "plots/static").iterdir()}
    assert shown == pictures


def test_the_page_takes_vega_from_the_environment_and_only_else_from_the_network(finished, tmp_path):
    finished.dvc("plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    assert page.index('<script src="../.venv/vega.js">') < page.index("vegaEmbed(")
    before, asleep, after = re.split("<template[^>]*>|</template>", page)  # loaded only when the page's script says so
    assert "https://" in asleep
    assert [part for part in (before, after) if '<script src="https://' in part] == []


def test_install_puts_vega_there(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv/installed").touch()
    subprocess.run(["make", "--silent", "--file", str(ROOT / "Makefile"), "install"], cwd=tmp_path, check=True)
    assert "window.vegaEmbed=" in (tmp_path / ".venv/vega.js").read_text()
    assert not (tmp_path / ".venv/vega.js.partial").exists()


@pytest.mark.parametrize("folder", ["", "docs/"])
def test_git_ignores_the_page_which_has_frames_in_it(finished, folder):
    assert finished.git("check-ignore", f"{folder}dvc_plots/static/frame.png")
