"""What is said before any cluster is asked: addresses, tokens, a Ray that is missing."""

import sys

import pytest

from netspace.errors import ExecutionError, InputError, MissingFrameworkError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.ray_cluster import connect, fitting, found, has_token, loaded


class Ray:
    """A Ray that is not connected, and its nodes."""

    def __init__(self, *nodes, initialized=False):
        self._nodes, self._initialized = nodes, initialized

    def is_initialized(self):
        return self._initialized

    def nodes(self):
        return self._nodes


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"executor": "dask"}, "executor (='dask') must be one of local, ray"),
        ({"address": "ray://head:10001"}, 'address (=\'ray://head:10001\') must be "auto", "local" or HOST:PORT'),
        ({"address": "head"}, "address (='head') must be"),
        ({"address": "head:0"}, "address (='head:0') must be"),
        ({"cpus": 0}, "cpus (=0) must be above 0"),
        ({"gpus": -1}, "gpus (=-1) must be at least 0"),
        ({"gpus": 1.5}, "gpus (=1.5) must be whole where it is above 1; the nearest is 2"),
        ({"executor": "local", "gpus": 0.5}, 'gpus (=0.5) is about a cluster: write executor = "ray"'),
        ({"executor": "local", "insecure": True}, "insecure (=True) is about a cluster"),
    ],
)
def test_a_wrong_choice_is_one_sentence(fields, sentence):
    with pytest.raises(InputError) as told:
        ExecutionChoice(**{"executor": "ray"} | fields)
    assert sentence in str(told.value)


def test_a_remote_cluster_without_a_token_is_refused_before_it_is_asked(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    for address in ("10.0.0.5:6379", "head:6379"):
        with pytest.raises(InputError, match=r"is open to other machines.*set RAY_AUTH_MODE=token and .*--insecure"):
            connect(Ray(), address, insecure=False)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    with pytest.raises(InputError, match=r"address \(='auto'\): this Ray cluster is open"):
        connect(Ray(), "auto", insecure=False)


def test_a_cluster_that_listens_on_a_network_needs_one_too_however_it_was_found(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    here, there = ({"Alive": True, "NodeManagerAddress": address} for address in ("127.0.0.1", "10.0.0.5"))
    gone = there | {"Alive": False}
    assert connect(Ray(here, gone, initialized=True), "auto", insecure=False) is False
    assert connect(Ray(here, there, initialized=True), "auto", insecure=True) is False
    with pytest.raises(InputError, match="is open to other machines"):
        connect(Ray(here, there, initialized=True), "auto", insecure=False)


def test_a_token_is_one_that_ray_will_take(tmp_path):
    (tmp_path / "token").write_text("secret")
    found = [
        has_token(variables, tmp_path)
        for variables in (
            {"RAY_AUTH_TOKEN": "secret"},
            {"RAY_AUTH_MODE": "token"},
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "missing")},
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")},
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"},
        )
    ]
    assert found == [False, False, False, True, True]
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    assert has_token({"RAY_AUTH_MODE": "token"}, tmp_path)


def test_a_node_holds_what_its_scarcest_resource_does():
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0, "memory": 5.0}},
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": False, "Resources": {"CPU": 99.0}},
    ]
    assert fitting(Ray(*nodes), {"CPU": 2.0, "GPU": 0.0, "memory": 0.0}) == 5
    assert fitting(Ray(*nodes), {"CPU": 1.0, "GPU": 0.25, "memory": 2.0}) == 2


def test_a_missing_ray_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingFrameworkError, match=r"needs the package 'ray'; .*pip install 'netspace\[ray\]'"):
        loaded()


def test_an_address_at_which_nobody_answers_is_one_sentence_at_once():
    with pytest.raises(ExecutionError, match=r"address \(='127.0.0.1:1'\): no Ray cluster answers there \(.*refused\)"):
        connect(Ray(), "127.0.0.1:1", insecure=False)


def test_the_address_of_this_machines_cluster_is_found_where_ray_writes_it(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert found("auto") == "auto"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:6379")
    assert found("auto") == "127.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    assert (found("auto"), found("head:6379")) == ("10.0.0.5:6379", "head:6379")
