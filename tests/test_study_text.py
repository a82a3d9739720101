"""A study that is written as TOML is read again as the same study."""

import tomllib
from dataclasses import replace

import pytest

from netspace.studies.spec import parse_study, read_study
from netspace.studies.text import study_text
from tests.own_blocks import EXAMPLES
from tests.tiny import STUDY


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_come_back(path, tmp_path):
    spec, _ = read_study(path)
    (tmp_path / "copy.toml").write_text(study_text(spec), encoding="utf-8")
    again, _ = read_study(tmp_path / "copy.toml")
    assert again == spec
    assert again.identity() == spec.identity()


def test_any_letters_come_back_and_comments_cannot_leave_their_lines():
    name = 'a "quoted" \\ name, é, 🙂, a tab\t, DEL \x7f'
    spec = replace(parse_study(STUDY), name=name)
    text = study_text(spec, ["first\nnetworks = 7", "second"])
    assert parse_study(text) == spec
    assert text.startswith("# first networks = 7\n# second\n\nname = ")


def test_whole_numbers_are_written_as_a_person_would():
    plain = tomllib.loads(study_text(parse_study(STUDY)))
    assert plain["ranges"] == {"depth": [1, 2], "width": [8, 32]}
    assert isinstance(plain["ranges"]["depth"][0], int)
