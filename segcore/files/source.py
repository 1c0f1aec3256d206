"""Origin of the frames of this run, and the licence that follows from it."""

from pathlib import Path

from pydantic import ConfigDict

from segcore.files.params import load
from segcore.runtime.typed import Strict

SAMPLE = Path("data/sample.tar.gz")


class FetchSource(Strict):
    """Parameter of section `fetch` that says where the frames come from."""

    model_config = ConfigDict(extra="ignore")
    source: str


def is_sample() -> bool:
    """Return whether the frames are those of the built-in sample.

    Raises:
        UserError: if params.yaml does not say where they come from.
    """
    return Path(load("fetch", FetchSource).source) == SAMPLE


def licence(started_from_weights: bool = False) -> str:
    """Return the licence of the frames and what it means for the weights, as plain text.

    Args:
        started_from_weights: whether training started from weights that somebody else published.

    Raises:
        UserError: if params.yaml does not say where the frames come from.
    """
    if is_sample():
        terms = ["The frames are drawn by tools/scenes, under the licence of this model's repository."]
    else:
        terms = [
            "The frames are under the terms of IDD, https://idd.insaan.iiit.ac.in/, which forbid passing them on.",
            "The weights were learnt from these frames: read the terms before you pass the weights on, or use them "
            "for anything but research.",
        ]
    if started_from_weights:
        terms.append("The weights that training started from have terms of their own, which apply, too.")
    return " ".join(terms)
