"""`python -m segcore COMMAND`: questions about results and models. A command is imported when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from segcore.repository.git import GitError
from segcore.runtime import console

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Ask about results and models.")

Base = Annotated[str, typer.Argument(help="A commit or experiment.", show_default="where this branch left main")]


@app.command()
def compare(
    base: Base = "",
    new: Annotated[str, typer.Argument(help="A different commit or experiment.", show_default="the workspace")] = "",
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
) -> None:
    """Compare two results: IoU before and after, the 95 % interval of the change, and the frames that changed most.

    The default BASE is the commit where this branch left main. On main it is
    the last commit if the workspace has different counts, else the one before.

    Reads: metrics/frames.csv, metrics/evaluate.json and dvc.lock of both; the
    latter two also of all commits and experiments, to find those that differ
    in nothing but the seed.

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
) -> None:
    """Report what the workspace changed: parameters, scores of classes and frames with verdicts, metrics, curves.

    The default BASE is that of compare.

    Reads: what compare reads, and params.yaml, here and in BASE; for the
    pictures data/native and data/predictions here, and the predictions of
    BASE in DVC's cache or remote.

    Writes: review/report.md and review/report.html, which needs no other
    file and no network.

    Exit code: 0 whatever the change did; 1 if there is no result to report.
    """
    from segcore.review.report import write

    write(base, not without_pictures)


@app.command()
def gate(
    workspace: Annotated[bool, typer.Option("--workspace", help="Check the files that are here instead.")] = False,
) -> None:
    """Fail if a stage of HEAD would run again: then the metrics were not made from this code and these parameters.

    Reads: what dvc.yaml names, as HEAD has it, whatever is in the workspace.
    Data that git does not have is not looked at; dvc.lock is trusted there.

    Exit code: 0 if dvc.lock is up to date, 1 if it is not.
    """
    from segcore.review.gate import check

    print(check(workspace))


@app.command()
def provenance(model: Annotated[Path, typer.Argument(help="A model file, also one in DVC's cache.")]) -> None:
    """Print what made a model, which commits have it, and how to get the same bytes again.

    Reads: the model's metadata, dvc.lock here and in every commit that git
    has, and params.yaml, the code and data/arrays of the workspace.

    Environment: SEGCORE_DEVICE and SEGCORE_THREADS, as train reads them.

    Exit code: 0 if the file is a model of this pipeline, whatever the answers
    are, and also where git cannot be asked; 1 if it is not.
    """
    from segcore.provenance.terminal import report

    report(model)


@app.command()
def scores() -> None:
    """Print IoU per class, mIoU, and the paths of the rendered pictures.

    Reads: metrics/evaluate.json and data/renders.
    """
    from segcore.review.terminal import print_scores

    print_scores()


if __name__ == "__main__":
    try:
        console.run(app)
    except GitError as reason:
        console.fail(f"commits cannot be read: {reason}")
