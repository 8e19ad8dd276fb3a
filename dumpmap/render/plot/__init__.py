"""Pictures of maps, timelines, and differences on matplotlib axes, for notebooks and scripts.

Every function draws one finished value on the axes that it gets, or on new ones, and returns the axes. Nothing here
computes figures: the strip is the one that `browse` shows, and sums come from the map, the timeline, or the difference.
matplotlib is imported when something is drawn.

- `axes`: new axes, scales in bytes, texts from dumps, the legend of types.
- `space`, `types`, `owners`, `growth`, `changes`: one picture each; `treemap` lays out rectangles.
"""
