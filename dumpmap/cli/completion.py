"""What a shell offers for values that are no files: types, kinds, states, columns.

A shell completes single words, so a name with blanks is offered in the form without them that the option takes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Returns the names that begin with what is there, each once; case does not matter."""
    return [name for name in dict.fromkeys(names) if name.lower().startswith(incomplete.lower())]


def type_names(incomplete: str) -> list[str]:
    """Completes a type."""
    from dumpmap.model.types import TYPES

    return offered((info.name.lower().replace(" ", "-") for info in TYPES), incomplete)


def kind_names(incomplete: str) -> list[str]:
    """Completes a kind. `--kind` takes a part of a name, so the words of longer names are offered."""
    from dumpmap.classify.vocabulary import KINDS

    return offered((word for kind in KINDS for word in re.findall(r"[\w./+-]{3,}", kind.name)), incomplete)


def state_names(incomplete: str) -> list[str]:
    """Completes a state."""
    from dumpmap.views.filters import STATES

    return offered(STATES, incomplete)


def region_columns(incomplete: str) -> list[str]:
    """Completes a column of `regions`."""
    from dumpmap.model.columns import REGION_COLUMNS

    return _signed((column.name for column in REGION_COLUMNS), incomplete)


def region_groups(incomplete: str) -> list[str]:
    """Completes the last of the columns that `regions` can group by."""
    from dumpmap.views.region_groups import KEY_NAMES

    return _listed(KEY_NAMES, incomplete)


def triage_columns(incomplete: str) -> list[str]:
    """Completes a column of `triage`."""
    from dumpmap.triage.columns import NAMES

    return _signed(NAMES, incomplete)


def triage_groups(incomplete: str) -> list[str]:
    """Completes the last of the columns that `triage` can group by."""
    from dumpmap.triage.columns import GROUPABLE

    return _listed(GROUPABLE, incomplete)


def triage_conditions(incomplete: str) -> list[str]:
    """Completes the column of a condition and, behind `=` and `!=`, the values that the column can have."""
    from dumpmap.triage.columns import BY_NAME, GROUPABLE, known_values

    column, operator, value = incomplete.partition("=")
    if not operator:
        return offered(GROUPABLE, incomplete)
    name = column.removesuffix("!")
    values = known_values(name) if name in BY_NAME else ()
    return [f"{column}={known}" for known in offered(values, value)]


def _signed(names: Iterable[str], incomplete: str) -> list[str]:
    """Completes a name that can have a sign in front."""
    sign = incomplete[:1] if incomplete[:1] in ("-", "+") else ""
    return [sign + name for name in offered(names, incomplete[len(sign) :])]


def _listed(names: Iterable[str], incomplete: str) -> list[str]:
    """Completes the last name of a list that is separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    used = set(before.split(","))
    return [before + comma + name for name in offered((name for name in names if name not in used), last)]
