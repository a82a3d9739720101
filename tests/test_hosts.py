"""A host that would give other numbers is refused in one sentence that names it."""

import platform
import re
from dataclasses import replace

import pytest
import torch

from netspace.errors import ExecutionError
from netspace.studies import hosts
from netspace.studies.hosts import Needed, check_host, data_here, versions_here
from netspace.training.data import DataChoice, load
from netspace.training.packs import pack

HOST = platform.node()
HERE = versions_here("torch")


def test_other_versions_are_refused():
    needed = Needed(versions=HERE, kernels="torch", data="")
    check_host(needed, HERE)
    with pytest.raises(ExecutionError, match=rf"host {HOST} has torch {re.escape(HERE['torch'])}, and the d"):
        check_host(replace(needed, versions=HERE | {"torch": "1.0"}), HERE)
    with pytest.raises(ExecutionError, match=r"has jax not at all, and the driver 0\.8"):
        check_host(replace(needed, versions=HERE | {"jax": "0.8"}), HERE)
    with pytest.raises(ExecutionError, match=rf"has netspace {hosts.__version__}, and the driver 9\.9"):
        check_host(replace(needed, netspace="9.9"), HERE)


def test_kernels_that_a_host_lacks_are_refused(monkeypatch):
    monkeypatch.setattr("netspace.backends.torch_native.missing_operators", lambda: "there is no C++ compiler")
    needed = Needed(versions=HERE, kernels="native", data="")
    with pytest.raises(ExecutionError, match=rf"'native'\) cannot be had on host {HOST}: there is no C\+\+ compiler"):
        check_host(needed, HERE)
    check_host(replace(needed, kernels="torch"), HERE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_a_host_lacks_is_refused_before_any_trial_is_taken_for_failed():
    with pytest.raises(ExecutionError, match=rf"host {HOST}: device \(='cuda'\)"):
        check_host(Needed(versions=HERE, kernels="torch", data="", device="cuda"), HERE)


def test_data_that_a_host_does_not_see_or_sees_otherwise_are_refused(tmp_path):
    digits = load(DataChoice(name="digits"))
    needed = Needed(versions=HERE, kernels="torch", data=digits.fingerprint)
    with pytest.raises(ExecutionError, match=rf"host {HOST} cannot read the study's data \(.*\); keep the output fold"):
        data_here(needed, tmp_path / "data")
    pack(digits, tmp_path / "data")
    found = data_here(needed, tmp_path / "data")
    assert (found.fingerprint, found.test) == (digits.fingerprint, None)
    with pytest.raises(ExecutionError, match=rf"host {HOST} has other data than the study's in .*; keep the output"):
        data_here(replace(needed, data="0" * 32), tmp_path / "data")
