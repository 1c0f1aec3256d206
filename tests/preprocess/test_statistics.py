"""Statistics of the train frames."""

import numpy as np
import pytest

from segcore.preprocess.statistics import Statistics


@pytest.mark.parametrize("level", range(256))
def test_a_channel_with_one_level_has_no_deviation(level):
    statistics = Statistics(["road"])
    statistics.add(np.full((7, 9, 3), level, np.uint8), np.zeros((7, 9), np.uint8))
    summary = statistics.summary()
    assert summary.mean == pytest.approx([level / 255] * 3, abs=1e-6)
    assert summary.std == [0, 0, 0]
