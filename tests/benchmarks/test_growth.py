"""The benchmark of growth in time and memory, run small."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import typer

from benchmarks import growth, report

pytestmark = pytest.mark.system

SIZES = growth.Sizes(factors=(1, 4), sample={"train": 4, "val": 2, "test": 2}, height=32, width=64, repeats=1, runs=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measure each stage, but not for all that grows; return the folder and the rows."""
    root = tmp_path_factory.mktemp("growth")
    kept = {"train": ("epochs", 4), "evaluate": ("frames", 1)}  # the others differ only by numbers, and take seconds
    chosen = [
        load
        for load in growth.loads(SIZES)
        if load.stages[-1] not in kept or (load.growing, load.factor) == kept[load.stages[-1]]
    ]
    return root, growth.measure(SIZES, chosen, root)


def test_growth_has_a_row_for_each_stage_and_factor_with_time_and_memory(measured):
    _, rows = measured
    assert [(row["growing"], row["stage"], row["factor"], row["frames"], row["size"]) for row in rows] == [
        ("frames", "fetch", 1, 8, "227×320"),
        ("frames", "fetch", 4, 32, "227×320"),
        ("frames", "preprocess", 1, 8, "32×64"),
        ("frames", "preprocess", 4, 32, "32×64"),
        ("frames", "train", 1, 4, "32×64"),
        ("frames", "evaluate", 1, 4, "32×64"),
        ("epochs", "train", 4, 4, "32×64"),
        ("pixels", "preprocess", 1, 32, "16×32"),
        ("pixels", "preprocess", 4, 32, "32×64"),
    ]
    assert all(row["seconds"] > 0 for row in rows)
    assert all(0 < row["anonymous MiB"] < row["peak MiB"] for row in rows)


def test_growth_runs_the_stages_on_the_frames_epochs_and_pixels_of_its_rows(measured):
    root, _ = measured
    assert len(pd.read_csv(root / "metrics/curves.tsv", sep="\t")) == 4
    assert np.load(root / "data/arrays/train_images.npy", mmap_mode="r").shape == (16, 32, 64, 3)
    assert len(list((root / "data/raw").rglob("*.jpg"))) == 32


def test_growth_covers_all_factors_of_what_grows():
    found = [(load.growing, stage, load.factor) for load in growth.loads(growth.Sizes()) for stage in load.stages]
    stages = {"frames": growth.STAGES, "epochs": ["train"], "pixels": ["preprocess", "train", "evaluate"]}
    assert sorted(found) == sorted((what, stage, by) for what in stages for stage in stages[what] for by in (1, 4, 16))
    sizes = {load.factor: load.size for load in growth.loads(growth.Sizes()) if load.growing == "pixels"}
    assert sizes == {1: (80, 160), 4: (160, 320), 16: (320, 640)}


def made_up(growing: str, seconds: list[float], memory: list[float]) -> Iterator[growth.Row]:
    """Yield rows of train, with 10 megapixels at 1×."""
    for factor, took, used in zip((1, 4, 16), seconds, memory, strict=True):
        yield {"growing": growing, "factor": factor, "stage": "train", "megapixels": 10.0 * factor, "seconds": took} | {
            growth.COST: None,
            growth.ANONYMOUS: used,
            growth.PEAK: 900.0,
        }


def test_growth_divides_the_added_seconds_by_the_added_megapixels():
    rows = growth.with_costs(
        [*made_up("frames", [5.0, 11.0, 47.0], [400.0] * 3), *made_up("epochs", [5, 8, 20], [1] * 3)]
    )
    assert [row[growth.COST] for row in rows] == [None, pytest.approx(0.2), pytest.approx(0.3), None, 0.1, 0.1]


@pytest.mark.parametrize(
    ("growing", "seconds", "memory", "complaints"),
    [
        ("frames", [5, 11, 35], [400, 450, 496], []),
        ("frames", [5, 11, 35], [400, 400, 497], ["497 MiB of anonymous memory, 400 with 1×"]),
        ("epochs", [5, 11, 35], [400, 400, 497], ["497 MiB of anonymous memory, 400 with 1×"]),
        ("pixels", [5, 11, 35], [400, 900, 2900], []),
        ("pixels", [5, 11, 11 + 12 * 3.1], [400] * 3, []),
        ("pixels", [5, 11, 11 + 12 * 3.2], [400] * 3, ["0.32 seconds per added megapixel, 0.2 in the first step"]),
    ],
)
def test_growth_ends_with_exit_code_1_and_names_rows_that_are_not_flat_or_not_linear(
    growing, seconds, memory, complaints, tmp_path, monkeypatch, capsys
):
    rows = growth.with_costs(list(made_up(growing, seconds, memory)))
    monkeypatch.setattr(growth, "measure", lambda *_: rows)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    if complaints:
        with pytest.raises(typer.Exit) as ended:
            growth.main()
        assert ended.value.exit_code == 1
    else:
        growth.main()
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"train with 16× the {growing}: {complaint}" for complaint in complaints]
    assert all(word in said.out for word in ("growing", "factor", "stage", "seconds", "anonymous", "peak"))
    written = json.loads((tmp_path / "results/growth.json").read_text())
    assert written["rows"] == rows
    assert written["measured"]["command"].startswith("python -m benchmarks.growth")
