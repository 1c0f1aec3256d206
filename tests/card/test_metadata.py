"""The head of the model card, read independently and compared with what model hubs take."""

import re
from typing import Any

import pytest
import yaml

from segcore.card.metadata import describe, dump
from segcore.files.dataset import FixedSize, Licence
from tests.support.idd_lite import DESCRIPTION, SAMPLE

# https://github.com/huggingface/hub-docs: modelcard.md, and docs/hub/repositories-licenses.md for the licences.
LICENCES = {"mit", "cc-by-nc-sa-4.0", "unknown", "other"}
IDD = DESCRIPTION.dataset(sample=False)
REQUIRED = {"task": {"type"}, "dataset": {"type", "name"}}
OPTIONAL = {"task": {"name"}, "dataset": {"config", "split", "revision", "args"}}

SPECIAL = [
    "a: b",
    "# no comment",
    "- item",
    "yes",
    "null",
    "---",
    "a\n---\nb\n",
    "1e3",
    "0x1f",
    "2026-01-01",
    "{a}, [b]",
    'it\'s "quoted" \\ and *&!%@`|>',
    " blanks ",
    "größe 試 😀",
    "line\u2028separator\x07",
    "long " * 100,
]


def read(**facts: Any) -> dict[str, Any]:
    """The metadata with these facts, as a hub reads them."""
    known = {"name": "a model", "dataset": SAMPLE, "held_out": False, "from_weights": False, "miou": 0.7015}
    return yaml.safe_load(dump(describe(**known | facts)))


def check_schema(head: dict[str, Any]) -> None:
    """Check what the hub's specification asks for."""
    assert head["license"] in LICENCES
    assert ("license_name" in head) == (head["license"] == "other")
    assert "license_link" not in head or "license_name" in head
    assert re.fullmatch("[a-z0-9-]+", head.get("license_name", "x"))
    assert head["pipeline_tag"] == "image-segmentation"
    assert isinstance(head["library_name"], str)
    for key in ("tags", "datasets", "metrics"):
        assert all(re.fullmatch(r"[\w./-]+", value) for value in head[key])
    for model in head.get("model-index", []):
        assert isinstance(model["name"], str)
        for result in model["results"]:
            for part, required in REQUIRED.items():
                assert required <= result[part].keys() <= required | OPTIONAL[part]
            assert result["task"]["type"] == head["pipeline_tag"]
            assert result["dataset"]["type"] in head["datasets"]
            for metric in result["metrics"]:
                assert metric["type"] in head["metrics"]
                assert isinstance(metric["value"], float)


@pytest.mark.parametrize("dataset", [SAMPLE, IDD, IDD.model_copy(update={"name": "道路", "home": None})])
@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("from_weights", [True, False])
@pytest.mark.parametrize("miou", [0.7015, 0.0, 1.0, None])
def test_it_is_what_hubs_take(dataset, held_out, from_weights, miou):
    head = read(dataset=dataset, held_out=held_out, from_weights=from_weights, miou=miou)
    check_schema(head)
    found = [metric["value"] for model in head.get("model-index", []) for metric in model["results"][0]["metrics"]]
    assert found == ([] if miou is None else [miou])


def test_licence_and_data_are_those_of_the_frames():
    assert read()["license"] == "mit"
    assert read(from_weights=True)["license"] == "unknown"
    idd = read(dataset=IDD)
    assert (idd["license"], idd["license_name"]) == ("other", "idd-lite")
    assert idd["license_link"] == "https://idd.insaan.iiit.ac.in/"
    assert "license_link" not in read(dataset=IDD.model_copy(update={"home": None}))
    assert idd["datasets"] == ["idd-lite"]
    assert read()["datasets"] == ["the-built-in-sample"]
    other = IDD.model_copy(update={"licence": Licence(terms="Share alike.", spdx="CC-BY-NC-SA-4.0")})
    assert (read(dataset=other)["license"], read(dataset=other, from_weights=True)["license"]) == (
        "cc-by-nc-sa-4.0",
        "unknown",
    )
    splits = [read(held_out=held_out)["model-index"][0]["results"][0]["dataset"]["split"] for held_out in (False, True)]
    assert splits == ["val", "holdout"]


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        (FixedSize(width=256, height=128, resampling="nearest"), "mIoU at 256×128 pixels, without void"),
        (FixedSize(width=2048, height=1024, resampling="nearest"), "mIoU at 2048×1024 pixels, without void"),
        ("native", "mIoU at native size, without void"),
    ],
)
def test_the_metric_says_at_which_size(protocol, name):
    [model] = read(dataset=IDD.model_copy(update={"protocol": protocol}))["model-index"]
    assert [metric["name"] for metric in model["results"][0]["metrics"]] == [name]


@pytest.mark.parametrize("name", SPECIAL)
def test_names_may_have_any_characters(name):
    assert read(name=name)["model-index"][0]["name"] == name
    head = read(dataset=IDD.model_copy(update={"name": name, "home": name}))
    check_schema(head)
    assert head["model-index"][0]["results"][0]["dataset"]["name"] == head["license_link"] == name


@pytest.mark.parametrize("name", SPECIAL)
def test_a_change_of_a_fact_is_a_change_of_one_line(name):
    facts = {"dataset": SAMPLE, "held_out": False, "from_weights": False, "miou": 0.5}
    old, new = (dump(describe(name=text, **facts)).split("\n") for text in ("erfnet", name))
    assert [before for before, after in zip(old, new, strict=True) if before != after] == ["- name: erfnet"]
    assert "---" not in new
