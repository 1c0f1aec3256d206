"""The seven IDD-Lite classes: ids, names and colours, and the id of void, whose pixels never count.

Source: level 1 of the label hierarchy of Varma et al., "IDD: A Dataset for Exploring Problems of Autonomous
Navigation in Unconstrained Environments", WACV 2019.
"""

CLASSES = ("drivable", "non_drivable", "living", "vehicles", "roadside", "far", "sky")
VOID = 255

# RGB, one per class in the order of CLASSES. They differ in lightness, too, so that they stay apart in grey.
PALETTE = (
    (128, 64, 128),
    (244, 154, 232),
    (220, 20, 60),
    (0, 60, 160),
    (250, 170, 30),
    (107, 142, 35),
    (135, 206, 235),
)
VOID_COLOUR = (0, 0, 0)
