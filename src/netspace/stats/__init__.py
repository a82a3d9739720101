"""What results say: distributions of errors and the claims that they allow. Arrays in, values out."""

from netspace.stats.edf import EDF, complexity_weights, dkw_half_width
from netspace.stats.evidence import Criteria, Evidence, Side
from netspace.stats.importance import GroupImportance, Importance, forest_importance
from netspace.stats.principles import Cost, Shift, cost_per_step, shift, two_routes
from netspace.stats.ranges import BestRange, BestTrend, Direction, best_chances, best_range, best_trend
from netspace.stats.sample_size import Plan, plan_equal, plan_from_pilot, plan_shift
from netspace.stats.verdict import Band, Verdict, VerdictKind, compare, compare_all

__all__ = [
    "EDF",
    "Band",
    "BestRange",
    "BestTrend",
    "Cost",
    "Criteria",
    "Direction",
    "Evidence",
    "GroupImportance",
    "Importance",
    "Plan",
    "Shift",
    "Side",
    "Verdict",
    "VerdictKind",
    "best_chances",
    "best_range",
    "best_trend",
    "compare",
    "compare_all",
    "complexity_weights",
    "cost_per_step",
    "dkw_half_width",
    "forest_importance",
    "plan_equal",
    "plan_from_pilot",
    "plan_shift",
    "shift",
    "two_routes",
]
