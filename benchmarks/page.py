"""How large a study's page is, and how long Chromium takes to open it: `python benchmarks/page.py 5000 100000`.

The networks are drawn from three spaces of the catalogue and never trained: their errors are made up, as many as the
networks, so that steps and marks are as many as a real study's at most.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from netspace.report import StudyReport, render
from netspace.spaces.catalog import space
from netspace.stats import compare_all
from netspace.storage.population import Population
from netspace.training.trial import EpochRecord, TrialResult

SPACES = ("anynetx_a", "anynetx_e", "regnetx")
EPOCHS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int, nargs="+", help="networks of all spaces together")
    parser.add_argument("--keep", type=Path, help="folder in which to leave the pages")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp())
    for number in asked.networks:
        populations = tuple(made_up(name, number // len(SPACES), seed) for seed, name in enumerate(SPACES))
        verdicts = compare_all({one.name: one.errors for one in populations})
        begun = time.perf_counter()
        report = StudyReport(
            title=f"{number:,} networks", study_text="", populations=populations, verdicts=verdicts, facts={}
        )
        page = render(report).encode()
        made = time.perf_counter() - begun
        path = folder / f"{number}.html"
        path.write_bytes(page)
        opened = [open_page(path) for _ in range(3)]
        shown, table = (sorted(times)[1] for times in zip(*opened, strict=True))
        print(
            f"{number:>7,} networks: {len(page) / 1e6:.2f} MB, made in {made:.1f} s; "
            f"shown after {shown:.2f} s, table of all networks after {table:.2f} s (middle of 3)"
        )


def made_up(name: str, n: int, seed: int) -> Population:
    """Return a population of n networks with made-up errors, one in fifty failed."""
    sample = space(name).sample(n, seed=seed, resolution=32)
    random = np.random.default_rng(seed)
    errors = np.clip(0.05 + 0.05 * random.gamma(1.6, 1.0, size=n) + 0.01 * seed, 0.0, 1.0)
    results = [result(str(i), float(error), i % 50 == 0) for i, error in enumerate(errors)]
    return Population(
        name=name,
        networks=sample.networks,
        results=tuple(results),
        drawn=sample.drawn,
        positions=sample.positions,
        complexity=sample.complexity,
        num_draws=sample.draws,
        num_in_band=sample.in_band,
    )


def result(trial: str, error: float, failed: bool) -> TrialResult:
    if failed:
        return TrialResult(trial_id=trial, status="failed", reason="out of memory", seconds=1.0)
    curve = tuple(
        EpochRecord(epoch=e, training_loss=1.0, validation_error=error + (0.9 - error) * 0.5**e, seconds=1.0)
        for e in range(1, EPOCHS + 1)
    )
    return TrialResult(trial_id=trial, status="finished", error=error, curve=curve, seconds=10.0 * error)


def open_page(path: Path) -> tuple[float, float]:
    """Return after how long [s] the page is drawn, and its table of all networks filled."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium is installed")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 1280, "height": 900})
        begun = time.perf_counter()
        page.goto(path.as_uri(), wait_until="load", timeout=120_000)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shown = time.perf_counter() - begun
        page.wait_for_selector("#all-networks tbody tr", timeout=120_000)
        table = time.perf_counter() - begun
        opened.close()
    return shown, table


if __name__ == "__main__":
    main()
