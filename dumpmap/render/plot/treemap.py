"""The layout of a treemap: rectangles as near to squares as they get (Bruls, Huizing, and van Wijk, 2000)."""

from __future__ import annotations

from collections.abc import Sequence

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


def layout(values: Sequence[float], width: float, height: float) -> list[Box]:
    """Divides a rectangle among values.

    Args:
        values: positive numbers, the largest first.
        width: of the rectangle.
        height: of the rectangle.

    Returns:
        a box for each value; their areas are in proportion to the values.
    """
    boxes: list[Box] = []
    free = Box(0.0, 0.0, width, height)
    unit = width * height / sum(values) if values else 0.0
    areas = [value * unit for value in values]
    while len(boxes) < len(areas):
        side = min(free.width, free.height)
        count = _fitting(areas[len(boxes) :], side)
        row = areas[len(boxes) : len(boxes) + count]
        placed, free = _placed(row, free, last=len(boxes) + count == len(areas))
        boxes += placed
    return boxes


def _fitting(areas: Sequence[float], side: float) -> int:
    """How many boxes go into the next row along a side: more, while the worst of them gets no narrower."""
    total, best, count = 0.0, float("inf"), 0
    for area in areas:
        total += area
        # The first is the largest of the row and the one at hand the smallest.
        worst = max(side * side * areas[0] / total**2, total**2 / (side * side * area)) if side else 0.0
        if count and worst > best:
            break
        best, count = worst, count + 1
    return count


def _placed(row: Sequence[float], free: Box, *, last: bool) -> tuple[list[Box], Box]:
    """Places a row at the shorter side of what is free; returns its boxes and what is free then.

    The last row takes all that is free, so that roundings do not add up to a gap.
    """
    boxes, total = [], sum(row)
    side, across = (free.height, free.width) if free.width >= free.height else (free.width, free.height)
    depth = across if last or not side else min(total / side, across)
    place = 0.0
    for area in row:
        length = side * area / total
        if free.width >= free.height:
            boxes.append(Box(free.x, free.y + place, depth, length))
        else:
            boxes.append(Box(free.x + place, free.y, length, depth))
        place += length
    if free.width >= free.height:
        return boxes, Box(free.x + depth, free.y, free.width - depth, free.height)
    return boxes, Box(free.x, free.y + depth, free.width, free.height - depth)
