"""Export the model as ONNX, for programs without torch, and score the exported file."""

from typing import Literal

from segcore.runtime import console, signals
from segcore.runtime.typed import Strict


class ExportParams(Strict):
    """Section `export`. With int8, the convolutions of the network compute with 8-bit integers."""

    precision: Literal["fp32", "int8"]


def main() -> None:
    """Export the model as ONNX, and compare its predictions with the model's.

    Reads: data/model/erfnet.safetensors, the val images and frames.csv of
    data/arrays, the frames and ground truth of val in data/native, and
    data/raw/dataset.json; for int8, the train images of data/arrays, too.

    Writes: data/model/erfnet.onnx and metrics/export.json.

    Parameters: section `export` of params.yaml.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device of the model that
    the file is compared with; SEGCORE_THREADS=N, threads that compute on the
    CPU; if unset, all cores, or the CPU quota of the container.
    """
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.export.comparison import compare
        from segcore.export.model import describe, export
        from segcore.export.quantise import quantise
        from segcore.files.arrays import load_images
        from segcore.files.dataset import read_dataset
        from segcore.files.model import MODEL
        from segcore.files.onnx import EXPORT, ONNX, OnnxModel, write_export_scores
        from segcore.files.params import load
        from segcore.inference.predictor import Predictor, check_classes
        from segcore.network import device, gpus
        from segcore.runtime.outputs import new_outputs

    precision = load("export", ExportParams).precision
    gpus.reserve(1)
    where = device.prepare()
    predictor = Predictor(MODEL, where, precision="fp32")
    dataset = read_dataset()
    check_classes(MODEL, predictor.classes, dataset)
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        new_outputs(ONNX, EXPORT) as [onnx_file, scores_file],
    ):
        about = describe(MODEL, predictor.record, dataset, precision)
        model = export(predictor.network, predictor.record, about)
        if precision == "int8":
            model = quantise(model, load_images("train"))
        onnx_file.write_bytes(model.SerializeToString(deterministic=True))
        write_export_scores(scores_file, compare(OnnxModel(onnx_file), predictor, dataset.protocol))


if __name__ == "__main__":
    console.run(main)
