"""Every kind and every word of evidence: those of the general rules and those of the recognisers.

Reports, documents, and tests walk these tables. Importing this module imports every recogniser.
"""

from __future__ import annotations

from dumpmap.model.evidence import GENERAL_EVIDENCE, EvidenceInfo
from dumpmap.model.kinds import GENERAL_KINDS, KindInfo
from dumpmap.model.pointers import EVIDENCE as POINTER_EVIDENCE
from dumpmap.structures.recognisers import RECOGNISERS

KINDS: tuple[KindInfo, ...] = (
    *GENERAL_KINDS,
    *(info for recogniser in RECOGNISERS for info in recogniser.load().KINDS),
)
"""Every kind that a row can have, besides the names of image sections and what another tool's file states."""

EVIDENCE: tuple[EvidenceInfo, ...] = (
    *GENERAL_EVIDENCE,
    *POINTER_EVIDENCE,
    *(info for recogniser in RECOGNISERS for info in recogniser.load().EVIDENCE),
)
"""Every word of evidence that a row can have."""
