"""Augmentation against pixels moved by hand."""

import numpy as np
import pytest
import torch

from segcore.dataset.classes import VOID
from segcore.train import augment
from segcore.train.augment import AugmentParams, Draws

NONE = {"flip": False, "shift": 0, "scale_min": 1, "scale_max": 1, "brightness": 0, "contrast": 0, "saturation": 0}


def params(**changes) -> AugmentParams:
    return AugmentParams(**(NONE | changes))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(6, 3, 16, 32, generator=generator)
    labels = torch.randint(0, 7, (6, 16, 32), generator=generator).to(torch.uint8)
    labels[:, 3, 5] = VOID
    return images, labels


def run(batch, seed=0, **changes):
    images, labels = batch
    mirrored = np.arange(len(images)) % 2 == 1
    drawn = augment.draw(params(**changes), mirrored, tuple(images.shape[2:]), np.random.default_rng(seed))
    return augment.apply(images, labels, drawn)


def assert_close(images, expected):
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-4)


def test_without_augmentation_nothing_changes(batch):
    images, labels = run(batch)
    assert_close(images, batch[0])
    assert torch.equal(labels, batch[1])


def test_flip_mirrors_the_frames_that_it_should_with_their_labels(batch):
    images, labels = run(batch, flip=True)
    for i in range(len(images)):
        assert_close(images[i], batch[0][i].flip(-1) if i % 2 else batch[0][i])
        assert torch.equal(labels[i], batch[1][i].flip(-1) if i % 2 else batch[1][i])


def test_shift_moves_right_and_down_and_leaves_black_and_void_behind(batch):
    seen = set()
    for seed in range(10):
        images, labels = run(batch, seed, shift=2)
        for i in range(len(images)):
            matches = []
            for dy in range(3):
                for dx in range(3):
                    expected = torch.full_like(batch[1][i], VOID)
                    expected[dy:, dx:] = batch[1][i][: 16 - dy, : 32 - dx]
                    picture = torch.zeros_like(batch[0][i])
                    picture[:, dy:, dx:] = batch[0][i][:, : 16 - dy, : 32 - dx]
                    if torch.equal(labels[i], expected):
                        assert_close(images[i], picture)
                        matches.append((dy, dx))
            assert len(matches) == 1
            seen.update(matches)
    assert len(seen) == 9  # 0, 1 and 2 pixels, both ways


def test_a_scale_of_two_shows_a_quarter_of_the_frame_and_no_void(batch):
    labels = batch[1].clamp(max=6)
    _, zoomed = run((batch[0], labels), scale_min=2, scale_max=2)
    assert (zoomed != VOID).all()
    for i in range(len(labels)):
        # Nearest-neighbour doubling repeats pixels: at most 9 by 17 of the original ones can be seen.
        rows = torch.unique_consecutive(zoomed[i], dim=0)
        assert 8 <= len(rows) <= 9
        assert 16 <= len(torch.unique_consecutive(zoomed[i], dim=1)[0]) <= 17


def test_a_scale_of_one_half_leaves_three_quarters_void(batch):
    images, labels = run((torch.ones_like(batch[0]), torch.zeros_like(batch[1])), scale_min=0.5, scale_max=0.5)
    share = (labels == 0).float().mean((1, 2))
    assert ((share > 0.2) & (share < 0.3)).all()
    inside = images[:, 0] > 0.5
    assert (inside == (labels == 0)).float().mean() > 0.9  # they differ by the blurred edge alone


def test_frame_and_labels_move_together(batch):
    """A frame painted from its labels still agrees with them."""
    labels = torch.zeros(6, 16, 32, dtype=torch.uint8)
    labels[:, 4:12, 8:24] = 1
    images = labels[:, None].float().expand(-1, 3, -1, -1) * 0.5 + 0.5
    images, labels = run((images, labels), seed=4, flip=True, shift=2, scale_min=0.7, scale_max=1.5)
    assert ((images[:, 0] > 0.75) == (labels == 1)).float().mean() > 0.95


def test_brightness_contrast_and_saturation_are_those_of_torchvision(batch):
    from torchvision.transforms.v2 import functional as reference

    drawn = Draws(torch.eye(2, 3).expand(6, 2, 3), torch.tensor([0.8, 1.2, 0.5]).expand(6, 3))
    images, _ = augment.apply(batch[0], batch[1], drawn)
    expected = reference.adjust_brightness(batch[0], 0.8)
    expected = reference.adjust_saturation(reference.adjust_contrast(expected, 1.2), 0.5)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("colour", ["brightness", "contrast", "saturation"])
def test_each_colour_is_drawn_from_its_own_range(colour):
    asked, frames = params(**{colour: 0.4}), np.zeros(1000, dtype=bool)
    factors = augment.draw(asked, frames, (16, 32), np.random.default_rng(1)).factors.T
    drawn = dict(zip(["brightness", "contrast", "saturation"], factors, strict=True))
    own = drawn.pop(colour)
    assert 0.6 <= own.min() < 0.62
    assert 1.38 < own.max() <= 1.4
    assert all((others == 1).all() for others in drawn.values())


def test_draws_repeat_with_the_generator_and_differ_from_frame_to_frame():
    asked = params(flip=True, shift=2, scale_min=0.5, scale_max=2, brightness=0.3)
    mirrored = np.zeros(4, dtype=bool)
    first, again = (augment.draw(asked, mirrored, (16, 32), np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(first.theta, again.theta)
    assert torch.equal(first.factors, again.factors)
    assert len({theta.numpy().tobytes() for theta in first.theta}) == 4


def test_scales_out_of_order_are_refused():
    with pytest.raises(ValueError, match="scale_min must not be above scale_max"):
        params(scale_min=2, scale_max=1)
