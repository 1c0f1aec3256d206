"""The expected calibration error against a plain reading of its definition."""

import numpy as np

from segcore.evaluate.calibration import BINS, Calibration


def reference(truth, prediction, confidence):
    """The definition, bin by bin: Guo et al. 2017, equations 2 to 5."""
    valid = truth.ravel() < 7
    right, believed = (truth == prediction).ravel()[valid], confidence.ravel()[valid].astype(float)
    error = 0.0
    for m in range(1, BINS + 1):
        members = (believed > (m - 1) / BINS) & (believed <= m / BINS)
        if members.any():
            error += members.sum() / valid.sum() * abs(right[members].mean() - believed[members].mean())
    return error


def test_the_error_is_that_of_the_definition():
    rng = np.random.default_rng(3)
    frames = []
    calibration = Calibration()
    for height, width in [(20, 30), (25, 10), (7, 9)]:
        truth = rng.integers(0, 8, (height, width), dtype=np.uint8)
        truth[truth == 7] = 255
        prediction = np.where(rng.random(truth.shape) < 0.6, truth, 2).astype(np.uint8)
        confidence = rng.uniform(1 / 7, 1, truth.shape).astype(np.float32)
        calibration.add(truth, prediction, confidence)
        frames.append((truth.ravel(), prediction.ravel(), confidence.ravel()))
    assert calibration.error == round(reference(*map(np.concatenate, zip(*frames, strict=True))), 4) > 0


def test_a_model_that_is_as_accurate_as_it_says_has_no_error():
    truth = np.zeros((10, 10), np.uint8)
    prediction = truth.copy()
    prediction[:2] = 1
    calibration = Calibration()
    calibration.add(truth, prediction, np.full(truth.shape, 0.8, np.float32))
    assert calibration.error == 0
    assert calibration.rows() == [(0.8, 0.8, 1.0)]


def test_void_does_not_count():
    truth = np.array([[0, 255], [255, 255]], np.uint8)
    calibration = Calibration()
    calibration.add(truth, np.zeros_like(truth), np.array([[1.0, 0.2], [0.2, 0.2]], np.float32))
    assert calibration.rows() == [(1.0, 1.0, 1.0)]


def test_nothing_valid_has_no_error():
    calibration = Calibration()
    calibration.add(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), np.ones((2, 2), np.float32))
    assert calibration.error is None
    assert calibration.rows() == []


def test_bins_are_closed_above():
    truth = np.zeros((1, 3), np.uint8)
    calibration = Calibration()
    calibration.add(truth, truth, np.array([[1 / 15, 0.5, 1.0]]))
    assert np.flatnonzero(calibration.pixels).tolist() == [0, 7, 14]
