"""How far a run is: one line that changes on a terminal, plain lines elsewhere; and what it did in the end."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from netspace.cli.tables import clock, console, percent

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.studies.running import StudyProgress

LINE_SECONDS = 10.0
"""How often a run says how far it is where there is no terminal."""


@contextmanager
def progress_display(what: str = "", *, quiet: bool = False) -> Iterator[Callable[["StudyProgress"], None]]:
    """Yield what shows a run's progress: one line that changes on a terminal, plain lines elsewhere; or nothing.

    `what` begins each line, where it is not the study itself that runs.
    """
    if quiet:
        yield lambda progress: None
        return
    screen = console()
    if screen.is_terminal:
        with Live(console=screen, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(Text(what + progress_line(progress)))
        return
    last = -math.inf

    def show(progress: "StudyProgress") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS or not progress.remaining:
            last = now
            with contextlib.suppress(OSError):  # nobody reads any more, which is no reason to train no more
                print(what + progress_line(progress), flush=True)

    yield show


def progress_line(progress: "StudyProgress") -> str:
    """Return how far a run is, in one line."""
    done = progress.stored + progress.trained
    left = progress.seconds_left
    return (
        f"{done}/{progress.total} networks, {progress.failures} failed, "
        f"{progress.images_per_second:,.0f} images/s, {clock(left) if left is not None else '?'} left, "
        f"best {'balanced ' * (progress.metric != 'error')}error {percent(progress.best_error)}"
    )


def print_run(progress: "StudyProgress", store: str, what: str = "") -> None:
    """Say what a run did."""
    from netspace.findings.words import count

    if progress.remaining:
        text = (
            f"stopped: {progress.total - progress.remaining} of {progress.total} networks have a result in {store}"
            + f" (saved in mid-training: {progress.begun})" * bool(progress.begun)
            + "; the same command continues"
        )
    elif progress.trained == 0 and progress.spared == 0:
        text = f"nothing to train: all {progress.total} networks have a result in {store}"
    else:
        text = (
            f"trained {count(progress.trained, 'network')} in {clock(progress.seconds)} "
            f"({progress.images_per_second:,.0f} images/s, {progress.stored} had a result before, "
            f"{progress.failures} failed) into {store}"
        )
        if progress.spared:
            text += (
                f"\n{progress.spared} of {progress.total} networks were not trained: the pairs that need them "
                "are decided"
            )
    console().print(what + text, soft_wrap=True)
