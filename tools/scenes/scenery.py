"""What lines an Indian road: plants, houses, shops, walls, poles, signs. Each function paints one onto a canvas.

It stands at (x, z); its details come from ``rng``. ``side`` is -1 for what lines the left of the street and 1 for the
right: its face to the street is at ``x``, and it reaches ``length`` down the street from ``z``.
"""

import numpy as np

from segcore.dataset.classes import VOID
from tools.scenes.canvas import (
    BLACK,
    BLUE,
    CLOTH,
    FAR,
    GLASS,
    GREEN,
    RED,
    RGB,
    ROADSIDE,
    ROUND,
    SOOT,
    STEEL,
    WHITE,
    YELLOW,
    Canvas,
    Hull,
    Place,
    Rng,
    block,
    lettering,
    outline,
    panel,
    pick,
    scaled,
    upright,
)

BARK, CONCRETE, SAND, SLATE, WASTE = (92, 76, 62), (152, 147, 138), (192, 182, 152), (66, 88, 108), (112, 102, 90)
BRICK, MAROON, PURPLE, TERRACOTTA, FACE = (170, 100, 76), (116, 44, 48), (122, 40, 112), (170, 90, 70), (164, 110, 78)
SIGNS = (RED, BLUE, YELLOW, GREEN, WHITE, PURPLE)
SHEETS = ((58, 98, 164), (62, 122, 132), (150, 152, 154))
LEAVES = ((68, 94, 42), (86, 108, 46), (58, 86, 50), (102, 110, 54), (78, 92, 38))
WARM = ((218, 204, 176), (200, 164, 130), (214, 166, 162), (210, 182, 114), (192, 142, 116))
PLASTER = (*WARM, (168, 198, 188), (178, 192, 212), (226, 220, 208), (194, 180, 200))
CLUMP = outline("1,.1 .5,.35 .6,.8 -.1,.95 -.6,.5 -1,-.1 -.45,-.45 -.3,-1 .35,-.6 .9,-.5")


def foliage(c: Canvas, rng: Rng, clumps: int, x: float, y: float, z: float, wide: float, high: float) -> None:
    """Clumps of leaves that fill an ellipse: dark ones below and inside, bright ones toward the sun."""
    green, thinned = pick(rng, LEAVES), 1 + int(max(0.0, z) / 30)
    spots, sizes = rng.uniform(-1, 1, (clumps, 2)), rng.uniform(0.1, 0.24, clumps) * (wide + high)
    east = max(-1.0, min(1.0, -c.light.shadow[0]))
    glow = 0.6 * spots[:, 1] + 0.5 * east * spots[:, 0] + rng.uniform(-0.45, 0.45, clumps)
    order = np.argsort(glow, kind="stable")
    for k in order[(spots[order] ** 2).sum(1) < 1][::thinned].tolist():
        bright, size = float(glow[k]), float(sizes[k]) * (0.5 + 0.12 * thinned)
        px, py = x + wide * float(spots[k, 0]), y + high * float(spots[k, 1])
        across, up = size * (-1 if k % 2 else 1), 0.8 * size * (-1 if k % 3 else 1)
        points = [(px + across * qx, py + up * qy, z) for qx, qy in CLUMP]
        c.shape(FAR, scaled(green, 0.85 + 0.35 * bright), points, max(0.0, 0.4 + 0.5 * bright))


def tree(c: Canvas, x: float, z: float, rng: Rng) -> None:
    height, foot, lean = rng.uniform(6, 11), rng.uniform(0.14, 0.28), rng.uniform(-0.5, 0.5)
    trunk = [(-foot, 0), (foot, 0), (lean + foot / 2, height * 0.6), (lean - foot / 2, height * 0.6)]
    c.shape(FAR, BARK, upright(trunk, x, z), 0.3)
    foliage(c, rng, 220, x + lean, height * 0.68, z, rng.uniform(2.4, 4.2), height * 0.32)


def bush(c: Canvas, x: float, z: float, rng: Rng, size: float = 1.0) -> None:
    foliage(c, rng, 80, x, 0.4 * size, z, size * rng.uniform(0.8, 1.8), size * rng.uniform(0.5, 1.2))


def palm(c: Canvas, x: float, z: float, rng: Rng) -> None:
    """A coconut palm."""
    height, lean = rng.uniform(7, 11), rng.uniform(-1.2, 1.2)
    left = [(x + lean * t * t - 0.16, height * t, z) for t in (0, 0.33, 0.66, 1)]
    c.shape(FAR, BARK, [*left, *((px + 0.26, py, z) for px, py, _ in reversed(left))], 0.5)
    for _ in range(14):
        reach, rise, colour = rng.uniform(-3.2, 3.2), rng.uniform(0.3, 2), scaled(LEAVES[1], rng.uniform(0.7, 1.25))
        rib = [(x + lean + reach * t, height + 2 * rise * t - (rise + 1.6) * t * t, z) for t in (0, 0.25, 0.5, 0.75, 1)]
        tips = [(px - 0.1, py - hang, z) for (px, py, _), hang in zip(rib, (0.05, 0.5, 0.65, 0.45, 0.1), strict=True)]
        c.shape(FAR, colour, rib + tips[::-1], rng.uniform(0.2, 0.9))


def skyline(c: Canvas, x: float, z: float, rng: Rng) -> None:
    """Treetops and tall houses where sight ends."""
    crests = [(9.0 * k, high) for k, high in enumerate(rng.uniform(5, 11, 61).tolist(), start=-30)]
    for at in rng.uniform(-160, 160, 9).tolist():
        c.shape(FAR, pick(rng, PLASTER), panel((at, z), (at + rng.uniform(8, 22), z), 0, rng.uniform(8, 32)), 0.35)
    c.shape(FAR, LEAVES[2], upright([(-270, -1), *crests, (270, -1)], x, z), 0.4)


def facade(c: Canvas, rng: Rng, a: Place, b: Place, height: float, tone: float) -> None:
    """Storeys with windows, sunshades and balconies on the wall over the line from ``a`` to ``b``."""
    frame, trim = pick(rng, (MAROON, SLATE, SOOT, WHITE)), pick(rng, (WHITE, CONCRETE, TERRACOTTA))
    for floor in np.arange(0, height - 3, 3.3).tolist():
        c.touch(trim, panel(a, b, floor + 3.15, floor + 3.3), tone)
        for left in (0.06, 0.31, 0.56, 0.81):
            if floor and rng.random() < 0.25:
                c.touch(SOOT, panel(a, b, floor + 0.1, floor + 2.2, left, left + 0.14), tone)
                c.touch(trim, panel(a, b, floor + 0.1, floor + 0.95, left - 0.03, left + 0.17), tone)
                continue
            c.touch(frame, panel(a, b, floor + 0.93, floor + 2.37, left - 0.012, left + 0.127), tone)
            c.touch(scaled(GLASS, rng.uniform(0.7, 1.6)), panel(a, b, floor + 1, floor + 2.3, left, left + 0.115), tone)
            c.touch(SOOT, panel(a, b, floor + 2.38, floor + 2.5, left - 0.03, left + 0.145), tone)
            c.touch(trim, panel(a, b, floor + 2.47, floor + 2.6, left - 0.03, left + 0.145), tone)
    c.touch(SOOT, panel(a, b, 0, 0.4), tone)


def building(c: Canvas, x: float, z: float, rng: Rng, side: int, length: float) -> None:
    """A house of two to four floors, with a water tank on its roof."""
    plaster, height, depth = pick(rng, PLASTER), 3.3 * int(rng.integers(2, 5)) + 0.8, rng.uniform(6, 9)
    Hull(c, x + side * depth / 2, z, depth).solid(FAR, plaster, block(length, 0, height))
    facade(c, rng, (x + side * depth, z), (x, z), height, c.light.on(0, 0, -1))
    facade(c, rng, (x, z), (x, z + length), height, c.light.on(-side, 0, 0))
    tank = outline("-.7,0 .7,0 .7,1.1 .4,1.4 -.4,1.4 -.7,1.1")
    c.shape(FAR, BLACK, upright(tank, x + side * rng.uniform(1, depth - 1), z + 1, height))


def shops(c: Canvas, x: float, z: float, rng: Rng, side: int, length: float) -> None:
    """A building with three shops in its ground floor: goods on shelves, signboards, awnings."""
    building(c, x, z, rng, side, length)
    for near in np.linspace(z, z + length, 3, endpoint=False).tolist():
        far, board, out = near + length / 3 - 0.1, pick(rng, SIGNS), x - side * 0.4
        door = (x, near + 0.2), (x, far - 0.1)
        c.touch(pick(rng, (BLACK, SOOT, STEEL, SLATE)), panel(*door, 0.1, 2.6), 0.3)
        for start in rng.uniform(0, 0.9, 16).tolist():
            shelf = pick(rng, (0.15, 0.75, 1.35))
            c.touch(pick(rng, CLOTH), panel(*door, shelf, shelf + rng.uniform(0.15, 0.5), start, start + 0.08), 0.3)
        Hull(c, x - side * 0.2, near, 0.4).solid(ROADSIDE, board, block(far - near, 2.6, 3.9))
        lettering(c, rng, ink_on(board), (out, near + 0.2), (out, far - 0.2), 2.9, 3.6)
        if rng.random() < 0.6:
            cover, eave = pick(rng, (BLUE, MAROON, SAND, STEEL)), x - side * 1.7
            c.shape(ROADSIDE, cover, [(x, 2.75, near), (x, 2.75, far), (eave, 2.25, far), (eave, 2.25, near)], 0.6)
            fringe = [(x, 2.75, near), (eave, 2.25, near), (eave, 2.05, near), (x, 2.55, near)]
            c.shape(ROADSIDE, scaled(cover, 0.7), fringe, 0.3)


def wall(c: Canvas, x: float, z: float, rng: Rng, side: int, length: float) -> None:
    """A compound wall: streaks below its coping, dirt at its foot, often a painted advertisement."""
    high, colour, tone = rng.uniform(2, 2.9), pick(rng, (*PLASTER, BRICK, CONCRETE)), c.light.on(-side, 0, 0)
    face = (x, z), (x, z + length)
    Hull(c, x + side * 0.15, z, 0.3).solid(ROADSIDE, colour, block(length, 0, high))
    for start in rng.uniform(0, 0.95, 16).tolist():
        streak = panel(*face, high - rng.uniform(0.3, high), high, start, start + rng.uniform(0.02, 0.06))
        c.touch(scaled(colour, rng.uniform(0.78, 1)), streak, tone)
    if rng.random() < 0.5:
        paint, start = pick(rng, SIGNS), rng.uniform(0.05, 0.4)
        c.touch(paint, panel(*face, 0.45, high - 0.3, start, start + 0.5), tone)
        near, far = ((x, z + length * (start + inset)) for inset in (0.04, 0.46))
        lettering(c, rng, ink_on(paint), near, far, 0.8, high - 0.6)
    c.touch(scaled(colour, 0.6), panel(*face, 0, rng.uniform(0.15, 0.4)), tone)
    c.touch(scaled(colour, 1.15), panel(*face, high - 0.14, high), tone)


def sheet_fence(c: Canvas, x: float, z: float, rng: Rng, side: int, length: float) -> None:
    """Corrugated sheets around a building site."""
    colour, high, tone = pick(rng, SHEETS), rng.uniform(2.4, 3.2), c.light.on(-side, 0, 0)
    Hull(c, x + side * 0.05, z, 0.1).solid(ROADSIDE, colour, block(length, 0, high))
    for at in np.arange(z, z + length, 0.6).tolist():
        c.touch(scaled(colour, 0.8), panel((x, at), (x, at + 0.2), 0, high), tone)


def utility_pole(c: Canvas, x: float, z: float, rng: Rng, spacing: float) -> None:
    """A concrete pole with its wires to the next one."""
    c.shape(ROADSIDE, CONCRETE, upright(outline("-.17,0 .17,0 .1,8 -.1,8"), x, z))
    for level in (7.6, 6.9):
        c.shape(ROADSIDE, SOOT, panel((x - 0.9, z), (x + 0.9, z), level - 0.07, level + 0.07), 0.3)
        for at in (-0.8, 0, 0.8):
            sag = ((0, 0), (0.25, 0.4), (0.5, 0.55), (0.75, 0.4), (1, 0))
            c.wire(BLACK, [(x + at, level - drop, z + spacing * t) for t, drop in sag])


def street_lamp(c: Canvas, x: float, z: float, rng: Rng) -> None:
    arm = outline("-.09,0 .09,0 .05,7 1.5,7.4 1.5,7.55 -.05,7.1")
    c.shape(ROADSIDE, STEEL, upright(arm, x, z, flip=pick(rng, (-1, 1))))


def traffic_sign(c: Canvas, x: float, z: float, rng: Rng) -> None:
    board = pick(rng, (RED, BLUE, GREEN, YELLOW))
    c.shape(ROADSIDE, STEEL, panel((x - 0.05, z), (x + 0.05, z), 0, 2.2), 0.4)
    if board == RED:
        c.shape(ROADSIDE, RED, upright(ROUND, x, z, 2.5, 0.42), 0.7)
        c.touch(WHITE, upright(ROUND, x, z, 2.5, 0.3), 0.7)
    else:
        c.shape(ROADSIDE, board, panel((x - 0.7, z), (x + 0.7, z), 1.9, 3), 0.7)
        lettering(c, rng, ink_on(board), (x - 0.6, z), (x + 0.6, z), 2.3, 2.65)


def hoarding(c: Canvas, x: float, z: float, rng: Rng) -> None:
    """A large advertisement with somebody on it."""
    low, wide, high, board = rng.uniform(3.2, 5), rng.uniform(2, 3.2), rng.uniform(2, 3), pick(rng, SIGNS)
    ends, head = ((x - wide, z), (x + wide, z)), x + 0.6 * wide
    for post in (0.15, 0.85):
        c.shape(ROADSIDE, STEEL, panel(*ends, 0, low, post - 0.02, post + 0.02), 0.3)
    c.shape(ROADSIDE, board, panel(*ends, low, low + high), 0.7)
    c.touch(pick(rng, SIGNS), panel(*ends, low, low + high, 0.62, 1), 0.7)
    c.touch(pick(rng, CLOTH), upright(outline("-.26,0 .26,0 .16,.42 -.16,.42"), head, z, low, high), 0.7)
    c.touch(FACE, upright(ROUND, head, z, low + high * 0.6, high * 0.2), 0.7)
    for foot, top in ((0.5, 0.75), (0.2, 0.35)):
        line = (x - wide * 0.85, z), (x + wide * 0.15, z)
        lettering(c, rng, ink_on(board), *line, low + high * foot, low + high * top)


def rubbish(c: Canvas, x: float, z: float, rng: Rng) -> None:
    """A heap that none of the classes covers: void."""
    c.shape(VOID, WASTE, upright(outline("-.7,0 .7,0 .5,.2 .2,.38 -.1,.3 -.4,.34"), x, z))
    for left in rng.uniform(-0.5, 0.35, 9).tolist():
        c.touch(pick(rng, CLOTH), upright(block(0.16, 0, 0.1), x + left, z, rng.uniform(0.02, 0.2)), 0.6)


def ink_on(board: RGB) -> RGB:
    """A colour that can be read on ``board``."""
    return WHITE if sum(board) < 420 else MAROON
