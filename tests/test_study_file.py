"""A study file with a wrong field is one sentence: the file, the path of the field, the nearest right name."""

from pathlib import Path

import pytest

from netspace.errors import StudyFileError
from netspace.networks.spec import Stem
from netspace.study_file import parse_study, read_study

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
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
        ("[recipe]\nprecision = 'float64'", "recipe.precision (='float64') must be one of float32, bfloat16"),
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
        ("[execution]\nx = 1", "execution: unknown key"),
        ("x =", "not valid TOML"),
        ("[comparison]\nmargin = 1.0", "comparison.margin (=1.0) must lie between 0 and 1"),
        ("[comparison]\nlevel = 0.5", "comparison.level (=0.5)"),
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
    for same in ("workers = 7\n", "output = 'elsewhere'\n"):
        assert parse_study(same + BASE).identity() == spec.identity()
    assert parse_study(BASE + "[comparison]\nmargin = 0.2").identity() == spec.identity()
    for other in ("seed = 1\n", "num_stages = 3\n"):
        assert parse_study(other + BASE).identity() != spec.identity()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path):
    spec, text = read_study(path)
    assert spec.networks * len(spec.spaces) > 0
    assert text.startswith("#")
