"""Write the model card."""

from pathlib import Path

from segcore.runtime import console

CARD = Path("metrics/model-card.md")


def main() -> None:
    """Write what the model is, what made it, how good it is and where not, and what it is for.

    Reads: data/raw/dataset.json, data/model/erfnet.safetensors,
    data/arrays/frames.csv, and evaluate.json, confusion.json, frames.csv and
    export.json in metrics.

    Writes: metrics/model-card.md.

    Parameters: preprocess.validation and export.precision of params.yaml. The
    parameters of the training are in the model's record.
    """
    from segcore.card import detached
    from segcore.card.card import make_card
    from segcore.runtime.outputs import new_outputs

    card = make_card()
    with new_outputs(CARD) as [page]:
        page.write_text(card, encoding="utf-8")
    if line := detached.advice():
        console.say(line)  # here, because the output of the last stage stays in sight


if __name__ == "__main__":
    console.run(main)
