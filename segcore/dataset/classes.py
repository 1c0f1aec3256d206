"""The id and the colour of void, whose pixels never count. The classes are those of data/raw/dataset.json."""

VOID = 255
VOID_COLOUR = (0, 0, 0)
