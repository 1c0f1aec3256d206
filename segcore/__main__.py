"""`python -m segcore COMMAND`: questions about results and models. A command is imported when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from segcore.files.model import MODEL
from segcore.runtime import console
from segcore.runtime.errors import UserError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Ask about results and models, and use models.")

MARGIN = 0.005  # of mIoU
Base = Annotated[str, typer.Argument(help="A commit or experiment.", show_default="where this branch left main")]
Margin = Annotated[float, typer.Option(help="The largest loss of mIoU to accept.", min=0, max=1)]


@app.command()
def compare(
    base: Base = "",
    new: Annotated[str, typer.Argument(help="A different commit or experiment.", show_default="the workspace")] = "",
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
) -> None:
    """Compare two results: IoU before and after, the 95 % interval of the change, and the frames that changed.

    The default BASE is the commit where this branch left main. On main it is
    the last commit if the workspace has different counts, else the one before.

    If there are several seeds of both recipes, the IoU is the mean over them,
    and the interval is also about the choice of seeds.

    Reads: metrics/frames.csv and dvc.lock of both, and of all commits and
    experiments that differ from them in nothing but the seed.

    Exit code: 0 whatever the verdicts are; 1 if the two cannot be compared.
    """
    from segcore.review.terminal import print_comparison

    print_comparison(base, new, md)


@app.command()
def review(
    base: Base = "",
    without_pictures: Annotated[
        bool, typer.Option("--without-pictures", help="Leave out the frames, for a report to pass on.")
    ] = False,
    margin: Margin = MARGIN,
) -> None:
    """Report what the workspace changed: parameters, scores of classes and frames with verdicts, metrics, curves.

    The default BASE is that of compare. It begins by saying
    whether the result is not worse, as gate --not-worse does.

    Reads: what compare reads, and params.yaml, here and in BASE; for the
    pictures data/raw/dataset.json, data/native and data/predictions here, and
    the predictions of BASE in DVC's cache or remote.

    Writes: review/report.md and review/report.html, which needs no other
    file and no network.

    Exit code: 0 whatever the change did; 1 if there is no result to report.
    """
    from segcore.review.report import write

    write(base, not without_pictures, margin)


@app.command()
def gate(
    base: Base = "",
    workspace: Annotated[bool, typer.Option("--workspace", help="Check the workspace instead of HEAD.")] = False,
    not_worse: Annotated[bool, typer.Option("--not-worse", help="Fail also if the result may be worse.")] = False,
    margin: Annotated[
        float | None,
        typer.Option(help="With --not-worse: the largest loss to accept.", show_default=str(MARGIN), min=0, max=1),
    ] = None,
) -> None:
    """Fail if a stage of HEAD would run again: then the metrics were not made from this code and these parameters.

    With --not-worse, fail also if mIoU may be lower than in BASE: if the 95 %
    interval of its change goes below minus the margin, or is all below zero
    and the loss larger than seed noise.
    The default BASE is the commit where this branch left main; on main, the
    one before HEAD, or, with --workspace, HEAD if the workspace has different
    counts. As in compare, means over seeds are compared if both have several.

    Reads: what dvc.yaml names, as HEAD has it, whatever is in the workspace.
    Data that git does not have is not looked at; dvc.lock is trusted there.
    With --not-worse, also what compare reads.

    Exit code: 0 if dvc.lock is up to date, and the result not worse; else 1.
    """
    from segcore.review import quality
    from segcore.review.gate import check

    if not not_worse and (base or margin is not None):
        raise UserError("BASE and --margin need --not-worse; with make, give MARGIN=0.005, too")
    print(check(workspace))
    if not_worse:
        print(quality.check(base, workspace, MARGIN if margin is None else margin))


@app.command()
def provenance(model: Annotated[Path, typer.Argument(help="A model file, also one in DVC's cache.")]) -> None:
    """Print what made a model, which commits have it, and how to get the same bytes again.

    Reads: the model's metadata, dvc.lock here and in every commit that git
    has, and params.yaml, the code and data/arrays of the workspace.

    Environment: SEGCORE_DEVICE, SEGCORE_THREADS and SEGCORE_PROCESSES, as
    train reads them.

    Exit code: 0 if the file is a model of this pipeline, whatever the answers
    are, and also where git cannot be asked; 1 if it is not.
    """
    from segcore.provenance.terminal import report

    report(model)


@app.command()
def predict(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Pictures, videos, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The folder for the results.", show_default=False)],
    model: Annotated[Path, typer.Option(help="A .safetensors or .onnx of this pipeline.")] = MODEL,
    rev: Annotated[str, typer.Option(help="Take the model of this commit or experiment.", show_default=False)] = "",
    confidence: Annotated[bool, typer.Option("--confidence", help="Write the confidence of each pixel, too.")] = False,
    tile: Annotated[bool, typer.Option("--tile", help="Predict large pictures by windows, at full size.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace results that exist.")] = False,
) -> None:
    """Predict the classes of pictures and videos of any size.

    Writes below OUT, for a picture: NAME_label.png (class ids, 8-bit grey, as
    large as the picture), NAME_overlay.jpg and, with --confidence,
    NAME_confidence.png (0 to 255); for a video: NAME_overlay.mp4, without
    sound. Pictures in a folder keep their paths below it. Also writes
    predictions.csv, with the share of the pixels of each class, and
    legend.png, with the colours: those in the .onnx, or, for a .safetensors,
    those of the description that `fetch.dataset` names, or of one in
    data/sets, with its classes.

    Pictures and videos that have results in OUT are skipped, unless they are
    newer than their results. Results of a different model or picture are
    replaced only with --force. Models with different classes need different
    folders, unless --force replaces all results.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute, read and write.

    Exit code: 0 if everything is predicted; 1 if a file could not be read
    (after all others are done) or the command was refused.
    """
    from segcore.predict.command import Options, predict

    predict(inputs, Options(out, model, rev, confidence, tile, force))


@app.command()
def scores(
    seeds: Annotated[bool, typer.Option("--seeds", help="Print the mean over seeds, and their spread.")] = False,
) -> None:
    """Print IoU per class, mIoU, and the paths of the rendered pictures.

    With --seeds: mean, standard deviation and range over the results in all
    commits and experiments that differ from the workspace in nothing but the
    seed.

    Reads: metrics/evaluate.json and data/renders; with --seeds, dvc.lock and
    metrics/frames.csv here, and in all commits and experiments.
    """
    from segcore.review.terminal import print_scores, print_seeds

    print_seeds() if seeds else print_scores()


@app.command()
def submission() -> None:
    """Pack the predictions of the test frames for the organisers of IDD-Lite (docs/submission.md).

    Reads: data/raw/dataset.json, data/predictions/test,
    data/arrays/frames.csv and data/sets/idd_lite.yaml.

    Writes: data/submission.zip.

    Exit code: 0, or 1 if the data set is not IDD-Lite, or a test frame has no
    valid prediction.
    """
    from segcore.submission.pack import pack

    print(pack())


if __name__ == "__main__":
    console.run(app)
