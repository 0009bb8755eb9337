"""The exception for bad input.

`SeqliftError` carries a message made for the person who runs the program: what was found, where (file and line, or
config key), which rule it breaks and what to do. The command line prints it without a traceback and exits with 1.
Anything else that escapes is a bug in seqlift and keeps its traceback.
"""

import re


class SeqliftError(Exception):
    """Bad input, with a message that names file and line or key, value, rule and remedy."""


def without_password(text: str) -> str:
    """A text with the user names and passwords of its web addresses made unreadable."""
    return re.sub(r"//[^/\s]*@", "//***@", text)
