"""The means to draw a street scene: light, camera, outlines, and a canvas that is picture and label map at once.

Lengths are metres: x to the right of the road's middle, y up, z ahead of the camera. Outlines are written like the
``points`` of an SVG polygon. Arithmetic keeps to what IEEE 754 fixes (no exp, sin or pow), so that the same numbers
give the same pixels on every machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import sqrt
from operator import itemgetter
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

DRIVABLE, NON_DRIVABLE, LIVING, VEHICLES, ROADSIDE, FAR, SKY = range(7)  # in the order of data/sets/idd_lite.yaml
WIDTH, HEIGHT = 320, 227
ZOOM = 3  # drawn this much larger; averaging it down smooths the edges
SIZE = (WIDTH * ZOOM, HEIGHT * ZOOM)
FOCAL = 232 * ZOOM
NEAR = 1.2  # what is nearer to the camera than this is cut away

T = TypeVar("T")
Rng = np.random.Generator
RGB = tuple[int, ...]
Point = tuple[float, ...]
Outline = list[Point]
Place = tuple[float, float]  # on the ground: x, z

# Pigments that several things share
BLACK, SOOT, STEEL, WHITE, GLASS = (34, 34, 36), (64, 60, 58), (112, 114, 116), (232, 232, 228), (46, 54, 62)
RED, GREEN, BLUE, YELLOW = (192, 36, 36), (36, 116, 70), (32, 78, 152), (230, 180, 38)
CLOTH = ((230, 226, 216), (200, 44, 62), (44, 84, 156), (234, 150, 40), (72, 136, 88), (152, 70, 142), (90, 152, 194))


@dataclass(frozen=True)
class Light:
    """A time of day and its weather."""

    zenith: RGB
    horizon: RGB  # also the colour that haze fades to
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    haze: float  # the distance at which half of a colour is lost
    clouds: float
    shadow: tuple[float, float] = (0.0, 0.0)  # how far it reaches over the ground, (x, z), per metre of height

    def on(self, x: float, y: float, z: float) -> float:
        """The share of the sun that a face with the outward normal (x, y, z) receives."""
        dx, dz = self.shadow
        return max(0.0, y - x * dx - z * dz) / sqrt((1 + dx * dx + dz * dz) * (x * x + y * y + z * z))

    def seen(self, colour: RGB, tone: float, distance: float) -> RGB:
        """The colour of a surface that receives the share ``tone`` of the sun, through the haze before it."""
        clear = self.haze / (self.haze + max(distance, 0.0))
        return tuple(
            int(min(255.0, c * (a + s * tone)) * clear + h * (1 - clear))
            for c, a, s, h in zip(colour, self.ambient, self.sun, self.horizon, strict=True)
        )


@dataclass(frozen=True)
class View:
    """A pinhole camera over a road that bends by ``bend`` times the distance squared."""

    x: float
    height: float
    horizon: float  # a row of the canvas
    bend: float

    def project(self, points: Outline) -> Outline:
        """Give the (column, row) of each corner of an outline in space, less the part that lies too near."""
        if min(points, key=itemgetter(2))[2] < NEAR:
            points = _beyond(NEAR, points)
        middle, across, drop = SIZE[0] / 2, self.bend * FOCAL, FOCAL * self.height
        return [
            (middle + FOCAL * (x - self.x) / z + across * z, self.horizon + (drop - FOCAL * y) / z)
            for x, y, z in points
        ]


def _beyond(near: float, points: Outline) -> Outline:
    kept = []
    for a, b in zip(points, [*points[1:], points[0]], strict=True):
        if a[2] >= near:
            kept.append(a)
        if (a[2] < near) != (b[2] < near):
            t = (near - a[2]) / (b[2] - a[2])
            kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), near))
    return kept


class Canvas:
    """A picture and its label map, drawn on together."""

    def __init__(self, view: View, light: Light, picture: Image.Image, labels: Image.Image):
        self.view, self.light = view, light
        self._ink, self._tag = ImageDraw.Draw(picture), ImageDraw.Draw(labels)

    def shape(self, label: int, colour: RGB, points: Outline, tone: float = 0.5) -> None:
        """Fill an outline in space that receives the share ``tone`` of the sun."""
        if pixels := self._paint(colour, points, tone):
            self._tag.polygon(pixels, label)

    def touch(self, colour: RGB, points: Outline, tone: float = 0.5) -> None:
        """Paint a detail onto a shape: it changes neither the label nor the shadow."""
        self._paint(colour, points, tone)

    def wire(self, colour: RGB, points: Outline) -> None:
        """Draw a line so thin that most of each final pixel still shows, and is, what lies behind."""
        if all(z > NEAR for _, _, z in points):
            self._ink.line(self.view.project(points), self.light.seen(colour, 0, points[0][2]))

    def _paint(self, colour: RGB, points: Outline, tone: float) -> Outline:
        pixels = self.view.project(points)
        if len(pixels) < 3:
            return []
        self._ink.polygon(pixels, self.light.seen(colour, tone, points[0][2]))
        return pixels


class Shade:
    """Takes the strokes meant for a :class:`Canvas`, and keeps where their shadows fall on the ground."""

    def __init__(self, view: View, light: Light):
        self.view, self.light = view, light
        self.mask = Image.new("L", SIZE)
        self._ink = ImageDraw.Draw(self.mask)

    def shape(self, _label: int, _colour: RGB, points: Outline, _tone: float = 0.5) -> None:
        dx, dz = self.light.shadow
        pixels = self.view.project([(x + y * dx, 0.0, z + y * dz) for x, y, z in points])
        if len(pixels) > 2:
            self._ink.polygon(pixels, 255)

    def touch(self, *_: object) -> None:
        pass

    wire = touch


def pick(rng: Rng, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def scaled(colour: RGB, by: float) -> RGB:
    return tuple(min(255, int(channel * by)) for channel in colour)


def outline(points: str) -> Outline:
    return [tuple(map(float, point.split(","))) for point in points.split()]


def upright(points: Outline, x: float, z: float, foot: float = 0, scale: float = 1, flip: int = 1) -> Outline:
    """Stand an outline at (x, z), facing the camera, ``foot`` above the ground."""
    return [(x + flip * scale * px, foot + scale * py, z) for px, py in points]


def panel(a: Place, b: Place, low: float, high: float, start: float = 0, end: float = 1) -> Outline:
    """An upright rectangle over the part from ``start`` to ``end`` of the line between two places."""
    (ax, az), (bx, bz) = a, b
    x0, z0, x1, z1 = ax + start * (bx - ax), az + start * (bz - az), ax + end * (bx - ax), az + end * (bz - az)
    return [(x0, low, z0), (x1, low, z1), (x1, high, z1), (x0, high, z0)]


def block(length: float, low: float, high: float) -> Outline:
    return [(0, low), (0, high), (length, high), (length, low)]


ROUND = outline("1,0 .87,.5 .5,.87 0,1 -.5,.87 -.87,.5 -1,0 -.87,-.5 -.5,-.87 0,-1 .5,-.87 .87,-.5")


def lettering(c: Canvas, rng: Rng, colour: RGB, a: Place, b: Place, low: float, high: float) -> None:
    """Paint strokes that pass for writing over the line between two places."""
    cuts = np.cumsum(rng.uniform(0.3, 1, 13)).tolist()
    for start, end in pairwise(cuts[:-1]):
        foot = low + (high - low) * pick(rng, (0, 0, 0.4))
        c.touch(colour, panel(a, b, foot, high, start / cuts[-1], (0.35 * start + 0.65 * end) / cuts[-1]), 0.7)


class Hull:
    """A body with one side view over its whole width, but for a taper above the waist."""

    def __init__(self, c: Canvas, x: float, z: float, width: float, taper: float = 0, turned: float | None = None):
        """``turned`` is the length of a body that shows the camera its head instead of its tail."""
        self.c, self.x, self.z, self.width, self.taper, self.turned = c, x, z, width, taper, turned
        aside = x - c.view.x + c.view.bend * max(z, 1) * max(z, 1)
        self.seen_side = 0 if abs(aside) < width / 2 else -1 if aside > 0 else 1

    def solid(self, label: int, colour: RGB, profile: Outline) -> None:
        """Draw a part of the body; its side view runs clockwise from the foot of its tail."""
        profile, shape = self._lengthwise(profile), partial(self.c.shape, label)
        for edge in reversed([*pairwise(profile), (profile[-1], profile[0])]):
            self._across(shape, colour, edge, 0)
        self._beside(shape, colour, profile)

    def across(self, colour: RGB, edge: Outline, inset: float) -> None:
        """Paint the tail or the head between two points of the side view."""
        self._across(self.c.touch, colour, self._lengthwise(edge), inset)

    def beside(self, colour: RGB, points: Outline) -> None:
        """Paint an outline onto the side that the camera sees."""
        self._beside(self.c.touch, colour, self._lengthwise(points))

    def _lengthwise(self, points: Outline) -> Outline:
        return points if self.turned is None else [(self.turned - along, up) for along, up in reversed(points)]

    def _half(self, height: float) -> float:
        return self.width / 2 - self.taper * max(0.0, height - 0.9)

    def _across(self, paint: Callable, colour: RGB, edge: Sequence[Point], inset: float) -> None:
        (l0, h0), (l1, h1) = edge
        run, rise, x, z = l1 - l0, h1 - h0, self.x, self.z
        if run * (self.c.view.height - h0) + rise * (z + l0) > 0:  # it faces the camera
            a, b = self._half(h0) - inset, self._half(h1) - inset
            corners = [(x - a, h0, z + l0), (x + a, h0, z + l0), (x + b, h1, z + l1), (x - b, h1, z + l1)]
            paint(colour, corners, self.c.light.on(0, run, -rise))

    def _beside(self, paint: Callable, colour: RGB, points: Outline) -> None:
        if side := self.seen_side:
            corners = [(self.x + side * self._half(up), up, self.z + along) for along, up in points]
            paint(colour, corners, self.c.light.on(side, 0.1, 0))
