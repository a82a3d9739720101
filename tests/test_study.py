"""The whole line on small networks: the same numbers whatever runs it, nothing trained twice, nothing lost."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from netspace.backends.torch_training import TorchBackend
from netspace.errors import ExecutionError, InputError, StoreError, StudyFileError
from netspace.execution.executor import Crashed, Done, InlineExecutor, Limits, Overran, Progress
from netspace.execution.processes import ProcessExecutor
from netspace.machine import usable_cores
from netspace.report.tables import failure_rows
from netspace.storage.store import Store
from netspace.studies.launching import local_workers, number_of_workers
from netspace.studies.study import Study
from netspace.studies.telling import study_facts
from netspace.training.trial import TrialResult
from tests.tiny import STUDY


@pytest.fixture
def make(tmp_path):
    def study(folder="out", text=STUDY):
        path = tmp_path / f"{folder}.toml"
        path.write_text(text)
        return Study.open(path, output=tmp_path / folder)

    return study


def numbers(study):
    """All that a study found, without the times."""
    return [
        (name, i, network.digest, result and (result.status, result.error, [r.training_loss for r in result.curve]))
        for name, networks, results in [(p.name, p.networks, p.results) for p in study.populations()]
        for i, (network, result) in enumerate(zip(networks, results, strict=True))
    ]


def test_one_worker_two_workers_this_process_and_a_fresh_one_agree_bit_for_bit(make, tmp_path):
    inline, one, two = make("inline"), make("one"), make("two")
    inline.run(executor=InlineExecutor(raise_errors=True))
    one.run(executor=ProcessExecutor(1))
    two.run(executor=ProcessExecutor(2))
    fresh = tmp_path / "fresh.toml"
    fresh.write_text(STUDY)
    command = [sys.executable, "-m", "netspace", "run", str(fresh), "--output", str(tmp_path / "fresh")]
    subprocess.run(command, check=True, capture_output=True)
    expected = numbers(inline)
    assert len(expected) == 6
    assert all(result[3][0] == "finished" for result in expected)
    assert numbers(one) == numbers(two) == numbers(Study.open(tmp_path / "fresh")) == expected


def test_a_second_run_trains_nothing(make):
    study = make()
    first = study.run(executor=InlineExecutor())
    assert (first.total, first.trained, first.stored, first.remaining) == (6, 6, 0, 0)
    assert first.images == 6 * 2 * 200
    before = numbers(study)
    second = study.run(executor=None)
    assert (second.trained, second.stored, second.remaining) == (0, 6, 0)
    assert numbers(study) == before


def test_a_stopped_run_continues_to_the_same_end(make):
    whole, stopped = make("whole"), make("stopped")
    whole.run(executor=InlineExecutor())
    progress = []
    report = stopped.run(
        executor=ProcessExecutor(1),
        on_progress=progress.append,
        should_stop=lambda: bool(progress) and progress[-1].trained >= 2,
    )
    assert 2 <= report.trained < 6
    assert report.remaining == 6 - report.trained
    kept = [row for row in numbers(stopped) if row[3]]
    assert len(kept) == report.trained
    final = stopped.run(executor=InlineExecutor())
    assert final.stored == report.trained
    assert numbers(stopped) == numbers(whole)


class Faulty:
    """An executor whose worker dies `times` times on every task that `dies` chooses, then does it."""

    def __init__(self, times, dies=lambda task: True):
        self.times = times
        self.dies = dies
        self.deaths = {}

    def run(self, setup, tasks, *, should_stop):
        work = setup()
        for task in tasks:
            self.deaths[task.key] = self.deaths.get(task.key, 0) + 1
            if self.dies(task) and self.deaths[task.key] <= self.times:
                yield [Crashed(key=task.key, reason="the worker process was ended by SIGKILL")]
                continue
            said = []
            value = work(task.payload, said.append)
            yield [*(Progress(key=task.key, value=v) for v in said), Done(key=task.key, value=value)]


def test_a_trial_whose_worker_dies_once_is_begun_again(make):
    study, plain = make("faulty"), make("plain")
    assert study.run(executor=Faulty(1)).failures == 0
    plain.run(executor=InlineExecutor())
    assert numbers(study) == numbers(plain)
    with Store.open(study.store_path) as store:
        outcomes = [attempt["outcome"] for attempt in store.attempts()]
    assert outcomes == ["crashed"] * 6 + ["finished"] * 6


def test_a_trial_whose_worker_always_dies_stays_in_the_distribution(make):
    study = make()
    poison = study.draw().trials["anynetx_a"][1].id
    assert study.run(executor=Faulty(9, dies=lambda task: task.key == poison)).failures == 1
    population = study.populations()[0]
    assert population.errors[1] == float("inf")
    assert "SIGKILL" in population.results[1].reason
    assert study.run(executor=Faulty(0)).trained == 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_trial_that_ran_out_of_memory_is_begun_again_once(make, monkeypatch, times):
    study, plain = make("short"), make("plain")
    plain.run(executor=InlineExecutor())
    chosen, train, said = study.draw().trials["anynetx_a"][1].id, TorchBackend.train, []

    def short(backend, trial, data, **options):
        if trial.id == chosen and len(said) < times:
            said.append(trial.id)
            return TrialResult(trial_id=trial.id, status="failed", reason="out of memory: could not create a primitive")
        return train(backend, trial, data, **options)

    monkeypatch.setattr(TorchBackend, "train", short)
    assert study.run(executor=InlineExecutor()).failures == times - 1
    assert (numbers(study) == numbers(plain)) is (times == 1)
    with Store.open(study.store_path) as store:
        outcomes = [attempt["outcome"] for attempt in store.attempts() if attempt["trial"] == chosen]
    assert outcomes == ["crashed", "finished" if times == 1 else "failed"]


class Slow(Faulty):
    """An executor in which the tasks that `dies` chooses go over a limit."""

    def run(self, setup, tasks, *, should_stop):
        for events in super().run(setup, tasks, should_stop=should_stop):
            yield [
                Overran(key=e.key, reason="took longer than its limit of 60 s", log=f"logs/{e.key}.log")
                if isinstance(e, Crashed)
                else e
                for e in events
            ]


def test_a_network_that_goes_over_a_limit_fails_at_once_and_its_attempt_names_the_log(make):
    study = make()
    slow = study.draw().trials["anynetx_a"][1].id
    assert study.run(executor=Slow(9, dies=lambda task: task.key == slow)).failures == 1
    assert study.populations()[0].results[1].reason == f"took longer than its limit of 60 s; log: logs/{slow}.log"
    with Store.open(study.store_path) as store:
        (overran,) = [attempt for attempt in store.attempts() if attempt["outcome"] == "overran"]
    assert overran["reason"] == f"took longer than its limit of 60 s; log: logs/{slow}.log"


def test_networks_that_failed_alike_are_one_row_of_the_page_with_the_first_log(make):
    study = make()
    first, second, _ = [trial.id for trial in study.draw().trials["anynetx_a"]]
    study.run(executor=Slow(9, dies=lambda task: task.key in (first, second)))
    (row,) = failure_rows(study.populations())
    assert row.cells == ("2", "failed", f"took longer than its limit of 60 s; log: logs/{first}.log")


def test_limits_that_no_network_keeps_are_the_studys_and_no_result(make):
    study = make()
    with pytest.raises(ExecutionError, match=r"no network finishes .*limit of 60 s; log: logs/.*the study's limits"):
        study.run(executor=Slow(9))
    assert all(not population.trained for population in study.populations())
    study.run(executor=InlineExecutor())
    assert study.run(executor=InlineExecutor()).stored == 6


def test_a_study_s_limits_and_workers_are_those_of_its_processes(make):
    limits = "limits = { minutes = 2, memory_gib = 0.5 }"
    text = STUDY.replace("workers = 2", f'workers = "auto"\nthreads = 2\n{limits}')
    study = make(text=text)
    logs = study.folder / "logs"
    assert number_of_workers(study.spec, "auto") == max(1, usable_cores() // 2)
    assert number_of_workers(study.spec, 3) == 3
    for wrong in (0, "many"):
        with pytest.raises(InputError, match=rf'workers \(={wrong!r}\) must be "auto" or a whole number'):
            study.run(workers=wrong)
    assert not study.folder.exists()
    executor = local_workers(study.spec, logs, None, 7.0, soon=False)
    assert executor.limits == Limits(seconds=120.0, memory=2**29, grace=7.0)
    assert study_facts(study.spec, study.draw().data)["rows"]["Limits"] == (
        "a network may take 2 minutes, 0.5 GiB of memory"
    )


def test_workers_that_all_die_are_the_machine_and_no_result(make):
    study, plain = make("machine"), make("plain")
    with pytest.raises(ExecutionError, match=r"no network finishes .*SIGKILL"):
        study.run(executor=Faulty(9))
    assert all(not population.trained for population in study.populations())
    study.run(executor=InlineExecutor())
    plain.run(executor=InlineExecutor())
    assert numbers(study) == numbers(plain)


def test_a_poison_trial_that_alone_is_left_does_not_hold_a_study_for_ever(make):
    study = make()
    poison = study.draw().trials["anynetx_e"][2].id
    stopped = []
    study.run(
        executor=InlineExecutor(),
        on_progress=stopped.append,
        should_stop=lambda: stopped[-1].trained >= 5 if stopped else False,
    )
    assert [p.trained for p in study.populations()] == [(0, 1, 2), (0, 1)]
    deadly = Faulty(9, dies=lambda task: task.key == poison)
    with pytest.raises(ExecutionError, match="no network finishes"):
        study.run(executor=deadly)
    assert study.run(executor=Faulty(9, dies=lambda task: task.key == poison)).failures == 1
    assert study.populations()[1].count("failed") == 1


def test_many_poison_trials_stop_no_study(make):
    text = STUDY.replace("networks = 3", "networks = 4")
    early = make("early", text=text)
    poison: set[str] = set()

    def dies(task):
        if len(poison) < 6:
            poison.add(task.key)
        return task.key in poison

    progress = early.run(executor=Faulty(9, dies=dies))
    assert (progress.trained, progress.failures, progress.remaining) == (8, 6, 0)

    late = make("late", text=text)
    deadly = Faulty(9, dies=lambda task: len(deadly.deaths) > 2)
    for _ in range(2):  # nothing has come to its end since these died: it may be the machine
        with pytest.raises(ExecutionError, match="no network finishes"):
            late.run(executor=deadly)
    assert late.run(executor=deadly).failures == 6


def test_attempts_without_a_result_keep_what_computed_them(make):
    study = make()
    study.run(executor=Faulty(1))
    with Store.open(study.store_path) as store:
        crashed, finished = store.attempts("crashed")[0], store.attempts("finished")[0]
    assert crashed["versions"] == finished["versions"]
    assert crashed["versions"]["torch"]


def test_a_larger_study_trains_only_what_is_new(make):
    study = make()
    study.run(executor=InlineExecutor())
    before = numbers(study)
    (study.folder.parent / "out.toml").write_text(STUDY.replace("networks = 3", "networks = 4"))
    larger = Study.open(study.folder.parent / "out.toml", output=study.folder)
    progress = larger.run(executor=InlineExecutor())
    assert (progress.total, progress.stored, progress.trained) == (8, 6, 2)
    assert [row for row in numbers(larger) if row[1] < 3] == before
    with pytest.raises(StoreError, match=r"networks \(=3\) must be at least 4"):
        study.run(executor=InlineExecutor())
    assert Study.open(study.folder).spec.networks == 4  # a refused run leaves the study's text as it was


def test_every_network_that_diverges_is_counted(make):
    study = make(text=STUDY.replace("[recipe]", "[recipe]\nlearning_rate = 1e15"))
    assert study.run(executor=InlineExecutor()).failures == 6
    assert [p.count("diverged") for p in study.populations()] == [3, 3]


def test_a_changed_study_is_refused_and_the_store_left_alone(make):
    study = make()
    study.run(executor=InlineExecutor())
    before = study.store_path.read_bytes()
    changed = dataclasses.replace(study.spec, seed=1)
    with pytest.raises(StoreError, match="seed was 0, is 1"):
        Study(changed, study.text, study.folder).run()
    assert study.store_path.read_bytes() == before


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"20k..200k"', '"1..2"', "no network has flops in 1..2 at resolution 8"),
        ("num_stages = 2", "num_stages = 5", r"stages\[3\] has stride 2 but its input is 1x1 at resolution 8"),
        ("batch_size = 50", "batch_size = 500", r"batch_size \(=500\) must be at most"),
        ('"digits"', '"folder:no such folder"\nresolution = 8', "no such folder"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(make, before, after, sentence):
    study = make(text=STUDY.replace(before, after))
    with pytest.raises(ValueError, match=sentence):
        study.run()
    assert not study.folder.exists()


def test_results_are_a_table(make):
    study = make()
    study.run(executor=InlineExecutor())
    rows = study.results()
    assert len(rows) == 6
    assert {row["space"] for row in rows} == {"anynetx_a", "anynetx_e"}
    assert all(20_000 <= row["flops"] <= 200_000 and 0 <= row["error"] <= 1 for row in rows)
    json.dumps(rows)


def test_a_study_is_known_by_its_store_too(make):
    study = make()
    study.run(executor=InlineExecutor())
    for path in (study.folder, study.store_path):
        assert Study.open(path).spec == study.spec
    with pytest.raises(StudyFileError, match="No such file"):
        Study.open("none.toml")


def test_a_folder_of_images_is_a_study_too(make, tmp_path):
    generator = np.random.Generator(np.random.PCG64(0))
    for name, brightness in (("dark", 60), ("bright", 180)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(60):
            pixels = generator.integers(brightness - 40, brightness + 40, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    data = f'[data]\nname = "folder:{tmp_path / "images"}"\nresolution = 8\ngrayscale = true\n'
    text = STUDY.replace('[data]\nname = "digits"\ntraining_share = 0.2\n', data).replace(
        "batch_size = 50", "batch_size = 20"
    )
    study = make(text=text)
    assert study.run(executor=InlineExecutor()).failures == 0
    for population in study.populations():
        assert population.networks[0].num_classes == 2
    packed = next((study.folder / "data").glob("training-images-*.npy")).stat().st_mtime_ns
    again = study.run(executor=InlineExecutor())
    assert again.trained == 0
    assert next((study.folder / "data").glob("training-images-*.npy")).stat().st_mtime_ns == packed
    (tmp_path / "images" / "dark" / "0.png").unlink()
    with pytest.raises(StoreError, match="data_fingerprint was"):
        study.run(executor=InlineExecutor())


def test_the_store_alone_is_enough_for_the_page(make):
    study = make()
    study.run(executor=InlineExecutor())
    shutil.rmtree(study.folder / "data")
    text = study.report()[0].read_text()
    assert "200 training and 500 validation images of 8x8 pixels" in text
    assert "torch 2." in text


def test_the_page_shows_the_study_that_made_the_results(make):
    text = STUDY.replace("[recipe]", "[recipe]\nwarmup_epochs = 0.5\nshift = 1\nmixup = 0.2\nsmall_resolution = 6")
    make(text=text).run(executor=InlineExecutor())
    edited = make(text=text.replace("epochs = 2", "epochs = 9"))
    page = edited.report()[0].read_text()
    assert "epochs = 2" in page
    assert "epochs = 9" not in page
    assert "2 epochs of SGD" in page
    assert "(half-cosine), momentum" in page
    assert "warm-up over 0.5 epochs, images shifted by up to 1 pixels, images mixed by mixup 0.2, images of 6 " in page


def test_images_of_diverged_networks_are_counted(make):
    study = make(text=STUDY.replace("[recipe]", "[recipe]\nlearning_rate = 1e15"))
    progress = study.run(executor=InlineExecutor())
    assert progress.images == sum(r.images for p in study.populations() for r in p.results) > 0


def test_an_exception_in_a_trial_is_its_failure_with_the_traceback_kept(make, monkeypatch):
    def broken(self, trial, data, **_):
        raise MemoryError("no room for the batch")

    monkeypatch.setattr(TorchBackend, "train", broken)
    study = make()
    assert study.run(executor=InlineExecutor()).failures == 6
    assert study.populations()[0].results[0].reason == "MemoryError: no room for the batch"
    with Store.open(study.store_path) as store:
        assert "in broken" in store.attempts()[0]["reason"]


def test_verdicts_need_two_populations(make):
    study = make()
    study.run(executor=InlineExecutor())
    (verdict,) = study.verdicts()
    assert verdict.names == ("anynetx_a", "anynetx_e")
    alone = make("alone", text=STUDY.rpartition("[[spaces]]")[0])
    alone.run(executor=InlineExecutor())
    assert alone.verdicts() == ()


def test_spaces_of_one_s_own_a_union_and_perceptrons_are_trained_by_the_same_machinery(make):
    text = STUDY.replace("networks = 3", "networks = 2").replace('flops = "20k..200k"', 'flops = "10k..400k"')
    head, _, _ = text.partition("[ranges]")
    study = make(
        text=head
        + """
[[spaces]]
space = "mlp"
ranges = { depth = [1, 2], width = [16, 64] }
[[spaces]]
name = "basic blocks"
parameters.depth = { law = "uniform", low = 1, high = 2 }
parameters.width = { law = "log-uniform", low = 8, high = 32, step = 8 }
frame = { block = "basic", residual = false }
rising = ["width"]
[[spaces]]
name = "either"
union = ["anynetx_e", "regnety"]
ranges = { depth = [1, 2], width = [8, 32], total_depth = [2, 5], initial_width = [8, 16], width_slope = [0.1, 20] }
"""
    )
    progress = study.run(executor=InlineExecutor(raise_errors=True))
    assert (progress.trained, progress.failures) == (6, 0)
    mlp, basic, either = study.populations()
    for spec in mlp.networks:
        assert (spec.block, spec.stem.kernel_size, len(spec.stages)) == ("mlp", 8, 3)
        assert spec.num_classes == 10
    for spec in basic.networks:
        assert (spec.block, spec.residual, spec.stem.width) == ("basic", False, 8)
        assert spec.stages[0].width < spec.stages[1].width
    assert {len(spec.stages) for spec in either.networks} == {2}
    page = next(path for path in study.report() if path.suffix == ".html").read_text()
    assert "basic blocks" in page
    assert "either" in page


def test_more_networks_than_a_space_holds_are_refused(make):
    text = STUDY.replace("networks = 3", "networks = 300").replace("width = [8, 32]", "width = [8, 16]")
    with pytest.raises(StudyFileError, match=r"networks \(=300\): E holds only \d+ in the budget; the nearest is"):
        make(text=text.replace('space = "anynetx_a"', 'space = "anynetx_e"\nname = "E"', 1)).draw()
