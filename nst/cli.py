"""How scripts meet their user: one line for a mistake, and exit code 2."""

from __future__ import annotations

import difflib
import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from nst.errors import UserError
from nst.memory import reuse_memory

_job_started = False


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a :class:`UserError` of a Hydra job into its line on stderr and exit code 2; a reader of the output that goes away
    (``| head``) ends it with 141, as shells count."""

    @functools.wraps(function)
    def job(*args: Any, **kwargs: Any) -> Any:
        global _job_started
        _job_started = True
        try:
            return function(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
            sys.exit(141)

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
    """Run a ``@hydra.main`` function; overrides that Hydra refuses are one line and exit code 2, an interruption (Ctrl+C) is
    a line and 130, as shells count."""
    reuse_memory()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print over several lines
    try:
        main()
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        sys.exit(130)
    except (HydraException, OmegaConfBaseException) as error:
        if _job_started and not isinstance(error, ConfigCompositionException | OverrideParseException):
            raise  # a fault of the job, not of what was typed
        print(f"error: {_refusal(error)}", file=sys.stderr)
        sys.exit(2)


def _refusal(error: Exception) -> str:
    """Why Hydra refused the command line, in one line."""
    words, cause = " ".join(str(error).partition("Config search path")[0].split()), error.__cause__
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: {_how_to_quote(error.override)}."
    if words.startswith("Ambiguous value"):
        override = str(error).split("'")[1]
        return f"{override!r} is a sweep, which needs -m: else {_how_to_quote(override)}, or a list brackets: KEY=[…]."
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        known = [] if cause.parent_node is None else [str(name) for name in cause.parent_node]
        near = difflib.get_close_matches(str(cause.key), known, n=1)
        return f"no key {cause.full_key!r}: " + (f"did you mean {near[0]!r}?" if near else "--help lists them.")
    return words if cause is None else f"{words}: {str(cause).splitlines()[0]}"


def _how_to_quote(override: str) -> str:
    key, equal, value = override.partition("=")
    if not equal:
        return "say KEY=VALUE"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    example = shlex.quote(f'{key}="{quoted}"')
    return f"a value with brackets, commas, quotes or = needs quotes of its own: {example}"
