"""A study file with a wrong field is one sentence: the file, the path of the field, the nearest right name."""

from pathlib import Path

import pytest

from netspace.errors import StudyFileError
from netspace.networks.spec import Stem
from netspace.studies.spec import parse_study, read_study

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").rglob("*.toml"))
BASE = """
name = "x"
networks = 4
[data]
name = "digits"
[budget]
flops = "1M..2M"
[[spaces]]
space = "anynetx_a"
"""


@pytest.mark.parametrize(
    ("addition", "sentence"),
    [
        ("[recipe]\nepoch = 3", "recipe.epoch: unknown key; did you mean 'epochs'?"),
        ("[recipe]\nepochs = 3.5", "recipe.epochs (=3.5): input should be a valid integer"),
        ("[recipe]\nepochs = 0", "recipe.epochs (=0) must be a whole number of at least 1"),
        ("[recipe]\nprecision = 'float64'", "recipe.precision (='float64') must be one of float32, bfloat16, auto"),
        ("[ranges]\ndept = [1, 3]", "ranges.dept: no space of this study has it; did you mean 'depth'?"),
        ("[ranges]\ndepth = [1, 30]", "ranges.depth: range [1, 30] must lie inside [1, 16]; nearest: [1, 16]"),
        ("[ranges]\ndepth = [1, 2, 3]", "ranges.depth: range [1.0, 2.0, 3.0] must be one number or [low, high]"),
        ("[ranges]\ntotal_depth = 4", "ranges.total_depth: no space of this study has it"),
        ("[[spaces]]\nspace = 'anynetx_q'", "spaces[1]: space 'anynetx_q' is not in the catalogue; did you mean 'a"),
        ("[[spaces]]\nspce = 'regnetx'", "spaces[1].spce: unknown key; did you mean 'space'?"),
        ("[[spaces]]\nspace = 'anynetx_a'", "spaces[1].name (='anynetx_a') is taken"),
        (
            "[[spaces]]\nspace = 'regnetx'\nranges = { total_dept = 3 }",
            "spaces[1].ranges.total_dept: regnetx has no such parameter; did you mean 'total_depth'?",
        ),
        ("[stem]\nstride = 3", "stem.stride (=3) must be one of 1, 2"),
        ("[comparison]\nmargin = 2", "comparison.margin (=2.0) must lie between 0 and 1"),
        ("[executions]\nx = 1", "executions: unknown key; did you mean 'execution'?"),
        ("[execution]\ngpu = 1", "execution.gpu: unknown key; did you mean 'gpus'?"),
        ("[execution]\nexecutor = 'dask'", "execution.executor (='dask') must be one of local, ray"),
        ("[execution]\ngpus = 1", 'execution.gpus (=1.0) is about a cluster: write executor = "ray"'),
        ("x =", "not valid TOML"),
        ("[comparison]\nmargin = 1.0", "comparison.margin (=1.0) must lie between 0 and 1"),
        ("[comparison]\nlevel = 0.5", "comparison.level (=0.5)"),
        ("[comparison]\nlooks = 1", "comparison.looks (=1) must be a whole number of at least 2"),
        ("[comparison]\nlooks = 2.5", "comparison.looks (=2.5)"),
        (
            "[[spaces]]\nspace = 'regnetx'\n[comparison]\nlooks = 9",
            "comparison.looks (=9) must be a whole number from 2 to 4, for at least 2 networks of each space (=4)",
        ),
        ("[comparison]\nlooks = 3", "comparison.looks (=3): one space leaves no verdict to look for"),
        ("[comparison]\npairs = []", "comparison.pairs (=[]) must name at least one pair"),
        ("[comparison]\npairs = [['a', 'b'], ['b', 'a']]", "comparison.pairs (=[['a', 'b'], ['b', 'a']]) must name"),
        ("[comparison]\npairs = [['anynetx_a', 'anynetx_a']]", "pairs[0] (=['anynetx_a', 'anynetx_a']) must be two"),
        ("[comparison]\npairs = [['anynetx_a', 'b']]", "two different spaces of the study, which are anynetx_a"),
        ("[limits]\nminutes = 0", "limits.minutes (=0.0) must be above 0"),
        ("[limits]\nmemory_gib = 'much'", "limits.memory_gib (='much'): input should be a valid number"),
        ("[limits]\nmemory = 4", "limits.memory: unknown key; did you mean 'memory_gib'?"),
        ("[recipe]\nEpochs = 2", "recipe.Epochs: unknown key; did you mean 'epochs'?"),
        ("[recipe]\nint = 0", "recipe.int: unknown key"),
        (
            "[recipe]\nepochs = 1979-05-27",
            "recipe.epochs (=datetime.date(1979, 5, 27)): input should be",
        ),
    ],
)
def test_a_wrong_addition(addition, sentence):
    with pytest.raises(StudyFileError) as caught:
        parse_study(BASE + addition, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"1M..2M"', '"1M.2M"', "budget.flops: '1M.2M' is not a band such as 360M..400M"),
        ('"1M..2M"', '"2M..1M"', "budget.flops (=2M..1M) is upside down; the nearest is 1M..2M"),
        ('"digits"', '"digit"', "data.name (='digit') is no data set; did you mean 'digits'?"),
        ("networks = 4", "networks = 0", "networks (=0) must be a whole number of at least 1"),
        ("networks = 4", "networks = 4\nworkers = 0", "workers (=0) must be"),
        ("networks = 4", "", "networks: missing"),
        ("networks = 4", "networks = 4\nSead = 0", "Sead: unknown key; did you mean 'seed'?"),
        ('"1M..2M"', "5", "budget.flops (=5): input should be a valid string or input should be a valid array"),
        ('"x"', '" "', "name (='') must say"),
        ('space = "anynetx_a"', "", "spaces[0].space: a space begins with one of space, union and parameters"),
    ],
)
def test_a_wrong_change(before, after, sentence):
    with pytest.raises(StudyFileError) as caught:
        parse_study(BASE.replace(before, after))
    assert sentence in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(StudyFileError, match="No such file"):
        read_study(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(StudyFileError, match="not UTF-8"):
        read_study(tmp_path / "latin.toml")


def test_ranges_narrow_every_space_that_has_them_and_a_space_has_the_last_word():
    text = BASE + "ranges = { depth = [2, 3] }\n[[spaces]]\nspace = 'anynetx_e'\n[ranges]\ndepth = [1, 6]\nwidth = 64"
    spaces = parse_study("num_stages = 3\nstem = { stride = 1 }\n" + text).design_spaces(num_classes=10, in_channels=1)
    first, second = spaces["anynetx_a"], spaces["anynetx_e"]
    assert (first.law("depth").low, first.law("depth").high) == (2, 3)
    assert (second.law("depth").low, second.law("depth").high) == (1, 6)
    assert first.law("width").low == second.law("width").high == 64
    assert (first.num_stages, first.stem, first.num_classes) == (3, Stem(stride=1), 10)


def test_an_identity_leaves_out_defaults_so_that_new_fields_change_no_old_study():
    assert parse_study(BASE).identity() == {
        "data": {"name": "digits"},
        "budget": {"flops": "1M..2M"},
        "spaces": [{"space": "anynetx_a", "name": "anynetx_a"}],
    }


def test_only_what_decides_results_is_the_studys_identity():
    spec = parse_study(BASE)
    for same in ("workers = 7\n", "output = 'elsewhere'\n", "limits = { minutes = 3, memory_gib = 1.5 }\n"):
        assert parse_study(same + BASE).identity() == spec.identity()
    assert parse_study(BASE + "[comparison]\nmargin = 0.2").identity() == spec.identity()
    assert parse_study(BASE + "[execution]\nexecutor = 'ray'\ngpus = 0.5").identity() == spec.identity()
    for other in ("seed = 1\n", "num_stages = 3\n"):
        assert parse_study(other + BASE).identity() != spec.identity()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path):
    spec, text = read_study(path)
    assert spec.networks * len(spec.spaces) > 0
    assert text.startswith("#")


CHECKS = """
[checks]
epochs = 24
seeds = 2
budget = { flops = "4M..8M" }
"""


def test_checks_are_studies_of_the_first_networks_and_change_no_identity():
    spec = parse_study(BASE.replace("networks = 4", "networks = 9") + CHECKS)
    assert spec.identity() == parse_study(BASE).identity()
    found = spec.check_studies()
    assert list(found) == ["epochs", "seed_1", "seed_2", "budget"]
    assert {(one.networks, one.checks) for one in found.values()} == {(3, None)}
    assert {one.seed for one in found.values()} == {0}
    assert found["epochs"].recipe.epochs == 24
    assert [one.trained_from for one in found.values()] == [2**63 - 1, 1, 2, 0]
    assert found["budget"].budget.budget().flops == (4e6, 8e6)
    assert parse_study(BASE).check_studies() == {}


def test_a_training_seed_is_part_of_the_identity_and_the_seed_where_none_is_given():
    spec, other = parse_study("seed = 3\n" + BASE), parse_study("seed = 3\ntraining_seed = 5\n" + BASE)
    assert (spec.trained_from, other.trained_from) == (3, 5)
    assert other.identity() == spec.identity() | {"training_seed": 5}


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ("", "checks.epochs: missing, and so are seeds and budget"),
        ("share = 0\nepochs = 12", "checks.share (=0.0) must be above 0 and at most 1"),
        ("share = 1.5\nepochs = 12", "checks.share (=1.5) must be above 0 and at most 1"),
        ("share = nan\nepochs = 12", "checks.share"),
        ("share = 0.25\nseeds = 1", "checks.share (=0.25) must leave at least 2 networks of each space, and of 4 it l"),
        ("share = 0.25\nseeds = 1", "the nearest is 0.5"),
        ("epochs = 10", "checks.epochs (=10) must be above recipe.epochs (=10); the nearest is 11"),
        ("epochs = 0", "checks.epochs (=0) must be a whole number of at least 1"),
        ("seeds = 0", "checks.seeds (=0) must be a whole number of at least 1"),
        ("seeds = 101", "checks.seeds (=101) must be a whole number of at most 100"),
        ("budget = {}", "checks.budget: missing a band"),
        ("budget = { flops = '2M..1M' }", "checks.budget.flops (=2M..1M) is upside down"),
        ("budget = { flops = [1e6, 2e6] }", "checks.budget (=flops in 1M..2M) must be another one"),
        ("epoch = 12", "checks.epoch: unknown key; did you mean 'epochs'?"),
    ],
)
def test_wrong_checks(checks, sentence):
    share = "" if "share" in checks else "share = 1\n"
    with pytest.raises(StudyFileError) as caught:
        parse_study(BASE + "[checks]\n" + share + checks)
    assert sentence in str(caught.value)
