"""Populations of real specs with made-up results."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from netspace.findings.assumptions import Assumption, Standing
from netspace.findings.importance import ImportanceFound
from netspace.networks.complexity import Complexity, complexity
from netspace.networks.own_block import OwnBlock
from netspace.networks.regnet import adjust_widths, regnet
from netspace.networks.spec import NetworkSpec, Stage
from netspace.report import StudyReport, render
from netspace.stats import compare_all
from netspace.storage.population import Population
from netspace.training.trial import EpochRecord, TrialResult

EPOCHS = 6


def regnet_draw(random: np.random.Generator) -> tuple[NetworkSpec, Mapping[str, float]]:
    while True:
        drawn = {
            "total_depth": int(random.integers(8, 28)),
            "initial_width": 8 * int(random.integers(2, 12)),
            "width_slope": round(float(random.uniform(6, 60)), 1),
            "width_multiplier": round(float(random.uniform(1.6, 3.0)), 3),
            "group_width": int(2 ** random.integers(1, 6)),
        }
        spec = regnet(**drawn, num_classes=10)
        if len(spec.stages) == 4:
            stages = {f"group_width[{i}]": drawn["group_width"] for i in range(4)}
            del drawn["group_width"]
            return spec, {**drawn, **stages}


def anynet_draw(random: np.random.Generator) -> tuple[NetworkSpec, Mapping[str, float]]:
    depths = random.integers(1, 9, size=4)
    widths = 8 * random.integers(1, 65, size=4)
    ratios = random.choice([1.0, 2.0, 4.0], size=4)
    groups = 2 ** random.integers(0, 6, size=4)
    new_widths, new_groups = adjust_widths(widths, ratios, groups)
    stages = tuple(
        Stage(depth=int(d), width=int(w), bottleneck_ratio=float(b), group_width=int(g))
        for d, w, b, g in zip(depths, new_widths, ratios, new_groups, strict=True)
    )
    drawn = {
        f"{name}[{i}]": float(column[i])
        for name, column in (
            ("depth", depths),
            ("width", widths),
            ("bottleneck_ratio", ratios),
            ("group_width", groups),
        )
        for i in range(4)
    }
    return NetworkSpec(stages=stages, num_classes=10), drawn


def finished(spec: NetworkSpec, error: float, random: np.random.Generator) -> TrialResult:
    epochs = range(1, EPOCHS + 1)
    noise = random.normal(0, 0.01, size=EPOCHS)
    fall = [
        error + (0.75 - error) * math.exp(-1.1 * epoch) + noise[epoch - 1] * (EPOCHS - epoch) / 3 for epoch in epochs
    ]
    curve = [
        EpochRecord(epoch=e, training_loss=2 * v, validation_error=min(max(v, 0.0), 1.0), seconds=3.0)
        for e, v in zip(epochs, fall, strict=True)
    ]
    return TrialResult(
        trial_id=spec.digest, status="finished", error=error, curve=tuple(curve), seconds=19.5, images=48_000
    )


def diverged(spec: NetworkSpec) -> TrialResult:
    curve = (EpochRecord(epoch=1, training_loss=9.0, validation_error=0.88, seconds=3.0),)
    reason = "the training loss was not finite in epoch 2"
    return TrialResult(trial_id=spec.digest, status="diverged", curve=curve, seconds=4.0, reason=reason)


def failed(spec: NetworkSpec, reason: str = "out of memory <script>alert(2)</script>") -> TrialResult:
    return TrialResult(trial_id=spec.digest, status="failed", reason=reason)


def population(
    name: str,
    *,
    n: int = 12,
    level: float = 0.12,
    seed: int = 0,
    num_diverged: int = 0,
    num_failed: int = 0,
    num_untrained: int = 0,
    draw: Callable[[np.random.Generator], tuple[NetworkSpec, Mapping[str, float]]] = regnet_draw,
) -> Population:
    """Return a population of n networks; the last ones diverged, failed, or wait."""
    random = np.random.default_rng(seed)
    drawn = [draw(random) for _ in range(n)]
    specs = [spec for spec, _ in drawn]
    num_finished = n - num_diverged - num_failed - num_untrained
    errors = level + 0.05 * random.gamma(1.6, 1.0, size=num_finished)
    results: list[TrialResult | None] = [
        finished(spec, round(float(error), 4), random) for spec, error in zip(specs, errors, strict=False)
    ]
    results += [diverged(spec) for spec in specs[num_finished : num_finished + num_diverged]]
    results += [failed(spec) for spec in specs[num_finished + num_diverged :][:num_failed]]
    results += [None] * num_untrained
    costs = [complexity(spec, 96) for spec in specs]
    return Population(
        name=name,
        networks=tuple(specs),
        results=tuple(results),
        drawn=tuple(row for _, row in drawn),
        complexity=Complexity(
            flops=np.array([c.flops for c in costs], dtype=np.int64),
            params=np.array([c.params for c in costs], dtype=np.int64),
            activations=np.array([c.activations for c in costs], dtype=np.int64),
        ),
        positions=tuple(range(0, 40 * n, 40)),
        num_draws=40 * n,
        num_in_band=n + 1 if n else 0,
    )


SCRIPT = "<script>alert(1)</script> ﹩ 深度 $a_b$ \x1b"
"""A name that would run, that no font here can draw, and that matplotlib could take for mathematics."""


@pytest.fixture(scope="session")
def populations() -> tuple[Population, ...]:
    """Two spaces with failures of both kinds and a network that waits, and one whose name is an attack."""
    return (
        population("anynetx_a", n=14, level=0.2, seed=1, num_diverged=2, num_failed=1, draw=anynet_draw),
        population("regnetx", n=12, level=0.09, seed=2, num_untrained=1),
        population(SCRIPT, n=6, level=0.1, seed=3, num_failed=1),
    )


@pytest.fixture(scope="session")
def report(populations: tuple[Population, ...]) -> StudyReport:
    """A study of the three populations, with every pair compared."""
    return StudyReport(
        title="Does <b>sharing</b> cost anything?",
        study_text='# a study\ntitle = "</pre><script>alert(3)</script>"\n',
        populations=populations,
        verdicts=compare_all({p.name: p.errors for p in populations}),
        facts={"data set": "Fashion-MNIST & friends", "seed": "0"},
        notes=("the <i>band</i> is wide",),
        pairs=(("regnetx", "anynetx_a"),),
    )


ATTACKS = (
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script><script>",
    '"><img src=x onerror="window.ran = 1">',
    "' onmouseover='window.ran = 1' x='",
    "</title></textarea></style><svg onload=window.ran=1>",
    '<a href="javascript:window.ran=1">press</a><iframe srcdoc="<script>parent.ran=1</script>"></iframe>',
    "<meta http-equiv=refresh content='0;url=https://evil.example/'><link rel=stylesheet href=//evil.example/a.css>",
    "]]></svg><foreignObject><script>window.ran = 1</script></foreignObject>",
    "{{ 7 * 7 }}{% raw %}${window.ran = 1}`${window.ran = 1}`\u2028<!--",
)
"""Texts that would run, load or lead away, if a page took one of them for more than text."""


def hostile(attack: str) -> StudyReport:
    """A study of which every text is an attack."""
    names = (attack, f"2 {attack}")
    own = OwnBlock(file=f"/{attack}.py", digest="0" * 32)
    spaces = []
    for i, name in enumerate(names):
        one = population(name, n=8, seed=i, num_failed=2)
        results = [
            failed(s, attack) if r and r.status == "failed" else r
            for s, r in zip(one.networks, one.results, strict=True)
        ]
        networks = (replace(one.networks[0], block="own", own_block=own, se_ratio=None), *one.networks[1:])
        spaces.append(replace(one, results=tuple(results), networks=networks))
    best = {"low": 8.0, "median": 12.0, "high": 16.0, "holds": 0.4, "networks": 12}
    groups = [{"name": attack, "rise": 0.6, "low": 0.5, "high": 0.7, "spread": 0.1}]
    told = {"space": names[0], "networks": 40, "explained": 0.7, "groups": groups, "refused": ""}
    refused = {"space": names[1], "networks": 6, "explained": None, "groups": [], "refused": attack}
    return StudyReport(
        title=attack,
        study_text=attack,
        populations=tuple(spaces),
        verdicts=compare_all({one.name: one.errors for one in spaces}),
        assisted=(attack,),
        facts={attack: attack},
        notes=(attack,),
        ranges=({"space": names[0], "parameter": attack, "sampled": [8, 27], "networks": 11, "best": best},),
        importance=ImportanceFound(forests=(told, refused), sentences=(attack,), left_out=attack),
        assumptions=(Assumption(title=attack, standing=Standing.HOLDS, sentence=attack, evidence=((attack, attack),)),),
    )


@pytest.fixture(scope="session")
def page(report: StudyReport) -> str:
    """The page of that study."""
    return render(report)
