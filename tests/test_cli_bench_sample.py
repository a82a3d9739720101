"""`netspace bench sample` draws for real, and its figures fit one another."""

import json

import pytest
from typer.testing import CliRunner

from netspace.cli.main import app
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import space
from netspace.spaces.sample import sample
from netspace.spaces.speed import sampling_speed

WORDS = ("bench", "sample", "anynetx_a", "--flops", "360M..400M", "-n", "20", "--rounds", "1")


def test_it_prints_json() -> None:
    done = CliRunner().invoke(app, [*WORDS, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["space"], told["budget"], told["resolution"]) == ("anynetx_a", "flops in 360M..400M", 224)
    assert told["found"] == 20
    assert told["networks"] * told["seconds"] == pytest.approx(20)
    assert told["acceptance"] == sample(space("anynetx_a"), 20, budget=Budget(flops="360M..400M")).acceptance
    assert told["networks"] < min(told["checked"], told["draws"])  # each took many draws


def test_it_prints_a_line() -> None:
    done = CliRunner().invoke(app, [*WORDS, "--resolution", "200"])
    assert done.exit_code == 0, done.output
    title, header, line = done.stdout.splitlines()
    assert title.startswith("anynetx_a, flops in 360M..400M at 200x200; ")
    assert header.split() == ["draws/s", "checked/s", "networks/s", "acceptance", "networks", "seconds"]
    assert line.split()[-2] == "20"


def test_a_small_space_gives_all_that_it_holds() -> None:
    one = space("anynetx_a").fix(depth=1, width=(8, 16, 24, 32), bottleneck_ratio=1, group_width=8)
    found = sampling_speed(one, 100, budget=Budget(), rounds=1, draws=1000)
    assert found.found == 1
    assert found.networks * found.seconds == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rounds", "0"), "--rounds (=0) must be a whole number of at least 1"),
        (("-n", "0"), "n (=0) must be a whole number of networks"),
        (("--flops", "400M..360M"), "upside down; the nearest is 360M..400M"),
        (("--flops", "360M"), "'360M' is not a band"),
        (("--resolution", "1"), "1x1 at resolution 1; the least resolution"),
    ],
)
def test_nonsense_gets_a_sentence(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, [*WORDS, *words])
    assert done.exit_code
    assert said in f"{done.output} {done.exception}"
