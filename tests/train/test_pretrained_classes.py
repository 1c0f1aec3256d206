"""Weights to start from that were trained for different classes: their classifier layers are not taken."""

from pathlib import Path

import pytest
import torch

from segcore.network.erfnet import ERFNet
from segcore.train.loop import Training
from segcore.train.pretrained import CLASSIFIERS, load_pretrained
from tests.support.idd_lite import CLASSES
from tests.support.published import State, network, saved, saved_as_ours
from tests.support.tiny_training import CPU, data, recipe

CITY = ["road", "car", "sky"]


def load(path: Path, classes: list[str], encoder_only: bool = False) -> tuple[list[str], State, State]:
    """Load it; return the lines for the user, and the state before and after."""
    torch.manual_seed(5)
    model = ERFNet(len(classes), encoder_only)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _, *notes = load_pretrained(path, model, classes)
    return notes, before, model.state_dict()


def assert_taken_but_classifiers(state: State, before: State, after: State) -> None:
    for name, value in after.items():
        expected = before if name.startswith(tuple(CLASSIFIERS)) else state
        assert torch.equal(value, expected[name]), name


DIFFERENT = {
    "more": CLASSES,
    "fewer": CITY[:2],
    "as many": ["road", "car", "tree"],
    "in a different order": ["car", "road", "sky"],
}


@pytest.mark.parametrize("theirs", DIFFERENT.values(), ids=DIFFERENT)
@pytest.mark.parametrize("encoder_only", [False, True])
def test_classifiers_for_different_classes_are_not_taken(tmp_path, theirs, encoder_only):
    state = network(len(theirs))
    notes, before, after = load(saved_as_ours(tmp_path / "model", state, theirs), CITY, encoder_only)
    left = [layer for layer in CLASSIFIERS if f"{layer}.weight" in after]
    notes = [note for note in notes if not note.startswith("decoder not taken")]
    assert notes == [
        f"{layer} keeps its random start: the file has it for the classes {', '.join(theirs)}" for layer in left
    ]
    assert_taken_but_classifiers(state, before, after)


def test_classifiers_for_the_same_classes_are_taken(tmp_path):
    state = network(len(CITY))
    notes, _, after = load(saved_as_ours(tmp_path / "model", state, CITY), CITY)
    assert notes == []
    assert all(torch.equal(value, state[name]) for name, value in after.items())


def test_a_file_without_a_record_is_taken_if_it_has_as_many_classes(tmp_path):
    state = network(len(CITY))
    notes, _, after = load(saved(tmp_path / "erfnet.pth", state), CITY)
    assert notes == []
    assert all(torch.equal(value, state[name]) for name, value in after.items())


def test_a_file_without_a_record_for_a_different_number_of_classes(tmp_path):
    state = network(20)
    notes, before, after = load(saved(tmp_path / "erfnet.pth", state), CITY)
    assert notes == [f"{layer} keeps its random start: the file has it for 20 classes, not 3" for layer in CLASSIFIERS]
    assert_taken_but_classifiers(state, before, after)


def test_names_of_any_length_fit_into_a_message(tmp_path):
    theirs = [f"class\n{i}" + "x" * 50 for i in range(60)]
    notes, *_ = load(saved_as_ours(tmp_path / "model", network(60), theirs), CITY)
    assert all("for the classes 'class" in note and len(note) < 450 and "\n" not in note for note in notes)


@pytest.mark.parametrize("classes", [None, 7, "abc", {}, []])
def test_a_record_without_names_is_no_record_of_classes(tmp_path, classes):
    notes, *_ = load(saved_as_ours(tmp_path / "model", network(3), classes), CITY)
    assert notes == []


def test_a_training_says_that_it_starts_with_random_classifiers(tmp_path):
    path = saved_as_ours(tmp_path / "model", network(7), CLASSES)
    run = Training(recipe(init=path), data(classes=CITY), CPU)
    assert [note.split(" keeps its random start: ")[0] for note in run.notes[1:]] == list(CLASSIFIERS)
