"""How scripts meet their user: one line for a mistake, and exit code 2."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from nst.errors import UserError
from nst.memory import reuse_memory

_job_started = False


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a :class:`UserError` of a Hydra job into its line on stderr and exit code 2."""

    @functools.wraps(function)
    def job(*args: Any, **kwargs: Any) -> Any:
        global _job_started
        _job_started = True
        try:
            return function(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)

    return job


def entry_point(main: Callable[[], Any]) -> None:
    """Run a ``@hydra.main`` function; a config that Hydra refuses (it prints why) exits with 2 instead of 1."""
    reuse_memory()
    try:
        main()
    except SystemExit as stop:
        sys.exit(2 if stop.code == 1 and not _job_started else stop.code)
