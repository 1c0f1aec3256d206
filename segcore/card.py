"""The model card: what the model is, what it was made from, how good it is and where not, and what it is for.

Source of the form: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. One fact a line, so that a change
shows in a diff as what it is.
"""

import json
from collections.abc import Iterable, Iterator
from numbers import Integral

import numpy as np

from segcore.card_facts import IDD_LITE, SAMPLE, Facts
from segcore.counts import score
from segcore.labels import CLASSES

WORST = 5  # drives that are named

DATA = {
    SAMPLE: "Street scenes drawn by this repository.",
    IDD_LITE: "IDD-Lite, of which 1403, 204 and 404 frames are published, or other frames in its layout.",
}
USE = """\
For research on the segmentation of road scenes, and as a small baseline to compare others with.

Not for decisions in a vehicle, nor for any other on which somebody's safety hangs. What other roads, weather, light or
cameras than those of the data do to the scores is not known.
"""
LICENCE = {
    SAMPLE: "The frames are drawn by `segcore/sample.py`, under this repository's licence.",
    IDD_LITE: """\
The frames are under the terms of IDD, https://idd.insaan.iiit.ac.in/, which forbid to pass them on. The weights were
learnt from them: read the terms before you pass those on, or use them for other things than research.
""",
}
START = "The weights that it started from have terms of their own, which hold for what became of them, too."


def write(facts: Facts) -> str:
    """The card in Markdown."""
    sections = {
        "Model": describe_model(facts),
        "Data": describe_data(facts),
        "Scores": describe_scores(facts),
        "Known failures": describe_failures(facts),
        "Use": [USE],
        "Licence": [LICENCE[facts.source.data], *([START] if facts.about.init else [])],
        "Recipe": describe_recipe(facts),
        "Make it again": describe_repetition(facts),
    }
    lines = [f"# Model card: ERFNet on {facts.source.data}"]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"


def describe_model(facts: Facts) -> Iterator[str]:
    """What the network is."""
    height, width = facts.about.input_size
    part = "the encoder of ERFNet" if facts.about.params.get("model", {}).get("encoder_only") else "ERFNet"
    yield f"- {part} (https://doi.org/10.1109/TITS.2017.2750080), {facts.weights:,} weights"
    yield f"- from: an RGB frame at {width}×{height} pixels"
    yield f"- to: a class of each pixel, {', '.join(CLASSES)}"
    yield f"- started from: {'random numbers' if facts.about.init is None else f'weights of md5 {facts.about.init}'}"
    yield f"- file: `data/model/erfnet.safetensors`, SHA-256 `{facts.digest}`"


def describe_data(facts: Facts) -> Iterator[str]:
    """What it was trained and scored on."""
    yield DATA[facts.source.data]
    yield ""
    held_out = facts.validation.validation == "holdout"
    yield f"Scored on {'drives that were held out of train' if held_out else 'the val split that came with it'}."
    yield ""
    yield from table(["split", "frames", "drives"], facts.splits.itertuples())


def describe_scores(facts: Facts) -> Iterator[str]:
    """How good it is on val: as a whole, and by class."""
    scores, pixels = facts.scores, facts.confusion
    yield "On val, without void; but for the one at native size by the protocol of IDD-Lite's organisers, at 256×128."
    yield ""
    yield f"- mIoU: {text(scores.miou)}"
    yield f"- mIoU at native size: {text(scores.miou_native)}"
    if scores.miou_flip is not None:
        yield f"- mIoU of the mean of each frame and its mirror image: {text(scores.miou_flip)}"
    yield f"- pixel accuracy: {text(scores.pixel_accuracy)}"
    yield ""
    hits, truth, predicted = np.diag(pixels), pixels.sum(axis="columns"), pixels.sum(axis="index")
    columns = map(scores.iou.get, CLASSES), hits / truth, hits / predicted, truth / truth.sum()
    rows = zip(CLASSES, *columns, strict=True)
    yield from table(["class", "IoU", "recall", "precision", "share of pixels"], rows)


def describe_failures(facts: Facts) -> Iterator[str]:
    """What each class is most often taken for, and the drives with the lowest scores."""
    wrong = facts.confusion.where(~np.eye(len(CLASSES), dtype=bool), 0)
    most = (wrong.max(axis="columns") / facts.confusion.sum(axis="columns")).fillna(0)
    yield "What the pixels of each class are most often taken for:"
    yield ""
    rows = ((name, wrong.loc[name].idxmax(), most[name]) for name in CLASSES if most[name])
    yield from table(["class", "taken for", "share of its pixels"], rows)
    drives = score(facts.counts, by=("drive",)).sort_values(kind="stable")
    frames = facts.counts.groupby("drive")["frame"].nunique()
    yield ""
    yield f"The lowest scores of {len(drives)} drives:"
    yield ""
    rows = ((drive, frames[drive], miou) for drive, miou in drives.head(WORST).items())
    yield from table(["drive", "frames", "mIoU over its classes"], rows)


def describe_recipe(facts: Facts) -> Iterator[str]:
    """The parameters of the training."""
    values = (
        (f"{section}.{name}", json.dumps(value))
        for section, leaves in facts.about.params.items()
        for name, value in leaves.items()
    )
    yield from table(["parameter", "value"], values)


def describe_repetition(facts: Facts) -> Iterator[str]:
    """How to make it again, and what its bytes depend on besides."""
    about = facts.about
    yield "Check out the commit that this file is of, bring the data, and run `make repro`. This model was made on:"
    yield ""
    yield f"- device: {about.device}, {about.threads} threads"
    yield f"- computed in: {about.precision}"
    yield from (f"- {name}: {version}" for name, version in about.versions.items())


def table(head: list[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The lines of a table: names on the left, values on the right."""
    yield f"| {' | '.join(head)} |"
    yield f"|---{'|---:' * (len(head) - 1)}|"
    for row in rows:
        yield f"| {' | '.join(map(text, row))} |"


def text(value: object) -> str:
    """Text as it is, but for what would end a cell; a whole number; another with 4 decimals; a dash for none."""
    if isinstance(value, str):
        return value.replace("|", "\\|").replace("\n", " ")
    if value is None or np.isnan(value):
        return "–"
    return str(value) if isinstance(value, Integral) else f"{value:.4f}"
