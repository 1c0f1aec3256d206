"""Pictures of frames for the report on a change: predictions and errors before and after, to be laid over the frame."""

import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from dvc.api import DVCFileSystem
from dvc_data.index import DataIndexDirError
from PIL import Image

from segcore.dataset.classes import VOID, VOID_COLOUR
from segcore.dataset.frames import Frame
from segcore.drawing.pictures import Colour, palette
from segcore.files.dataset import DATASET, read_dataset
from segcore.files.images import NATIVE, PREDICTIONS, read_labels
from segcore.files.scores import COUNTS, FRAME, class_scores, classes_of
from segcore.render.panels import read_predicted
from segcore.repository.dvc import explain
from segcore.review.comparison import Comparison
from segcore.runtime.errors import UserError
from segcore.templates.jinja import data_uri, jpeg_uri

WORST = 5  # frames
WIDEST = 960  # pixels of a picture, so that a page of large frames stays small
NO_MORE = (
    "No more frames are here. `dvc pull` gets those of the workspace, `dvc fetch --all-commits` those of other "
    "commits, if they were pushed and the remote can be reached."
)


class Layer(NamedTuple):
    """A picture to lay over a frame: prediction, errors or truth; before, after or, for the truth, neither."""

    kind: str
    side: str
    picture: str  # as a data: URI


class FramePictures(NamedTuple):
    """A frame, its mean IoU before and after, the class that changed most, and its pictures, as ``data:`` URIs."""

    name: str
    before: float
    after: float
    most: str
    picture: str
    layers: list[Layer]


class FrameSection(NamedTuple):
    """Pictures of frames under a title. Links lead to ``id`` and a number; ``note`` says why there are no more."""

    id: str
    title: str
    classes: dict[str, Colour]
    pictures: list[FramePictures]
    note: str

    @property
    def ids(self) -> list[str]:
        """The ids of the pictures."""
        return [f"{self.id}-{number + 1}" for number in range(len(self.pictures))]


def draw_frames(comparison: Comparison) -> list[FrameSection]:
    """Return pictures of the frames that became worse or better most, and of those that are worst now."""
    worst = comparison.frames.sort_values("after", kind="stable").head(WORST)
    most, found = most_changed(comparison), []
    sections = ("changed", "Frames that became worse or better", comparison.shown), ("worst", "Worst frames", worst)
    for id, title, frames in sections:
        classes, pictures, note = {}, [], "None." if frames.empty else ""
        try:
            dataset, stored = read_dataset(), DVCFileSystem(rev=comparison.base.commit)
            if dataset.names != classes_of(comparison.new.counts):
                raise UserError(f"{DATASET} and {COUNTS} have different classes")
            classes = {**dataset.classes, "void": VOID_COLOUR}
            for drive, name, before, after, _ in frames.to_numpy().tolist():
                frame = Frame("val", drive, name)
                picture, layers = draw_layers(frame, stored, dataset.colours)
                pictures.append(FramePictures(str(frame), before, after, most.get((drive, name), ""), picture, layers))
        except (FileNotFoundError, DataIndexDirError):
            note = NO_MORE
        except Exception as error:  # those of the libraries below DVC, too
            note = f"No more frames can be read: {explain(error)}."
        found.append(FrameSection(id, title, classes, pictures, note))
    return found


def most_changed(comparison: Comparison) -> dict[tuple[str, str], str]:
    """Return the class whose IoU changed most, and both IoUs, by drive and frame; no frame whose IoUs are the same."""
    before, after = class_scores(comparison.base.counts), class_scores(comparison.new.counts)
    change = (after - before).abs()
    largest = change[change > 0].groupby(level=FRAME).idxmax()
    return {
        (drive, name): f"{kind} {before[drive, name, kind]:.3f} → {after[drive, name, kind]:.3f}"
        for drive, name, kind in largest
    }


def draw_layers(frame: Frame, stored: DVCFileSystem, colours: list[Colour]) -> tuple[str, list[Layer]]:
    """Return a frame, and its truth and predictions and their errors, before (``stored`` by DVC) and after."""
    picture, after = read_predicted(frame, len(colours))
    truth = read_labels(NATIVE / frame.label, picture.size, len(colours))
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, frame.label.name)
        stored.get_file(str(PREDICTIONS / frame.prediction), str(old))
        before = read_labels(old, picture.size, len(colours))
    size = picture.size
    if picture.width > WIDEST:
        size = WIDEST, max(1, round(picture.height * WIDEST / picture.width))
    layers = [Layer("truth", "", class_uri(truth, size, colours))]
    for side, predicted in (("before", before), ("after", after)):
        wrong = np.where((predicted != truth) & (truth != VOID), truth, VOID).astype(np.uint8)
        layers.append(Layer("prediction", side, class_uri(predicted, size, colours)))
        layers.append(Layer("errors", side, class_uri(wrong, size, colours, void_is_clear=True)))
    return jpeg_uri(picture.resize(size, Image.Resampling.LANCZOS)), layers


def class_uri(labels: np.ndarray, size: tuple[int, int], colours: list[Colour], void_is_clear: bool = False) -> str:
    """Return class ids H×W as a PNG in the colours of the classes, which a palette makes ten times as small."""
    drawn = Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)
    drawn.putpalette(palette(colours).tobytes())
    content = io.BytesIO()
    drawn.save(content, "PNG", optimize=True, **({"transparency": VOID} if void_is_clear else {}))
    return data_uri(content.getvalue(), "png")
