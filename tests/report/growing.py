"""A store that grows as one of a running study does, without anything being trained."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

from netspace import values
from netspace.report.server import Press, serving
from netspace.spaces.sample import sample
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.studies.spec import parse_study
from netspace.studies.study import Study
from netspace.training.trial import EpochRecord, TrialResult

STUDY = """
name = "a <b>growing</b> study"
networks = 12
num_stages = 3
stem = { width = 8, stride = 1 }
[data]
name = "digits"
[recipe]
epochs = 2
batch_size = 50
[ranges]
depth = [1, 3]
width = [8, 64]
[[spaces]]
space = "anynetx_a"
[[spaces]]
space = "regnetx"
"""


@contextmanager
def served(press: Press) -> Iterator[ThreadingHTTPServer]:
    """Serve pages on a free port in a thread of its own; `shutdown` may be called before the end."""
    with serving(press, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class GrowingStudy:
    """A study whose networks are drawn and waiting; `finish` gives the next of each space its result."""

    def __init__(self, folder: Path) -> None:
        spec = parse_study(STUDY, "the study")
        facts = {"rows": {"Data": "none"}, "notes": []}
        self.store = Store.create(folder / "study.db", study=spec.identity(), text=STUDY, facts=facts)
        self.spaces = spec.design_spaces(num_classes=10, in_channels=1, resolution=8)
        for name, space in self.spaces.items():
            taken = sample(space, spec.networks, resolution=8)
            population = untrained(name, taken)
            ids = [f"{name}-{i}" for i in range(len(population))]
            self.store.add_population(population, definition=values.to_dict(space), trials=ids)
        self.study = Study.open(folder)
        self.finished = 0

    def finish(self, count: int) -> None:
        """Record the results of the next `count` networks of each space; every eighth failed."""
        for i in range(self.finished, self.finished + count):
            for shift, name in enumerate(self.spaces):
                trial = f"{name}-{i}"
                if i % 8 == 7:
                    failed = TrialResult(trial_id=trial, status="failed", reason="out of memory </script>")
                    self.store.record(Entry(result=failed))
                    continue
                error = 0.05 + 0.02 * ((7 * i) % 12) + 0.01 * shift
                curve = (EpochRecord(epoch=1, training_loss=1.0, validation_error=error, seconds=1.0),)
                result = TrialResult(trial_id=trial, status="finished", error=error, curve=curve, seconds=2.0)
                self.store.record(Entry(result=result))
        self.finished += count

    def press(self, rest: float = 0.0) -> Press:
        """Return what makes the pages of this study."""
        return Press(lambda: self.study.findings(while_waiting=False), self.study.stamp, rest=rest)
