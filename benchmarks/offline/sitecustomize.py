"""A machine without any network, for whoever has this folder on PYTHONPATH: no socket but between local processes.

Python imports this file when it starts. Whatever asks for a network is refused, and written down in `OFFLINE_LOG`.
"""

import os
import socket
import sys


def refuse(event: str, given: tuple[object, ...]) -> None:
    """Refuse what would leave this machine, or wait for what comes from elsewhere."""
    asks = event == "socket.getaddrinfo" or (event == "socket.__new__" and given[1] != socket.AF_UNIX)
    if asks:
        with open(os.environ["OFFLINE_LOG"], "a", encoding="utf-8") as file:
            file.write(f"{event} {given[1:]} in {sys.argv}\n")
        raise OSError("there is no network")


sys.addaudithook(refuse)
