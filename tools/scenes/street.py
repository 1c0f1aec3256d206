"""Streets of a few Indian kinds: their light and road, what stands along them, who is on them, and the drawn scene."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from tools.scenes import scenery, traffic
from tools.scenes.backdrop import Ground, Road, film, sky
from tools.scenes.canvas import SIZE, SKY, ZOOM, Canvas, Light, Rng, Shade, View, pick

Paint = Callable[..., None]

LIGHTS = (
    Light((64, 116, 184), (190, 206, 220), (0.62, 0.6, 0.54), (0.5, 0.53, 0.58), 260, 0.35, (0.35, 0.25)),  # noon
    Light((92, 132, 182), (232, 214, 184), (0.78, 0.62, 0.42), (0.42, 0.45, 0.52), 150, 0.25, (1.3, 0.5)),  # morning
    Light((96, 116, 160), (240, 196, 150), (0.85, 0.6, 0.36), (0.4, 0.4, 0.48), 150, 0.45, (-1.5, -0.4)),  # evening
    Light((176, 182, 190), (214, 216, 218), (0.32, 0.32, 0.32), (0.62, 0.63, 0.65), 200, 1.0),  # overcast
    Light((170, 178, 180), (222, 214, 196), (0.5, 0.47, 0.4), (0.5, 0.49, 0.46), 90, 0.15, (-0.6, 0.5)),  # dust
)
SURFACES = ((108, 107, 108), (122, 118, 114), (98, 98, 101), (132, 126, 118))
KERBS = ((222, 180, 44), (220, 218, 210))


class Kind(NamedTuple):
    """What streets of one kind have in common: widths in metres, vehicles and lots, the frequent several times."""

    half: tuple[float, float]
    verge: tuple[float, float]
    footpath: float
    median: float
    wear: tuple[float, float]
    vehicles: tuple[Paint, ...]
    lots: str


CAR, BUS, LORRY, AUTO, BIKE = traffic.car, traffic.bus, traffic.lorry, traffic.autorickshaw, traffic.motorcyclist
BAZAAR = Kind(
    half=(3.5, 4.2),
    verge=(0.3, 1),
    footpath=1.2,
    median=0,
    wear=(0.6, 1),
    vehicles=(AUTO, CAR, BIKE, BIKE, BUS, AUTO),
    lots="shops shops shops house wall",
)
AVENUE = Kind(
    half=(6.8, 8),
    verge=(0.2, 0.6),
    footpath=1.5,
    median=1.4,
    wear=(0.2, 0.6),
    vehicles=(CAR, CAR, BUS, BIKE, AUTO, LORRY),
    lots="shops house wall wall fence",
)
COUNTRY = Kind(
    half=(3.8, 4.6),
    verge=(0.8, 1.8),
    footpath=0,
    median=0,
    wear=(0.4, 0.9),
    vehicles=(LORRY, CAR, CAR, BIKE, BUS, AUTO),
    lots="grove grove house wall wall fence",
)
KINDS = (BAZAAR, AVENUE, COUNTRY)

# The rows of a street, outermost first: what stands in a later one may hide what stands in an earlier one.
HORIZON, BEHIND, FRONTAGE, KERB, ONCOMING, MEDIAN, OWN = range(7)
LENGTH = 230.0


class Thing(NamedTuple):
    """Something at (x, z), z along the street, that looks the same from wherever it is seen."""

    row: int
    x: float
    z: float
    paint: Paint
    seed: int

    def paint_on(self, surface: Canvas | Shade, along: float) -> None:
        self.paint(surface, self.x, self.z - along, np.random.default_rng(self.seed))


class Things(list[Thing]):
    """Things whose looks come from one generator."""

    def __init__(self, rng: Rng):
        super().__init__()
        self.rng = rng

    def put(self, row: int, x: float, z: float, paint: Paint, **how: float) -> None:
        self.append(Thing(row, x, z, partial(paint, **how), int(self.rng.integers(2**32))))


class Street:
    """A street, the light on it, the camera that goes down its left lane, and what stands along it."""

    def __init__(self, kind: Kind, rng: Rng):
        self.kind, self.light, self.drift = kind, pick(rng, LIGHTS), rng.uniform(5_000, 9_000)
        half = rng.uniform(*kind.half)
        holes = zip(rng.uniform(-half, half - 1, 6).tolist(), rng.uniform(0, 120, 6).tolist(), strict=True)
        self.road = Road(
            surface=pick(rng, SURFACES),
            half=half,
            verge=rng.uniform(*kind.verge),
            footpath=kind.footpath,
            median=kind.median,
            kerb=pick(rng, KERBS),
            markings=rng.uniform(0.1, 0.6),
            wear=rng.uniform(*kind.wear),
            trenches=tuple((x, x + rng.uniform(0.8, 2), z, z + rng.uniform(2, 9)) for x, z in holes),
        )
        self.lane, self.edge = half / 2 + kind.median / 4, half + self.road.verge
        self.view = View(
            x=rng.uniform(-0.4, 0.6) - self.lane,
            height=rng.uniform(1.35, 1.65),
            horizon=ZOOM * rng.uniform(104, 122),
            bend=rng.uniform(-0.0009, 0.0009),
        )
        self.things = Things(rng)
        for side in (-1, 1):
            self._build(side)
            self._furnish(side)
        if kind.median:
            self._plant_median()

    def _build(self, side: int) -> None:
        """Line a side with lots: shops, houses behind walls, walled compounds, fenced building sites, groves."""
        things, rng, z = self.things, self.things.rng, -12.0
        while z < LENGTH:
            lot, lie = pick(rng, self.kind.lots.split()), {"side": side, "length": rng.uniform(8, 15)}
            x, end = side * (self.edge + self.road.footpath + rng.uniform(0.4, 1)), z + lie["length"]
            if lot == "grove":
                for at in rng.uniform(z, end, 6).tolist():
                    things.put(FRONTAGE, x + side * rng.uniform(0.6, 3), at, scenery.bush)
            else:
                front = {"shops": scenery.shops, "fence": scenery.sheet_fence}.get(lot, scenery.wall)
                things.put(FRONTAGE, x, z, front, **lie)
            if lot == "house":
                things.put(BEHIND, x + side * rng.uniform(2, 4), z, scenery.building, **lie)
            elif lot != "shops":
                for at in rng.uniform(z, end, 4).tolist():
                    plant = pick(rng, (scenery.tree, scenery.tree, scenery.palm))
                    things.put(BEHIND, x + side * rng.uniform(2, 7), at, plant)
                if rng.random() < 0.3:
                    things.put(BEHIND, x + side * 3, end, scenery.hoarding)
            z = end

    def _furnish(self, side: int) -> None:
        """Set poles, signs, parked vehicles and waste along a side."""
        things, rng, spacing = self.things, self.things.rng, self.things.rng.uniform(22, 30)
        for z in np.arange(rng.uniform(-10, 10), LENGTH, spacing).tolist():
            things.put(KERB, side * (self.edge + 0.5), z, scenery.utility_pole, spacing=spacing)
        for z in rng.uniform(5, 150, 4).tolist():
            things.put(KERB, side * (self.edge + 0.6), z, scenery.traffic_sign)
            things.put(KERB, side * (self.edge - 0.6), z + 6, pick(rng, self.kind.vehicles[:2]), oncoming=side > 0)
            things.put(KERB, side * self.edge, z + 14, traffic.parked_scooter)
            things.put(KERB, side * self.edge, z + 20, scenery.rubbish)

    def _plant_median(self) -> None:
        for z in np.arange(4, LENGTH, 24).tolist():
            self.things.put(MEDIAN, 0, z, scenery.street_lamp)
            for at in self.things.rng.uniform(z, z + 24, 4).tolist():
                self.things.put(MEDIAN, 0, at, scenery.bush, size=0.45)

    def passers_by(self, along: float, rng: Rng) -> Things:
        """Who is there only now: vehicles, people, an animal, as met from ``along`` the street."""
        now, kind = Things(rng), self.kind
        now.put(HORIZON, 0, along + 165, scenery.skyline)
        for side in (-1, 1):
            z = rng.uniform(6, 15)
            while z < 120:
                x = side * (self.lane + pick(rng, (-1, 1)) * (1.5 if kind.median else 0.5) + rng.uniform(-0.5, 0.5))
                row = ONCOMING if side > 0 and kind.median else OWN
                now.put(row, x, along + z, pick(rng, kind.vehicles), oncoming=side > 0)
                z += rng.uniform(10, 22) * (1 + z / 60)
        for z in np.arange(5, 45, 5).tolist():
            x = pick(rng, (-1, 1)) * (self.edge + rng.uniform(-0.6, self.road.footpath + 0.2))
            now.put(KERB, x, along + z + rng.uniform(0, 6), traffic.person)
        now.put(KERB, pick(rng, (-1, 1)) * (self.edge - rng.uniform(0, 1)), along + rng.uniform(9, 24), traffic.animal)
        now.put(KERB, -self.edge, along + rng.uniform(9, 18), scenery.rubbish)
        return now

    def draw(self, along: float, rng: Rng) -> tuple[Image.Image, Image.Image]:
        """Draw what the camera sees from ``along`` the street.

        Returns:
            the picture, RGB, and the class id of each of its pixels, 8-bit grey; WIDTH x HEIGHT.
        """
        things = [thing for thing in self.things + self.passers_by(along, rng) if -20 < thing.z - along < 170]
        things.sort(key=lambda thing: (thing.row, -thing.z))
        shade = Shade(self.view, self.light)
        for thing in things:
            if thing.z - along < 45:
                thing.paint_on(shade, along)
        picture, labels = Image.new("RGB", SIZE), Image.new("L", SIZE, SKY)
        above, ground = sky(self.view, self.light, self.drift), Ground(self.view, self.road, along)
        picture.paste(above.resize((SIZE[0], above.height * ZOOM), Image.Resampling.BICUBIC))
        picture.paste(ground.lit(self.light, shade.mask.filter(ImageFilter.BoxBlur(2))), (0, ground.top))
        labels.paste(Image.fromarray(ground.labels), (0, ground.top))
        canvas = Canvas(self.view, self.light, picture, labels)
        for thing in things:
            thing.paint_on(canvas, along)
        ids = np.asarray(labels)[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]
        return film(np.asarray(picture.reduce(ZOOM)), ids, rng), Image.fromarray(ids)
