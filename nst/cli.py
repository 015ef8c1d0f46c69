"""How scripts meet their user: one line for a mistake, and exit code 2."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

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


class OutputFolder(Callback):
    """Refuses a folder that cannot be made before Hydra tries to: it would print a traceback."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.sweep.dir)


def _make(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"error: cannot make the folder {folder!r}: {error.strerror}: set output_dir.", file=sys.stderr)
        sys.exit(2)


def entry_point(main: Callable[[], Any]) -> None:
    """Run a ``@hydra.main`` function; a config that Hydra refuses (it prints why) exits with 2 instead of 1, an interruption
    (Ctrl+C) with a line and 130, as shells count."""
    reuse_memory()
    try:
        main()
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit as stop:
        sys.exit(2 if stop.code == 1 and not _job_started else stop.code)
