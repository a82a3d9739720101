"""What results say: distributions of errors and the claims that they allow. Arrays in, values out."""

from netspace.stats.edf import EDF, complexity_weights, dkw_half_width
from netspace.stats.evidence import Criteria, Evidence, Side
from netspace.stats.ranges import BestRange, BestTrend, Direction, best_chances, best_range, best_trend
from netspace.stats.sample_size import Plan, plan_equal, plan_from_pilot, plan_shift
from netspace.stats.verdict import Band, Verdict, VerdictKind, compare, compare_all

__all__ = [
    "EDF",
    "Band",
    "BestRange",
    "BestTrend",
    "Criteria",
    "Direction",
    "Evidence",
    "Plan",
    "Side",
    "Verdict",
    "VerdictKind",
    "best_chances",
    "best_range",
    "best_trend",
    "compare",
    "compare_all",
    "complexity_weights",
    "dkw_half_width",
    "plan_equal",
    "plan_from_pilot",
    "plan_shift",
]
