"""The benchmark of large frames, run small."""

import pytest

from benchmarks import large_frames

pytestmark = pytest.mark.system


def test_large_frames_has_a_row_for_each_stage_and_number_of_frames(tmp_path):
    rows = large_frames.measure(tmp_path, counts=(8, 16), size=(192, 108), input_size=(32, 64))
    assert [(row["stage"], row["frames"]) for row in rows] == [
        ("fetch", 8),
        ("preprocess", 8),
        ("train", 8),
        ("fetch", 16),
        ("preprocess", 16),
    ]
    assert all(row["seconds"] > 0 and row["decoding alone"] > 0 for row in rows)
