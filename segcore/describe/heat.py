"""Where in the frame each class is, as heat maps."""

import numpy as np
from PIL import Image

# From dark to light, so that it also reads in grey: black, blue, violet, orange, pale yellow.
RAMP = np.array([(0, 0, 10), (50, 20, 110), (150, 45, 125), (240, 125, 60), (252, 253, 190)])


def count_frames(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the number of frames that have each of C classes at each place: uint32 C×H×W.

    Args:
        labels: class ids and void, N×H×W, read frame by frame.
        classes: the number of classes.
    """
    rows, columns = np.indices(labels.shape[1:])
    counts = np.zeros((classes + 1, *labels.shape[1:]), np.uint32)  # the last one is void
    for label in labels:
        counts[np.minimum(label, classes), rows, columns] += 1
    return counts[:classes]


def draw_heat(values: np.ndarray) -> Image.Image:
    """Draw values H×W, from 0, which is dark, to their largest, which is light."""
    level = values / max(values.max(), 1) * (len(RAMP) - 1)
    channels = [np.interp(level, range(len(RAMP)), RAMP[:, k]) for k in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))
