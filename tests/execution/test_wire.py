"""What goes to other machines comes back as it was, and what cannot go is told in one sentence."""

import functools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspace.errors import InputError
from netspace.execution.wire import decoded, encoded, encoded_setup, set_up
from netspace.studies.hosts import Needed
from netspace.training.trial import EpochRecord, TrialResult
from tests.strategies import specs

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def counting(start, *, step):
    def work(payload, report):
        report((payload, start))
        return EpochRecord(epoch=start + step * payload, training_loss=math.nan, validation_error=0.5, seconds=0.1)

    return work


@settings(max_examples=25)
@given(PLAIN)
def test_values_come_back_as_they_were(value):
    back = decoded(encoded(value))
    assert back == value
    assert repr(back) == repr(value)


@settings(max_examples=25)
@given(specs)
def test_networks_come_back_as_they_were(network):
    assert decoded(encoded(network)) == network


def test_results_come_back_as_they_were():
    record = EpochRecord(epoch=1, training_loss=0.1 + 0.2, validation_error=1 / 3, seconds=2.0)
    result = TrialResult(trial_id="x", status="finished", error=1 / 3, curve=(record, record), reason="é")
    assert decoded(encoded((result, {"torch": "2"}))) == (result, {"torch": "2"})


def test_a_setup_is_its_name_and_its_arguments():
    text = encoded_setup(functools.partial(counting, 3, step=10))
    said = []
    told = decoded(set_up(text)(encoded(2), said.append))
    assert (told.epoch, math.isnan(told.training_loss)) == (23, True)
    assert [decoded(one) for one in said] == [(2, 3)]


def test_what_cannot_go_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"set \(=\{1\}\) cannot go to another machine"):
        encoded({"a": [{1}]})
    with pytest.raises(InputError, match=r"dict \(=\{1: 2\}\) cannot go"):
        encoded({1: 2})
    with pytest.raises(InputError, match=r"<lambda> \(of module .*\) must stand at the top of a module"):
        encoded_setup(lambda: counting(1, step=1))

    def inner():
        return counting(1, step=1)

    inner.__module__ = "__main__"
    with pytest.raises(InputError, match="and not in the main script"):
        encoded_setup(inner)


def test_a_text_makes_no_other_object_than_a_dataclass():
    with pytest.raises(InputError, match="subprocess:Popen is no dataclass"):
        decoded('{"class": "subprocess:Popen", "fields": {"args": ["true"]}}')
    assert decoded(encoded(Needed(versions={}, kernels="torch", data=""))).kernels == "torch"
