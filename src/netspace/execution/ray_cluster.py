"""The way to a Ray cluster: no dashboard, no reports of usage, and no cluster on a network without a token.

Who reaches a cluster runs any code on it. So one that listens on more than this machine's loopback interface has to
take Ray's token, unless somebody says that it need not.
"""

import contextlib
import importlib
import logging
import math
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from netspace.errors import ExecutionError, InputError, MissingFrameworkError
from netspace.execution.choice import AUTO, LOCAL

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do one day, and warns of until then
}
STAY_INSIDE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""At 0, Ray takes the loopback interface for what it is, and not for the machine's place in a network."""
ANSWERS_WITHIN = 5.0
"""How long is waited for a cluster's port [s]; Ray itself asks for minutes."""
HOW_TO_SET_A_TOKEN = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) for this command as for `ray start` on every "
    "machine, or say --insecure"
)


def loaded(address: str = AUTO) -> ModuleType:
    """Return Ray, to be connected to an address. Raises: MissingFrameworkError."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if is_closed(found(address)):
        os.environ.setdefault(STAY_INSIDE, "0")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise MissingFrameworkError(
            "executor (='ray') needs the package 'ray'; install it with: pip install 'netspace[ray]'"
        ) from None


def connect(ray: ModuleType, address: str, *, insecure: bool) -> bool:
    """Connect this process to a cluster, unless it is; return whether it was not.

    Raises: InputError where a token is missing or refused; ExecutionError where no cluster answers.
    """
    if ray.is_initialized():
        _check_nodes(ray, address, insecure)
        return False
    named = found(address)
    if named not in (AUTO, LOCAL):
        if not (insecure or is_closed(named) or has_token()):
            raise _unsafe(address)
        _check_answers(address, named)
    handled = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **_OPTIONS, **({"include_dashboard": False} if named == LOCAL else {}))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as problem:
        if named == LOCAL:
            raise ExecutionError(
                f"address (='local'): Ray does not start on this machine: {last_line(problem)}"
            ) from None
        if named == AUTO:
            raise _no_answer(address, last_line(problem)) from None
        raise InputError(  # its port has answered; Ray does not tell why it is refused
            f"address (={address!r}): the Ray cluster there does not take this command ({last_line(problem)}); if it "
            f"asks for a token, {HOW_TO_SET_A_TOKEN.partition(', or')[0]}; if not, compare the versions of Ray"
        ) from None
    finally:
        if handled is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handled)  # Ray takes it for itself
    try:
        _check_nodes(ray, address, insecure)
    except InputError:
        ray.shutdown()
        raise
    return True


_OPTIONS: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


def has_token(variables: Mapping[str, str] = os.environ, home: Path | None = None) -> bool:
    """Return whether Ray is told to take a token, and where one is."""
    if variables.get("RAY_AUTH_MODE", "").lower() != "token":
        return False
    if variables.get("RAY_AUTH_TOKEN"):
        return True
    path = variables.get("RAY_AUTH_TOKEN_PATH")
    return (Path(path) if path else (home or Path.home()) / ".ray" / "auth_token").is_file()


def found(address: str) -> str:
    """Return the address that "auto" is here, as Ray finds it, where it does; any other as it is."""
    if address != AUTO:
        return address
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    with contextlib.suppress(OSError):
        return os.environ.get("RAY_ADDRESS") or Path(folder, "ray", "ray_current_cluster").read_text().strip()
    return AUTO


def is_closed(address: str) -> bool:
    """Return whether Ray at an address listens where no other machine reaches it.

    >>> [is_closed(address) for address in ("local", "localhost:6379", "[::1]:6379", "127.0.0.2:6379", "head:6379")]
    [True, True, True, False, False]
    """
    # Of other names of the loopback interface Ray knows nothing, and listens everywhere.
    return address == LOCAL or address.rpartition(":")[0].strip("[]") in ("localhost", "127.0.0.1", "::1")


def fitting(ray: ModuleType, needed: Mapping[str, float]) -> int:
    """Return how many workers that each need so much of "CPU", "GPU" and "memory" the cluster's nodes hold now."""
    total = 0
    for node in alive_nodes(ray):
        has = node["Resources"]
        total += min(math.floor(has.get(name, 0.0) / amount) for name, amount in needed.items() if amount > 0)
    return total


def alive_nodes(ray: ModuleType) -> list[dict[str, Any]]:
    """Return the nodes of the cluster that are there, as Ray tells them."""
    return [node for node in ray.nodes() if node["Alive"]]


def last_line(problem: BaseException) -> str:
    """Return the last line of what Ray says, which is the one that names the cause."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return (lines or [type(problem).__name__])[-1].rstrip(".")


def _check_nodes(ray: ModuleType, address: str, insecure: bool) -> None:
    open_to_all = any(not is_closed(f"{node['NodeManagerAddress']}:0") for node in alive_nodes(ray))
    if open_to_all and not insecure and not has_token():
        raise _unsafe(address)


def _check_answers(address: str, named: str) -> None:
    host, _, port = named.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
    except (OSError, ValueError) as problem:
        raise _no_answer(address, last_line(problem)) from None


def _no_answer(address: str, reason: str) -> ExecutionError:
    return ExecutionError(
        f"address (={address!r}): no Ray cluster answers there ({reason}); start one with `ray start`, on this machine "
        'too, or take "local"'
    )


def _unsafe(address: str) -> InputError:
    return InputError(
        f"address (={address!r}): this Ray cluster is open to other machines, and whoever reaches it runs any code on "
        f"it; {HOW_TO_SET_A_TOKEN}"
    )
