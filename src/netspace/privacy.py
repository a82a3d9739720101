"""What no page and no table may tell: whose home a path leads through, and passwords and tokens.

A home folder becomes `~`, a secret becomes `***`. All else stays, so that a path still says where to look.
"""

import os
import re

HIDDEN = "***"

_HOMES = re.compile(r"(?<![\w.~-])(?:/(?:home|Users)/[^/\\\s'\"<>:;,)\]]+|[A-Za-z]:\\+Users\\+[^\\\s'\"]+)")
_PASSWORD = re.compile(r"(\b\w[\w+.-]*://[^\s/:@'\"]*):[^\s'\"]+@")  # up to the last @: passwords may hold others
_NAMED = re.compile(r"(?i)\b(\w*(?:password|passwd|passphrase|secret|token|api_?key))(\s*=\s*['\"]?)[^\s&;'\"\\]+")
_SECRET = re.compile(r"(?i)password|passwd|passphrase|secret|token|api_?key|credential")
_SHORTEST = 8
"""The letters of a variable's value that may be taken for a secret; shorter ones stand in many a word."""


def discreet(text: str) -> str:
    """Return a text without home folders, passwords in URLs, and secrets of this process's environment.

    >>> discreet("folder:/home/ada/images, at postgresql://ada:pw@host/studies?password=pw")
    'folder:~/images, at postgresql://ada:***@host/studies?password=***'
    """
    for home in map(os.path.expanduser, ("~", "~root")):  # wherever they are; without one it stays as it is
        if home[1:]:
            text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", _PASSWORD.sub(rf"\1:{HIDDEN}@", _HOMES.sub("~", text)))
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET.search(name):
            text = text.replace(value, HIDDEN)
    return text
