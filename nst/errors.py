"""The one exception that means "the user can mend this"."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave: a path, a picture, a value, a checkpoint.

    The message is one line that names the thing, what was found and what to do about it. Scripts print it and exit with
    code 2 (see :mod:`nst.cli`); from Python it is an ordinary exception.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
