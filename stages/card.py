"""Write the model card."""

from pathlib import Path

from segcore import console

MODEL = Path("data/model/erfnet.safetensors")
ARRAYS = Path("data/arrays")
METRICS = Path("metrics")
CARD = Path("metrics/model-card.md")


def main() -> None:
    """Write what the model is, what made it, how good it is and where not, and what it is for.

    Reads: data/model/erfnet.safetensors, data/arrays/frames.csv, and
    evaluate.json, confusion.json and frames.csv of metrics.

    Writes: metrics/model-card.md.

    Parameters: fetch.source and preprocess.validation of params.yaml; those of
    the training are in the model's metadata.
    """
    with console.signals_held():  # an exception in the midst of torch's import can end in a crash
        from segcore import card, card_facts, outputs

    known = card_facts.read(MODEL, ARRAYS, METRICS)
    with outputs.new_outputs(CARD) as [page]:
        page.write_text(card.write(known), encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
