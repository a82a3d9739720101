"""`netspace pick` and `netspace scale` as a user meets them, on a store whose results are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import netspace as ns
from netspace.backends.inference import InferenceSetting
from netspace.backends.torch_latency import LatencyMeter
from netspace.cli.main import app
from netspace.cli.pick import pick_row, sentences
from netspace.cli.scale import scale_network
from netspace.cli.sources import find_spec
from netspace.errors import InputError, SpaceError
from netspace.stats import error_limits
from netspace.storage.store import Entry, Store
from netspace.studies.picking import judging_images
from netspace.studies.preparing import untrained
from netspace.training.data import DataChoice, load
from tests.command_line import netspace
from tests.test_cli_statistics import result
from tests.tiny import STUDY

NETWORKS, IMAGES = 14, 500
FAILED, WAITING = 3, 5
"""The positions of the networks of each space that failed, and that are not trained yet."""


def fill(study, shift=0.0, waiting=None):
    """Make the store of a study: errors fall with the flops; one network of each space failed."""
    drawn = study.draw()
    with Store.create(
        study.place, study=study.spec.identity(), text=study.text, facts={"rows": {}, "notes": []}
    ) as store:
        for name, taken in drawn.samples.items():
            trials = [trial.id for trial in drawn.trials[name]]
            store.add_population(untrained(name, taken), definition={}, trials=trials)
            for i, (trial, spec) in enumerate(zip(trials, taken.networks, strict=True)):
                luck = (int(spec.digest[:4], 16) % 7 - 3) / 500 + shift * (-1) ** i
                error = 0.3 - round(ns.complexity(spec, 8).flops / 1000) / 1000 + luck
                if i != waiting:
                    store.record(Entry(result=result(trial, math.inf if i == FAILED else error)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store at `out` without seeds, and one at `sure` with networks from two seeds."""
    made = tmp_path_factory.mktemp("pick é")
    text = STUDY.replace("networks = 3", f"networks = {NETWORKS}")
    (made / "out.toml").write_text(text)
    (made / "sure.toml").write_text(text + "[checks]\nseeds = 1\nshare = 1.0\n")
    fill(ns.Study.open(made / "out.toml", output=made / "out"), waiting=WAITING)
    sure = ns.Study.open(made / "sure.toml", output=made / "sure")
    fill(sure)
    for check in sure.checks().values():
        check.folder.mkdir(parents=True)
        fill(check, shift=0.004)
    return made


@pytest.fixture(scope="module")
def found(folder):
    return ns.pick(folder / "out")


def test_every_network_is_counted_and_none_is_dropped(folder, found):
    rows = ns.Study.open(folder / "out").results()
    status = {row["network"]: row["status"] for row in rows}
    failed = [one for one in found.candidates if one.rank is None]
    assert found.networks == len(status) == len(found.candidates) + found.waiting + found.outside
    assert (found.waiting, len(failed)) == (2, 2)
    assert {one.digest: one.status for one in found.candidates} == {n: s for n, s in status.items() if s != "waiting"}
    assert found.candidates[-2:] == tuple(failed)
    for one in failed:
        assert (one.reason, one.error, one.on_front, one.may_be_best) == ("by design", None, False, False)
    counted = (
        f"{len(found.ranked)} with an error inside the budget (no band), 2 diverged or failed there, 0 outside, 2 not"
    )
    assert counted in sentences(found)[0]


def test_the_lowest_error_is_picked_with_limits_that_hold_for_all_at_once(found):
    errors = [one.error for one in found.ranked]
    assert errors == sorted(errors)
    assert (found.picked.error, found.images, found.resolution) == (min(errors), IMAGES, 8)
    low, high = error_limits([min(errors)], IMAGES, together=len(found.candidates))
    assert found.best_limits == (low[0], high[0])
    assert found.best_limits[0] < found.picked.limits[0] < found.picked.error < found.picked.limits[1]
    assert f"true error is {100 * low[0]:.2f} to {100 * high[0]:.2f} %" in sentences(found)[1]
    rivals = sum(one.may_be_best for one in found.ranked) - 1
    assert sentences(found)[-1].startswith(
        f"{rivals} others of {len(errors)} cannot be told apart from the best, by the"
    )
    assert "seeds in the study's [checks]" in sentences(found)[-1]


@pytest.mark.parametrize("against", ["flops", "params", "activations"])
def test_the_front_is_against_the_cost_that_was_asked_for(folder, against):
    found = ns.pick(folder / "out", against=against)
    costs, errors = zip(*((one.cost(against), one.error) for one in found.front), strict=True)
    assert list(costs) == sorted(costs)
    assert list(errors) == sorted(errors, reverse=True)
    for one in found.ranked:
        beaten = any(c <= one.cost(against) and e <= one.error for c, e in zip(costs, errors, strict=True))
        assert beaten  # by itself, where it is on the front


def test_a_budget_and_a_space_narrow_the_choice(folder, found):
    bound = sorted(one.complexity.flops for one in found.ranked)[8]
    less = ns.pick(folder / "out", spaces=["anynetx_e"], flops=bound, params="1..1M")
    assert all(one.complexity.flops <= bound and "anynetx_e" in one.spaces for one in less.candidates)
    inside = [one for one in found.ranked if "anynetx_e" in one.spaces and one.complexity.flops <= bound]
    assert less.picked.digest == inside[0].digest
    assert less.outside > 0


def test_seeds_are_used_where_a_study_has_them(folder):
    found = ns.pick(folder / "sure")
    assert found.noise is not None
    best = found.picked
    assert best.again != ()
    assert best.expected > best.error  # the lowest was lucky
    text = " ".join(sentences(found))
    assert f"Trained from another seed it is expected to have {100 * best.expected:.2f} %" in text
    assert "by the chance between trainings, measured from 2 seeds" in text
    failed = [one for one in found.candidates if one.rank is None]
    assert all(one.again == (None,) for one in failed)


def test_latency_is_a_cost_like_others(folder, found, tmp_path):
    """Measured before, as it were, with more for smaller networks, so that only the cache can have told."""
    meter = LatencyMeter(setting=InferenceSetting(threads=1, fused=True, resolution=8))
    lines = [
        {"network": one.digest, "median_ms": 2e5 / one.complexity.flops, "noise_ms": 0.5, "where": meter.where()}
        for one in found.candidates
    ]
    (tmp_path / "cache").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = []
    fast = ns.pick(
        folder / "out", against="latency", latency="3 ms", latency_cache=tmp_path / "cache", threads=1,
        on_measuring=asked.append,
    )  # fmt: skip
    assert asked == [len(found.candidates)]
    assert all(one.latency[0] <= 3.0 and one.complexity.flops >= 2e5 / 3 for one in fast.candidates)
    assert fast.outside == len(found.candidates) - len(fast.candidates) > 0
    assert "varied by more than 10 %" in sentences(fast)[-1]
    assert (tmp_path / "cache").read_text().count("\n") == len(lines)


def test_a_balanced_error_rests_on_as_many_images_as_its_smallest_class_allows():
    data = load(DataChoice(name="digits"))
    fewest = min(np.bincount(data.validation.labels))
    assert (judging_images(data, "error"), judging_images(data, "balanced_error")) == (IMAGES, 10 * fewest)
    assert 10 * fewest < IMAGES


def test_what_cannot_be_picked_is_one_sentence(folder):
    for words, asked in {
        "against (='speed') is no cost; known": {"against": "speed"},
        "space 'anynetx_b' is not in this study; did you mean 'anynetx_": {"spaces": ["anynetx_b"]},
        "no trained network in store": {"flops": 1},
        "flops (=-1) must be one bound": {"flops": -1},
        "params (='3M..2M') must be one bound": {"params": "3M..2M"},
    }.items():
        with pytest.raises(InputError) as refused:
            ns.pick(folder / "out", **asked)
        assert str(refused.value).startswith(words)
    with pytest.raises(SpaceError, match="'much' is not a number"):
        ns.pick(folder / "out", flops="much")


def test_the_command_prints_writes_and_draws(folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = ["pick", "out", "--flops", "150k", "--top", "2", "--out", "n.json", "--plot", "front.svg"]
    done = CliRunner().invoke(app, words, prog_name="netspace", catch_exceptions=False)
    title, header, first, *_ = done.stdout.splitlines()
    assert title == "tiny at 8x8: lowest errors, and the front of error against flops"
    assert header.split()[:3] == ["rank", "validation", "error"]
    picked = ns.pick("out", flops=150e3).picked
    assert first.split()[:3] == ["1", f"{100 * picked.error:.2f}", "%"]
    assert done.stdout.count("\n• ") == 3
    assert done.stdout.splitlines()[-2:] == ["network: n.json", "figure: front.svg"]
    assert find_spec("n.json") == picked.network
    drawing = (folder / "front.svg").read_text()
    assert 'id="front"' in drawing
    assert 'id="picked"' in drawing
    assert "× 2 failed" in drawing


def test_json_holds_every_candidate_and_no_infinite_number(folder, found):
    row = json.loads(json.dumps(pick_row(found), allow_nan=False))
    assert row["picked"] == found.picked.digest
    assert row["front"] == [one.digest for one in found.front]
    assert len(row["candidates"]) == len(found.candidates)
    assert row["candidates"][0]["network"] == found.picked.network.to_dict()
    assert row["candidates"][-1]["reason"] == "by design"


def test_scale_takes_the_best_of_a_store_at_the_sides_of_its_images(folder, found, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    scale_network("out", "450k", rule="dW", output=Path("more.json"), as_json=True)
    done = json.loads(capsys.readouterr().out)
    assert done["before"]["flops"] == found.picked.complexity.flops
    assert done["complexity"]["flops"] == pytest.approx(450e3, rel=0.05)
    assert (done["resolution"], done["digest"]) == (8, find_spec("more.json").digest)

    scale_network("more.json", "3.2M", resolution=8)
    text = capsys.readouterr().out
    assert text.startswith("more.json: scaled by s = ")
    assert "\nasked 3.2M, met within " in text


def test_scale_refuses_in_one_sentence(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("n2.json").write_text(json.dumps(ns.network("regnetx32").to_dict()))
    Path("both").mkdir()
    for name in ("study.db", "network.json"):
        Path("both", name).touch()
    for words, sentence in {
        ("n2.json", "1M"): "--resolution: missing, and 'n2.json' does not say",
        ("both", "1M"): "folder 'both' holds a store and a network; name its study.db or its network.json",
        (
            "regnetx32",
            "1M",
            96,
            "dWr",
            None,
            0.05,
            Path("a.txt"),
        ): "--out (='a.txt') must end in .json; nearest: 'a.json'",
    }.items():
        with pytest.raises(InputError) as refused:
            scale_network(*words)
        assert str(refused.value).startswith(sentence)


def test_the_card_of_a_picked_network_names_its_study(folder, found, tmp_path):
    words = ("--data", "digits", "--training-share", "0.1", "--epochs", "1", "--batch-size", "50", "--threads", "1")
    words += ("--output", "best", "--study")
    (tmp_path / "picked.json").write_text(json.dumps(found.picked.network.to_dict()))
    netspace("train", "picked.json", *words, folder / "out", cwd=tmp_path)
    origin = json.loads((tmp_path / "best" / "card.json").read_text())["origin"]
    assert (origin["error"], origin["study"]) == (found.picked.error, found.study)
    assert tuple(origin["spaces"]) == found.picked.spaces
    assert found.study in (tmp_path / "best" / "card.md").read_text()
    said = netspace("train", "regnetx32", *words, folder / "out", cwd=tmp_path, check=2).stderr
    assert f"is {ns.network('regnetx32').digest[:8]}; leave it out for a network that was changed since" in said
