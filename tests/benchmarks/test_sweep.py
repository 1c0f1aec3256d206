"""The sweep of recipes and seeds, with the built-in sample."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import sweep
from tests.support.running import ROOT

pytestmark = pytest.mark.system

RECIPES = """
default: {}
wrong: {train: {lr: -1}}
longer: {train: {epochs: 2}, augment: {flip: false}}
"""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("data params.yaml", "'data' is a directory"),
        ("params.yaml data", "'data' is a directory"),
        ("params.yaml params.yaml --validation test", "'test' is not one of"),
    ],
)
def test_a_folder_as_a_file_and_unknown_validation_frames_are_refused(arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    app = typer.Typer()
    app.command()(sweep.main)
    done = CliRunner().invoke(app, [*arguments.split(), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert problem in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changed", ["archive", "params.yaml", "data/sets/idd_lite.yaml", "stages/fetch.py"])
def test_a_folder_of_results_is_for_one_state_of_code_parameters_and_data(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "ROOT", tmp_path)
    for name in ("archive", "params.yaml", "data/sets/idd_lite.yaml", "stages/fetch.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    for _ in range(2):
        sweep.claim(tmp_path / "out", tmp_path / "archive")
    (tmp_path / changed).write_text("after")
    with pytest.raises(typer.BadParameter, match="has results of different code, parameters or data"):
        sweep.claim(tmp_path / "out", tmp_path / "archive")


def test_it_goes_on_where_it_was_until_every_recipe_has_its_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    recipes, results = tmp_path / "recipes.yaml", tmp_path / "out/results.jsonl"
    recipes.write_text(RECIPES)

    def run(minutes: float) -> tuple[int, list[dict]]:
        """Return the exit code and the lines of the results."""
        settings = {"seeds": 1, "epochs": 1, "height": 16, "validation": "holdout", "jobs": 2, "minutes": minutes}
        with pytest.raises(typer.Exit) as done:
            sweep.main(ROOT / "data/sample.tar.gz", recipes, tmp_path / "out", **settings)
        return done.value.exit_code, [json.loads(line) for line in results.read_text().splitlines()]

    results.parent.mkdir()
    results.touch()
    assert run(minutes=0) == (0, [])
    assert run(minutes=0.02)[1] == []  # stopped while they start

    code, rows = run(minutes=5)
    assert code == 1
    assert re.search(r"/train\.log, the stage train' returned non-zero exit status 1", capsys.readouterr().err)
    assert {row["recipe"]: row["changes"]["train"] for row in rows} == {
        "default": {"epochs": 1, "seed": 1},
        "longer": {"epochs": 2, "seed": 1},
    }
    assert all(row["seconds"] > 0 and 0 <= row["miou"] <= 1 for row in rows)

    recipes.write_text("default: {preprocess: {height: 8}}")
    with pytest.raises(typer.BadParameter, match="default: preprocess is none of augment, model, train"):
        run(minutes=5)

    recipes.write_text("default: {}\nlonger: {train: {epochs: 2}, augment: {flip: false}}\n")
    monkeypatch.setattr(sweep, "execute", None)  # nothing is trained again
    assert run(minutes=5) == (0, rows)

    (tmp_path / "out/origin").write_text("of older code")
    with pytest.raises(typer.BadParameter, match="has results of different code, parameters or data"):
        run(minutes=5)
