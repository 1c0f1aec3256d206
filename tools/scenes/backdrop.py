"""What a street scene has before anything stands in it, and what the camera adds at the end: ground, sky, film."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from PIL import Image, ImageFilter

from segcore.dataset.classes import VOID
from tools.scenes.canvas import (
    DRIVABLE,
    FAR,
    FOCAL,
    HEIGHT,
    LIVING,
    NON_DRIVABLE,
    RGB,
    ROADSIDE,
    SIZE,
    VEHICLES,
    WIDTH,
    ZOOM,
    Light,
    Rng,
    View,
)


@lru_cache
def _fractal() -> np.ndarray:
    """A periodic tile of noise in 0..1, with detail from an eighth of it down to two of its 1024 pixels."""
    rng, size = np.random.default_rng(0), 1024
    tile = np.zeros((size, size), np.float32)
    for cells in (8, 16, 32, 64, 128, 256, 512):
        grid = Image.fromarray(np.pad(rng.random((cells, cells), np.float32), 2, mode="wrap"))
        layer = grid.resize((size, size), Image.Resampling.BICUBIC, (2, 2, cells + 2, cells + 2))
        tile += np.asarray(layer) / np.float32(sqrt(cells * sqrt(cells)))
    return (tile - tile.min()) / (tile.max() - tile.min())


def noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Look up the tile, which repeats without end, at places that are not negative."""
    return _fractal()[y.astype(np.int32) & 1023, x.astype(np.int32) & 1023]


def _mix(picture: np.ndarray, colour: RGB, share: np.ndarray) -> None:
    """Put a share (from 0 to 1, else the nearer of these) of ``colour`` into each pixel."""
    at = share > 0
    before = picture[at]
    picture[at] = before + np.minimum(share[at], 1)[:, None] * (np.asarray(colour, np.float32) - before)


SEALED, OIL, CRACK, SAND, PAINT = (62, 61, 62), (74, 73, 73), (40, 38, 38), (190, 172, 144), (232, 228, 214)
EARTH, GRASS, PAVING, BRICK, JOINT = (164, 132, 98), (104, 108, 58), (160, 152, 142), (168, 92, 74), (104, 96, 88)


@dataclass(frozen=True)
class Road:
    """The cross-section of a street and the state it is in."""

    surface: RGB
    half: float  # of the carriageway's width
    verge: float  # earth that one may drive on
    footpath: float
    median: float
    kerb: RGB
    markings: float  # the share of the paint that is left
    wear: float
    trenches: tuple[tuple[float, float, float, float], ...]  # dug and sealed again: x0, x1, z0, z1


class Ground:
    """The ground from the horizon down, each pixel coloured by the place it shows."""

    def __init__(self, view: View, road: Road, along: float):
        self.road, self.top = road, int(view.horizon) + 1
        rows = np.arange(self.top, SIZE[1], dtype=np.float32)[:, None] + np.float32(0.5)
        self.z = FOCAL * view.height / (rows - view.horizon)
        columns = np.arange(SIZE[0], dtype=np.float32) - SIZE[0] // 2
        self.x = columns * (self.z / FOCAL) + (view.x - view.bend * self.z * self.z)
        self.s = self.z + np.float32(along)  # how far down the street
        self.fine = noise(self.x * 70 + 9e5, self.s * 70)
        self.rough = noise(self.x * 24 + 9e5, self.s * 24)
        self.streaks = noise(self.x * 22 + 7e5, self.s * 5)
        self.out = np.abs(self.x) - road.half  # how far beyond the edge of the carriageway
        self.labels = np.full(self.x.shape, DRIVABLE, np.uint8)
        self.picture = np.empty((*self.x.shape, 3), np.float32)
        self.picture[:] = road.surface
        self._carriageway()
        self._roadside()
        if road.median:
            self._median()
        self.picture *= (0.7 + 0.4 * self.fine + 0.2 * self.rough)[..., None]

    def _mix(self, colour: RGB, share: np.ndarray) -> None:
        _mix(self.picture, colour, share)

    def _carriageway(self) -> None:
        road, x, s = self.road, self.x, self.s
        lane = np.abs(np.abs(x) - road.median / 4 - road.half / 2)
        self._mix(OIL, (0.45 - np.abs(lane - 0.85) * 0.8) * (0.4 + self.streaks))  # where wheels run
        self._mix(SEALED, (self.rough - 0.6) * 8 * road.wear)
        for x0, x1, z0, z1 in road.trenches:
            self._mix(SEALED, ((x > x0) & (x < x1) & (s > z0) & (s < z1)) * (0.35 + self.fine))
        self._mix(SAND, (self.streaks - 0.7 + 0.4 * np.clip(self.out + 1.4, 0, 1)) * 2.5 * road.wear)
        self._mix(CRACK, (1 - np.abs(self.rough - 0.5) * 130) * road.wear)
        middle = np.abs(x) if not road.median else np.abs(lane)
        lines = (middle < 0.07) & (s % 9 < 4) | (np.abs(self.out + 0.35) < 0.06)
        self._mix(PAINT, lines * (road.markings - self.streaks + 0.45) * 3)

    def _roadside(self) -> None:
        """A verge of bare earth, which counts as drivable, and beyond it a footpath with its kerb, or grass."""
        road, s = self.road, self.s
        ragged = (noise(np.where(self.x < 0, 11, 501), s * 14) + self.rough - 1) * min(1.0, road.verge)
        beyond = self.out - road.verge
        self._mix(EARTH, (self.out + ragged) * 5)
        grass = beyond > (0.3 + road.footpath if road.footpath else 2 * ragged)
        self.labels[grass] = NON_DRIVABLE
        self._mix(GRASS, grass * (0.4 + (self.rough - 0.45) * 4))
        if road.footpath:
            paved = (beyond > 0.3) & ~grass
            self.labels[paved] = NON_DRIVABLE
            self._mix(PAVING, paved * 0.9)
            self._mix(BRICK, paved * (self.rough - 0.5) * 6)
            self._mix(JOINT, paved * ((beyond % 0.6 < 0.05) | (s % 0.6 < 0.05)) * 8 / self.z)
            self._kerb((beyond > 0) & (beyond <= 0.3))

    def _median(self) -> None:
        inside = self.road.median / 2 - np.abs(self.x)
        self.labels[inside > 0] = NON_DRIVABLE
        self._mix(EARTH, inside * 99)
        self._mix(GRASS, (inside > 0) * (self.rough - 0.4) * 4)
        self._kerb((inside > 0) & (inside < 0.3))

    def _kerb(self, where: np.ndarray) -> None:
        """Blocks painted in turn, as on Indian streets."""
        self.labels[where] = ROADSIDE
        self._mix(self.road.kerb, where & (self.s % 2 < 1))
        self._mix(CRACK, where & (self.s % 2 >= 1))

    def lit(self, light: Light, shade: Image.Image) -> Image.Image:
        """Put it into sun, shadow and haze."""
        sunny = (1 - np.asarray(shade, np.float32)[self.top :] / 255) * light.on(0, 1, 0)
        ambient, sun = np.asarray((light.ambient, light.sun), np.float32)
        picture = self.picture * (ambient + sun * sunny[..., None])
        picture += (self.z / (light.haze + self.z))[..., None] * (np.asarray(light.horizon, np.float32) - picture)
        return Image.fromarray(np.minimum(picture, 255).astype(np.uint8))


def sky(view: View, light: Light, drift: float) -> Image.Image:
    """Paint the sky down to the horizon, at the final size; its clouds lie on a plane, so far ones are flat."""
    rows = np.arange(int(view.horizon) // ZOOM + 2, dtype=np.float32)[:, None]
    columns = np.arange(WIDTH, dtype=np.float32) - WIDTH // 2
    up = np.clip(1 - rows * ZOOM / view.horizon, 0, 1)
    away = 1 / (up + 0.12)
    puffs = noise(columns * away * 0.5 + drift, away * 60)
    picture = np.empty((*puffs.shape, 3), np.float32)
    picture[:] = light.horizon + (up * (2 - up))[..., None] * (np.asarray(light.zenith, np.float32) - light.horizon)
    _mix(picture, (250, 248, 244), (puffs - 0.62 + 0.35 * light.clouds) * 3 * light.clouds)
    _mix(picture, (150, 154, 162), (puffs - 0.85 + 0.3 * light.clouds) * 3 * light.clouds)
    return Image.fromarray(picture.astype(np.uint8))


# By class, how much leaves, plaster, cloth and so on vary from place to place; the ground has its own.
GRAIN = np.zeros(256, np.float32)
GRAIN[[LIVING, VEHICLES, ROADSIDE, FAR, VOID]] = 0.25, 0.15, 0.35, 0.5, 0.35


def film(scene: np.ndarray, labels: np.ndarray, rng: Rng) -> Image.Image:
    """What a camera makes of the scene: surface grain, exposure, vignette, contrast, soft focus, sensor noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    shift = rng.integers(1024, size=2)
    grain = (noise(columns * 5 + shift[0], rows * 5 + shift[1]) - 0.5) * GRAIN[labels]
    radius = ((rows / HEIGHT - 0.5) ** 2 + (columns / WIDTH - 0.5) ** 2) * 2
    exposure = min(1.7, 128 * scene.size / int(scene.sum(dtype=np.int64)))
    light = np.clip(scene * (exposure / 255 * (1 + grain) * (1.04 - 0.25 * radius))[..., None], 0, 1.25)
    light = np.clip(light * (1.28 - 0.3 * light * light) - 0.02, 0, 1) * 255
    soft = Image.fromarray(light.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.45))
    for channels, strength in ((1, 2.5), (3, 1.8)):  # of brightness, and of colour
        soft = soft + rng.uniform(-strength, strength, (2, HEIGHT, WIDTH, channels)).sum(0)
    return Image.fromarray(np.clip(soft, 0, 255).astype(np.uint8))
