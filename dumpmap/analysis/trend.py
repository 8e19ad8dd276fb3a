"""Straight lines through figures over time, with the confidence interval of their slope."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dumpmap.model.values import value_class

Values = npt.NDArray[np.float64]


@value_class(frozen=True, slots=True)
class Lines:
    """Lines of best fit, one per row of values; NaN where there are too few values.

    Attributes:
        slope: of each line.
        low: lower end of the slope's confidence interval.
        high: upper end.
    """

    slope: Values
    low: Values
    high: Values


def fit_lines(at: Values, values: Values, confidence: float) -> Lines:
    """Fits a line per row by least squares, all rows at once.

    Args:
        at: the places of the values on the time axis.
        values: rows of values, NaN where unknown.
        confidence: of the intervals, above 0 and below 1.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=1).astype(np.float64)
    filled = np.where(known, values, 0.0)
    times = np.where(known, at, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_time = times.sum(axis=1) / count
        mean = filled.sum(axis=1) / count
        off_time = np.where(known, at - mean_time[:, None], 0.0)
        off = np.where(known, values - mean[:, None], 0.0)
        spread = (off_time**2).sum(axis=1)
        slope = (off_time * off).sum(axis=1) / spread
        residual = off - slope[:, None] * off_time
        squares = (np.where(known, residual, 0.0) ** 2).sum(axis=1)
        # What remains of an exact line is rounding, which must not show as uncertainty.
        squares[squares <= (off**2).sum(axis=1) * 1e-20] = 0.0
        error = np.sqrt(squares / (count - 2) / spread)
        factors = np.array([student_t(int(n) - 2, confidence) if n > 2 else np.nan for n in count.tolist()])
        margin = factors * error
    slope = np.where((count < 2) | (spread == 0), np.nan, slope)
    return Lines(slope, slope - margin, slope + margin)


@lru_cache(maxsize=256)
def student_t(freedom: int, confidence: float) -> float:
    """Returns the t that a Student-distributed value stays within (on both sides) with the given probability.

    Args:
        freedom: degrees of freedom, 1 or more.
        confidence: the probability, above 0 and below 1.
    """
    low, high = 0.0, 1.0
    while _student_within(high, freedom) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if _student_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_within(t: float, freedom: int) -> float:
    """P(-t <= T <= t), by the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    total = 0.0
    if freedom % 2:
        term = cosine
        for step in range(3, freedom + 1, 2):
            total += term
            term *= cosine * cosine * (step - 1) / step
        return 2 / math.pi * (angle + math.sin(angle) * total)
    term = 1.0
    for step in range(2, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (step - 1) / step
    return math.sin(angle) * total
