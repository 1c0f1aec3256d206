"""The recipe of a model: the sections `train`, `model` and `augment` of params.yaml."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from segcore.files.params import load
from segcore.network.erfnet import ModelParams
from segcore.runtime.typed import Real, Strict
from segcore.train.augment import AugmentParams


class TrainParams(Strict):
    """Section `train`."""

    init: Path = Field(strict=False)
    seed: int = Field(ge=0, lt=2**32)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["muon", "adamw", "adam"]
    lr: Real = Field(gt=0, le=1)
    weight_decay: Real = Field(ge=0, le=1)
    schedule: Literal["one_cycle", "poly", "constant"]
    class_weights: Literal["none", "inverse_log"]
    precision: Literal["bf16", "fp32"]
    validate_every: int = Field(ge=1)


class Recipe(Strict):
    """The three sections that make a model."""

    train: TrainParams
    model: ModelParams
    augment: AugmentParams

    @classmethod
    def load(cls) -> "Recipe":
        """Read the three sections of params.yaml.

        Raises:
            UserError: if one is missing, or a value is wrong.
        """
        return cls(
            train=load("train", TrainParams), model=load("model", ModelParams), augment=load("augment", AugmentParams)
        )

    def recorded(self) -> dict[str, Any]:
        """Return the parameters for a record, without ``init``: start weights are recorded by their digest."""
        return self.model_dump(exclude={"train": {"init"}})
