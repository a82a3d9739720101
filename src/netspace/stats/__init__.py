"""What results say: distributions of errors and the claims that they allow. Arrays in, values out."""

from netspace.stats.agreement import Agreement, PairAgreement, agreement, claim
from netspace.stats.assisted import AssistedDifference, AssistedSample, assist, assisted_difference, holm
from netspace.stats.bands import anytime_half_width, dkw_half_width
from netspace.stats.correlation import RankCorrelation, rank_correlation
from netspace.stats.decision import Decision, DecisionKind, decide, networks_if_harmless
from netspace.stats.edf import EDF, complexity_weights
from netspace.stats.effects import Effect
from netspace.stats.estimate import Estimate
from netspace.stats.evidence import Criteria, Evidence, Side
from netspace.stats.fidelity import Fidelity, fidelity, noise_ceiling
from netspace.stats.importance import GroupImportance, Importance, forest_importance
from netspace.stats.interplay import Interplay, common_interplay, interplay
from netspace.stats.looks import Look, nominal_levels, planned_looks
from netspace.stats.noise import SeedNoise, seed_noise, without_noise
from netspace.stats.normalisation import Alike, Normalisation, make_alike, normalised_edf
from netspace.stats.pareto import pareto_front
from netspace.stats.prediction import Known
from netspace.stats.principles import Cost, Shift, cost_per_step, shift, two_routes
from netspace.stats.ranges import BestRange, BestTrend, Direction, best_chances, best_range, best_trend
from netspace.stats.sample_size import Plan, plan_equal, plan_from_pilot, plan_shift
from netspace.stats.selection import error_limits, expected_again, may_be_best
from netspace.stats.verdict import Band, Verdict, VerdictKind, compare, compare_all, compare_at_looks

__all__ = [
    "EDF",
    "Agreement",
    "Alike",
    "AssistedDifference",
    "AssistedSample",
    "Band",
    "BestRange",
    "BestTrend",
    "Cost",
    "Criteria",
    "Decision",
    "DecisionKind",
    "Direction",
    "Effect",
    "Estimate",
    "Evidence",
    "Fidelity",
    "GroupImportance",
    "Importance",
    "Interplay",
    "Known",
    "Look",
    "Normalisation",
    "PairAgreement",
    "Plan",
    "RankCorrelation",
    "SeedNoise",
    "Shift",
    "Side",
    "Verdict",
    "VerdictKind",
    "agreement",
    "anytime_half_width",
    "assist",
    "assisted_difference",
    "best_chances",
    "best_range",
    "best_trend",
    "claim",
    "common_interplay",
    "compare",
    "compare_all",
    "compare_at_looks",
    "complexity_weights",
    "cost_per_step",
    "decide",
    "dkw_half_width",
    "error_limits",
    "expected_again",
    "fidelity",
    "forest_importance",
    "holm",
    "interplay",
    "make_alike",
    "may_be_best",
    "networks_if_harmless",
    "noise_ceiling",
    "nominal_levels",
    "normalised_edf",
    "pareto_front",
    "plan_equal",
    "plan_from_pilot",
    "plan_shift",
    "planned_looks",
    "rank_correlation",
    "seed_noise",
    "shift",
    "two_routes",
    "without_noise",
]
