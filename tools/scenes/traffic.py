"""What moves on an Indian road: vehicles, people, animals. Each function paints one onto a canvas.

It stands, or has its near end, at (x, z); its details come from ``rng``. Vehicles are described as seen from their
left, from the tail on, the rest as the camera sees it.
"""

from typing import NamedTuple

from tools.scenes.canvas import (
    BLACK,
    CLOTH,
    GLASS,
    GREEN,
    LIVING,
    RED,
    RGB,
    ROUND,
    SOOT,
    STEEL,
    VEHICLES,
    WHITE,
    YELLOW,
    Canvas,
    Hull,
    Outline,
    Rng,
    lettering,
    outline,
    panel,
    pick,
    scaled,
    upright,
)

TYRE, SHEEN, HEADLAMP, TAIL_LAMP, PLATE = (30, 30, 31), (104, 120, 132), (244, 240, 220), (206, 30, 26), (236, 230, 196)
SKIN, HAIR = (126, 84, 60), (30, 25, 24)
CAR_PAINT = (WHITE, WHITE, (178, 182, 186), (98, 102, 106), (156, 28, 30), (36, 64, 116), (48, 48, 52), (200, 98, 36))
BUS_PAINT = ((184, 44, 40), (44, 94, 152), (208, 198, 168), (58, 122, 78), WHITE)
LORRY_PAINT = ((198, 106, 40), (126, 64, 42), (48, 90, 124), (178, 148, 64))
AUTORICKSHAW_PAINT = ((YELLOW, BLACK), (GREEN, YELLOW), (YELLOW, YELLOW))  # body, hood
HELMETS = (HAIR, HAIR, BLACK, RED, WHITE, (32, 78, 152))
TROUSERS = ((46, 50, 66), (70, 62, 54), (58, 58, 60), (122, 110, 90), (206, 202, 192))
HIDES = ((216, 208, 194), (142, 94, 60), (178, 150, 118), (72, 62, 56))

Parts = list[tuple[str, Outline]]


def parts(text: str) -> Parts:
    """Read the parts of a thing, the hindmost first: a line each, ``name: outline``, with ``*`` for a mirrored pair."""
    read = []
    for name, points in (line.split(":") for line in text.strip().splitlines()):
        read.append((name.rstrip("*"), outline(points)))
        if name.endswith("*"):
            read.append((name.rstrip("*"), [(-x, y) for x, y in outline(points)]))
    return read


class Body(NamedTuple):
    """The make of a vehicle. Solid parts have the name of their paint; of a wheel, place and radius are given."""

    length: float
    width: float
    taper: float
    lamps: float  # height
    parts: Parts


def body(text: str) -> Body:
    """Read a make: a line of sizes, then its parts."""
    sizes, _, rest = text.strip().partition("\n")
    length, width, taper, lamps = (float(size.split()[-1]) for size in sizes.split(","))
    return Body(length, width, taper, lamps, parts(rest))


CAR = body("""
length 3.8, width 1.7, taper .28, lamps at .8
wheel: .7,.32 3.05,.32
paint: 0,.28 0,.55 .05,.9 .3,1 .72,1.46 1.2,1.52 2.1,1.5 2.85,1 3.6,.84 3.8,.6 3.8,.28
window: .62,1.02 .88,1.4 1.45,1.43 1.45,1.02
window: 1.55,1.02 1.55,1.43 2.1,1.43 2.6,1.02
screen: .33,1.03 .68,1.42
screen: 2.16,1.46 2.78,1.04
""")
VAN = body("""
length 4.3, width 1.75, taper .12, lamps at .88
wheel: .75,.36 3.45,.36
paint: 0,.3 0,1 .15,1.8 .4,1.9 2.9,1.9 3.5,1.12 4.2,.98 4.3,.7 4.3,.3
window: .3,1.15 .4,1.7 1.4,1.74 1.4,1.15
window: 1.5,1.15 1.5,1.74 2.9,1.74 3.3,1.15
screen: .03,1.15 .14,1.72
screen: 2.95,1.84 3.44,1.18
""")
BUS = body("""
length 9.5, width 2.5, taper .03, lamps at 1
wheel: 1.9,.5 7.6,.5
paint: 0,.45 0,1.9 9.4,1.9 9.5,.45
upper: 0,1.9 .05,3 .4,3.15 9.1,3.15 9.3,3 9.4,1.9
window: .4,1.95 .4,2.7 3,2.7 3,1.95
window: 3.2,1.95 3.2,2.7 5.8,2.7 5.8,1.95
window: 6,1.95 6,2.7 8.6,2.7 8.6,1.95
screen: 0,2 .04,2.8
screen: 9.32,2.85 9.45,1.5
""")
LORRY = body("""
length 7.6, width 2.4, taper 0, lamps at 1.05
wheel: 1.1,.5 2,.5 6.6,.5
cab: 5.6,.55 5.6,2.7 7.2,2.7 7.5,1.7 7.6,.55
load: .2,2.3 .5,2.8 2.2,3.1 5,2.9 5.2,2.3
paint: 0,.85 0,2.3 5.4,2.3 5.4,.85
window: 6.1,1.7 6.1,2.4 7,2.4 7.2,1.7
screen: 7.22,2.62 7.48,1.75
""")
THREE_WHEELER = body("""
length 2.6, width 1.35, taper .12, lamps at .7
wheel: .45,.24 2.2,.24
hood: 0,.95 .1,1.55 .4,1.76 1.8,1.74 2.15,.95
paint: 0,.3 0,.95 2.2,.95 2.5,.6 2.55,.3
window: .8,.5 .8,1.52 1.75,1.52 1.9,.5
screen: .04,1.2 .1,1.5
screen: 1.83,1.66 2.13,1
""")


def vehicle(c: Canvas, x: float, z: float, make: Body, paints: dict[str, RGB], oncoming: bool) -> None:
    hull = Hull(c, x, z, make.width, make.taper, make.length if oncoming else None)
    rear, underside = (((x - make.width / 2, near), (x + make.width / 2, near)) for near in (z, z + 0.3))
    c.shape(VEHICLES, BLACK, panel(*underside, 0.25, 0.9, 0.05, 0.95), 0)
    for left in (0.02, 0.82):
        c.shape(VEHICLES, TYRE, panel(*underside, 0, 0.4, left, left + 0.16), 0)
    solids = [part for part in make.parts if part[0] in paints]
    for name, profile in reversed(solids) if oncoming else solids:
        hull.solid(VEHICLES, paints[name], profile)
    for name, points in make.parts:
        if name == "window":
            hull.beside(GLASS, points)
        elif name == "screen":
            hull.across(GLASS, points, 0.12)
            (l0, h0), (l1, h1) = points
            middle = (l0 + l1) / 2, (h0 + h1) / 2
            hull.across(SHEEN, [middle, points[1]] if h0 < h1 else [points[0], middle], 0.16)
        elif name == "wheel" and hull.seen_side:
            for along, radius in points:
                hub = x + hull.seen_side * make.width / 2, z + (make.length - along if oncoming else along)
                c.shape(VEHICLES, TYRE, _wheel(*hub, radius, radius), 0.1)
                c.touch(STEEL, _wheel(*hub, radius, radius / 2))
    c.touch(scaled(paints["paint"], 0.7), panel(*rear, make.lamps - 0.3, make.lamps - 0.26))
    c.touch(BLACK, panel(*rear, 0.3, 0.45, 0.03, 0.97))
    c.touch(PLATE, panel(*rear, 0.5, 0.63, 0.36, 0.64), 0.7)
    for left in (0.03, 0.83):
        lamp = panel(*rear, make.lamps - 0.12, make.lamps + 0.08, left, left + 0.14)
        c.touch(HEADLAMP if oncoming else TAIL_LAMP, lamp, 0.9)


def _wheel(x: float, z: float, up: float, radius: float) -> Outline:
    return [(x, up + radius * y, z + radius * along) for along, y in ROUND]


def car(c: Canvas, x: float, z: float, rng: Rng, oncoming: bool) -> None:
    vehicle(c, x, z, pick(rng, (CAR, CAR, VAN)), {"paint": pick(rng, CAR_PAINT)}, oncoming)


def bus(c: Canvas, x: float, z: float, rng: Rng, oncoming: bool) -> None:
    paint = pick(rng, BUS_PAINT)
    vehicle(c, x, z, BUS, {"paint": paint, "upper": pick(rng, (paint, WHITE, YELLOW))}, oncoming)
    c.touch(pick(rng, BUS_PAINT), panel((x - 1.2, z), (x + 1.2, z), 1.35, 1.65))


def lorry(c: Canvas, x: float, z: float, rng: Rng, oncoming: bool) -> None:
    vehicle(c, x, z, LORRY, {"paint": pick(rng, LORRY_PAINT), "cab": pick(rng, LORRY_PAINT), "load": SOOT}, oncoming)
    if not oncoming:  # its tailboard is painted, as they are
        rear = (x - 1.15, z), (x + 1.15, z)
        c.touch(YELLOW, panel(*rear, 1.2, 1.36))
        c.touch(RED, panel(*rear, 2.05, 2.25))
        lettering(c, rng, WHITE, *rear, 1.5, 1.9)


def autorickshaw(c: Canvas, x: float, z: float, rng: Rng, oncoming: bool) -> None:
    paint, hood = pick(rng, AUTORICKSHAW_PAINT)
    vehicle(c, x, z, THREE_WHEELER, {"paint": paint, "hood": hood}, oncoming)


MAN = parts("""
trousers*: -.2,0 -.06,0 -.01,.5 0,.9 -.2,.9
cloth: -.21,.82 .21,.82 .25,1.38 .12,1.47 -.12,1.47 -.25,1.38
cloth*: -.25,1.4 -.35,1.1 -.28,1.05 -.19,1.25
skin*: -.35,1.12 -.36,.82 -.3,.8 -.28,1.06
skin: -.06,1.4 .06,1.4 .12,1.55 .1,1.68 -.1,1.68 -.12,1.55
hair: -.13,1.58 -.1,1.74 0,1.78 .1,1.74 .13,1.58 .08,1.66 -.08,1.66
""")
WOMAN = parts("""
cloth: -.27,.02 .27,.02 .2,.9 -.2,.9
cloth: -.2,.85 .2,.85 .23,1.35 .1,1.43 -.1,1.43 -.23,1.35
sari: .27,.02 .1,.02 .02,.7 -.2,.95 -.24,1.36 -.1,1.42 .24,.85
skin*: -.23,1.36 -.32,1 -.26,.96 -.18,1.2
skin: -.06,1.38 .06,1.38 .11,1.5 .1,1.62 -.1,1.62 -.11,1.5
hair: -.12,1.48 -.11,1.66 0,1.7 .11,1.66 .12,1.48 .07,1.6 -.07,1.6
""")
RIDER = parts("""
trousers*: -.36,.3 -.24,.28 -.14,.8 -.2,.9 -.34,.75
cloth: -.2,.75 .2,.75 .26,1.3 .13,1.4 -.13,1.4 -.26,1.3
cloth*: -.26,1.32 -.42,1.05 -.37,.95 -.18,1.12
helmet: -.1,1.36 .1,1.36 .15,1.48 .13,1.62 0,1.68 -.13,1.62 -.15,1.48
""")
MOTORCYCLE = parts("""
tyre: -.07,0 .07,0 .07,.6 -.07,.6
paint: -.13,.5 .13,.5 .19,.72 .13,.86 -.13,.86 -.19,.72
steel: -.42,.92 .42,.92 .42,.99 -.42,.99
lamp: -.08,.64 .08,.64 .08,.74 -.08,.74
plate: -.1,.42 .1,.42 .1,.54 -.1,.54
""")
SCOOTER = parts("""
tyre*: -.86,.26 -.78,.08 -.62,.02 -.46,.08 -.4,.26 -.46,.42 -.62,.5 -.78,.42
steel*: -.62,.2 -.56,.26 -.62,.32 -.68,.26
paint: -.92,.55 -.7,.52 -.36,.28 .18,.24 .42,.44 .56,.98 .48,1 .2,.5 -.02,.46 -.1,.74 -.85,.76
tyre: -.86,.76 -.1,.72 0,.82 -.8,.88
steel: .4,.98 .62,1 .6,1.06 .36,1.04
""")
COW = parts("""
dark: -.72,0 -.62,0 -.58,.7 -.76,.7
dark: .42,0 .52,0 .56,.7 .4,.7
hide: -.92,0 -.8,0 -.72,.8 -.95,.8
hide: .6,0 .72,0 .76,.8 .58,.8
hide: -1,.7 -1.02,1.15 -.85,1.3 -.3,1.28 .25,1.26 .5,1.42 .68,1.4 .8,1.2 .85,.85 .6,.62 -.3,.58
hide: .7,1.05 .86,1.42 1.02,1.5 1.16,1.42 1.34,1.1 1.3,1 1.16,1.02 .9,.85
patch: -.75,.8 -.8,1.15 -.4,1.22 -.2,1 -.4,.75
dark: .82,1.36 .7,1.3 .74,1.42
hair: 1,1.48 .96,1.68 1.06,1.6 1.08,1.47
dark: -1.02,1.15 -1.1,.7 -1.06,.45 -1,.7
""")
DOG = parts("""
dark: -.3,0 -.24,0 -.22,.35 -.3,.35
dark: .16,0 .22,0 .24,.35 .14,.35
hide: -.4,0 -.32,0 -.28,.35 -.4,.35
hide: .22,0 .3,0 .34,.35 .22,.35
hide: -.42,.3 -.42,.5 -.2,.54 .3,.55 .4,.4 .3,.28
hide: .26,.5 .36,.72 .46,.74 .62,.62 .6,.56 .44,.52 .36,.42
dark: .34,.72 .3,.56 .4,.62
hide: -.4,.48 -.56,.72 -.52,.74 -.34,.52
""")


def pose(c: Canvas, label: int, figure: Parts, colours: dict[str, RGB], x: float, z: float, flip: int = 1) -> None:
    """Draw a figure; cloth and hide get a shaded half."""
    for name, points in figure:
        c.shape(label, colours[name], upright(points, x, z, flip=flip), 0.7)
        if name in ("cloth", "hide"):
            shaded = [(0.5 * px - 0.06, py) for px, py in points]
            c.touch(scaled(colours[name], 0.85), upright(shaded, x, z, flip=flip), 0.6)


def dressed(rng: Rng) -> dict[str, RGB]:
    cloth = {"cloth": pick(rng, CLOTH), "sari": pick(rng, CLOTH), "trousers": pick(rng, TROUSERS)}
    return {**cloth, "helmet": pick(rng, HELMETS), "hair": HAIR, "skin": scaled(SKIN, rng.uniform(0.8, 1.2))}


def person(c: Canvas, x: float, z: float, rng: Rng) -> None:
    pose(c, LIVING, pick(rng, (MAN, MAN, WOMAN)), dressed(rng), x, z, pick(rng, (-1, 1)))


def animal(c: Canvas, x: float, z: float, rng: Rng) -> None:
    hide = pick(rng, HIDES)
    colours = {"hide": hide, "patch": pick(rng, HIDES), "dark": scaled(hide, 0.65), "hair": HAIR}
    pose(c, LIVING, pick(rng, (COW, COW, DOG)), colours, x, z, pick(rng, (-1, 1)))


def motorcyclist(c: Canvas, x: float, z: float, rng: Rng, oncoming: bool) -> None:
    """A motorcycle and who rides it: one or two people, labelled as such."""
    lamp = HEADLAMP if oncoming else TAIL_LAMP
    bike = {"tyre": TYRE, "paint": pick(rng, CAR_PAINT), "steel": STEEL, "plate": PLATE, "lamp": lamp}
    pose(c, VEHICLES, MOTORCYCLE, bike, x, z)
    for seat in range(pick(rng, (1, 1, 2))):
        pose(c, LIVING, RIDER, dressed(rng), x + 0.03 * seat, z)


def parked_scooter(c: Canvas, x: float, z: float, rng: Rng) -> None:
    scooter = {"tyre": TYRE, "paint": pick(rng, CAR_PAINT), "steel": STEEL}
    pose(c, VEHICLES, SCOOTER, scooter, x, z, pick(rng, (-1, 1)))
