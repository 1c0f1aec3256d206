"""Predict val and test, and score val."""

import json
from pathlib import Path

from segcore import console

ARRAYS = Path("data/arrays")
MODEL = Path("data/model/erfnet.safetensors")
NATIVE = Path("data/native")
PREDICTIONS = Path("data/predictions")
METRICS = Path("metrics/evaluate.json")
CONFUSION = Path("metrics/confusion.json")
FRAMES = Path("metrics/frames.csv")


def main() -> None:
    """Predict val and test at native size, and score val by the IDD-Lite protocol.

    Reads: data/model/erfnet.safetensors, the val and test images and
    frames.csv of data/arrays, and the ground truth in data/native/gtFine/val.

    Writes: data/predictions, metrics/evaluate.json, metrics/confusion.json
    and metrics/frames.csv.

    Parameters: none; what counts is in the model's metadata.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; all cores if unset.
    """
    import numpy as np
    from PIL import Image

    from segcore import arrays, device, evaluation, inference, outputs

    where = device.find_device()
    device.prepare(where)
    predictor = inference.Predictor(MODEL, where)
    result = evaluation.Evaluation()
    with (
        outputs.new_folder(PREDICTIONS) as folder,
        outputs.new_files(METRICS, CONFUSION, FRAMES) as [metrics_file, confusion_file, frames_file],
    ):
        for split in ("val", "test"):
            images = arrays.load_images(ARRAYS, split)
            rows = arrays.read_rows(ARRAYS, split)
            predicted = predictor.predict(images, rows)
            for row, prediction in console.progress(predicted, len(rows), f"evaluate {split}"):
                target = folder / split / row.frame.drive / f"{row.frame.name}_label.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(prediction).save(target)
                if split == "val":
                    with Image.open(NATIVE / row.frame.label) as truth:
                        result.add(row.frame.drive, row.frame.name, np.asarray(truth), prediction)
        metrics_file.write_text(json.dumps(result.metrics(), indent=2) + "\n")
        confusion_file.write_text(json.dumps(result.confusion(), indent=2) + "\n")
        result.table().to_csv(frames_file, index=False)
    print(f"ground truth of val: {result.valid:,} valid and {result.pixels - result.valid:,} void pixels")


if __name__ == "__main__":
    console.run(main)
