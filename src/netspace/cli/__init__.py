"""The command line: parse, call, print."""

from netspace.cli.main import main

__all__ = ["main"]
