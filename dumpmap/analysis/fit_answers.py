"""Whether an allocation would fit, for every map: a partial one can still prove that it would not."""

from __future__ import annotations

from dumpmap.analysis.free import Fit, checked_sizes, fits
from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap


def fit_answer(region_map: RegionMap, size: int, alignment: int) -> Fit:
    """Answers `fits` for a map; for one without a list of regions, by what bounds its largest free block.

    Args:
        region_map: the map.
        size: bytes.
        alignment: a power of two, at least a page.

    Raises:
        ValueError: the size or the alignment is not one.
    """
    found = fits(region_map, size, alignment)
    if found is not None:
        return found
    checked_sizes(size, alignment)
    m = measurements_of(region_map)
    bound = m.bounds.largest if m.bounds is not None else None
    at_most = m.limit.size if bound is None else bound.size
    refused = at_most is not None and size > at_most
    return Fit(
        size=size,
        alignment=alignment,
        fits=False if refused else None,
        count=0 if refused else None,
        address=None,
        largest=None,
        complete=False,
        reason="map-partial" if not refused else "address-space" if bound is None else "bound",
        largest_at_most=at_most,
    )
