"""What results say: distributions of errors and the claims that they allow. Arrays in, values out."""

from netspace.stats.edf import EDF, complexity_weights, dkw_half_width
from netspace.stats.evidence import Criteria, Evidence, Side
from netspace.stats.verdict import Band, Verdict, VerdictKind, compare, compare_all

__all__ = [
    "EDF",
    "Band",
    "Criteria",
    "Evidence",
    "Side",
    "Verdict",
    "VerdictKind",
    "compare",
    "compare_all",
    "complexity_weights",
    "dkw_half_width",
]
