"""How near the best networks of a population are to the RegNet rule: do good networks have a small fit error?"""

from typing import Any

import numpy as np

from netspace import values
from netspace.findings.readings import all_errors, best
from netspace.networks.fitting import fit_regnet
from netspace.stats import rank_correlation
from netspace.stats.dominance import rank_test
from netspace.storage.population import Population

BEST = 0.1
"""The share of the networks that are the best ones."""

FEWEST_BEST = 3


def fit_row(population: Population) -> dict[str, Any] | None:
    """Return, as plain data, how well the rule fits a population and the best tenth of it; None without results.

    `best` is None where fewer than 3 networks would be the best tenth. `smaller` is the p-value (one-sided,
    Mann-Whitney) of "the fit error of the best is smaller than that of the others", `correlation` that of fit error
    and error over all networks with a result, failures as the worst; None where there are too few or all are alike.
    Source: Radosavovic et al. 2020, section 3.3, where the best networks of AnyNetX have small fit errors.
    """
    errors = all_errors(population)
    trained = [position for position, error in enumerate(errors) if not np.isnan(error)]
    if not trained:
        return None
    fits = {position: fit_regnet(population.networks[position]) for position in trained}
    e_fit = np.array([fits[position].error for position in trained])
    correlation = rank_correlation(e_fit, errors[trained])
    leaders = best(population, max(round(BEST * len(trained)), FEWEST_BEST))
    row: dict[str, Any] = {
        "space": population.name,
        "networks": len(trained),
        "median_fit_error": float(np.median(e_fit)),
        "correlation": None if correlation is None else values.to_dict(correlation),
        "best": None,
    }
    if len(leaders) < FEWEST_BEST or len(trained) < 2 * FEWEST_BEST:
        return row
    of_best = np.sort([fits[position].error for position in leaders])
    others = np.sort([fits[position].error for position in trained if position not in leaders])
    row["best"] = {
        "networks": len(leaders),
        "median_fit_error": float(np.median(of_best)),
        "others_median_fit_error": float(np.median(others)),
        "smaller": rank_test(of_best, others)[1],
        "fits": [
            {"position": position, "network": population.networks[position].digest, "error": float(errors[position])}
            | {name: getattr(fits[position], name) for name in ("initial_width", "width_slope", "width_multiplier")}
            | {"total_depth": len(fits[position].widths), "fit_error": fits[position].error}
            for position in leaders
        ],
    }
    return row
