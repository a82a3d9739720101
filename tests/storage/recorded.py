"""The study that is checked in once per schema of the store, and what it holds.

`python -m tests.storage.recorded tests/golden/stores/schema-N.db` made each file, with the netspace of that schema.
"""

import sys
from pathlib import Path

from netspace.spaces.catalog import space
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.training.trial import EpochRecord, TrialResult

STUDY = {"name": "recorded", "networks": 3, "spaces": [{"space": "anynetx_a"}, {"space": "anynetx_e"}]}
TEXT = 'name = "recorded"\n'
FACTS = {"rows": {"Seed": "0"}, "notes": []}
RESULTS = (
    TrialResult(
        trial_id="anynetx_a 0",
        status="finished",
        error=0.25,
        curve=(
            EpochRecord(epoch=1, training_loss=1.5, validation_error=0.5, seconds=0.5),
            EpochRecord(epoch=2, training_loss=0.75, validation_error=0.25, seconds=0.5),
        ),
        seconds=1.0,
        images=100,
    ),
    TrialResult(trial_id="anynetx_e 0", status="diverged", reason="the loss was nan", seconds=0.5, images=50),
    TrialResult(trial_id="anynetx_e 1", status="failed", reason="out of memory"),
)
VERSIONS = {"python": "3.11", "torch": "2.13"}


def populations():
    """The two samples, none of them trained."""
    return [untrained(name, space(name).sample(3, flops=(360e6, 400e6))) for name in ("anynetx_a", "anynetx_e")]


def fill(store):
    """Put the study into an empty store."""
    for population in populations():
        trials = [f"{population.name} {i}" for i in range(len(population))]
        store.add_population(population, definition={"space": population.name}, trials=trials)
    store.record_attempt("anynetx_e 1", "crashed", "the worker died", {})
    store.record(*(Entry(result=result, versions=VERSIONS) for result in RESULTS))


if __name__ == "__main__":
    with Store.create(Path(sys.argv[1]), study=STUDY, text=TEXT, facts=FACTS) as made:
        fill(made)
