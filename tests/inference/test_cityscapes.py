"""Scores at native size against the evaluation script of Cityscapes."""

from types import SimpleNamespace

import numpy as np
import pytest
from cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling import evaluateImgLists
from cityscapesscripts.helpers.labels import labels
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.inference.protocol import Evaluation

VOID = 255
KNOWN = [label for label in labels if label.id >= 0]
CLASSES = sorted((label for label in KNOWN if label.trainId != VOID), key=lambda label: label.trainId)


def random_ids(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth with all ids of Cityscapes, and a prediction of the first ``count`` classes, half of it right."""
    truth = rng.choice([label.id for label in KNOWN], (60, 80))
    drawn = rng.choice([label.id for label in CLASSES[:count]], truth.shape)
    right = (rng.random(truth.shape) < 0.5) & np.isin(truth, [label.id for label in CLASSES])
    return truth.astype(np.uint8), np.where(right, truth, drawn).astype(np.uint8)


@pytest.mark.parametrize("present", [19, 11])
def test_scores_are_those_of_the_script(tmp_path, present):
    rng, ours = np.random.default_rng(present), Evaluation([label.name for label in CLASSES], "native")
    train_ids = np.full(256, VOID, np.uint8)
    train_ids[[label.id for label in CLASSES]] = range(19)
    files = []
    for number in range(3):
        truth, prediction = random_ids(rng, present)
        if present < 19:  # the other classes are in neither map
            absent = [label.id for label in CLASSES[present:]]
            truth[np.isin(truth, absent)] = 0
            prediction[np.isin(prediction, absent)] = CLASSES[0].id
        files.append([tmp_path / f"{number}_{kind}.png" for kind in ("prediction", "gtFine_labelIds")])
        for path, ids in zip(files[-1], (prediction, truth), strict=True):
            Image.fromarray(ids).save(path)
        ours.add(Frame("val", "city", str(number)), train_ids[truth], train_ids[prediction])
    settings = SimpleNamespace(
        evalInstLevelScore=False, evalPixelAccuracy=False, evalLabels=[], quiet=True, JSONOutput=False
    )
    theirs = evaluateImgLists(*([str(path) for path in paths] for paths in zip(*files, strict=True)), settings)
    scores = ours.scores()
    for name, score in scores.iou.items():
        expected = theirs["classScores"][name]
        assert score == (None if np.isnan(expected) else round(expected, 4))
    assert sum(score is not None for score in scores.iou.values()) == present
    assert scores.miou == scores.miou_native == round(theirs["averageScoreClasses"], 4)
