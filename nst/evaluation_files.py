"""Where an evaluation or a benchmark writes: its folder is tried before the measuring, and its files appear whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nst.errors import UserError
from nst.whole_file import written_whole


def output_folder(output_dir: str | Path | None) -> Path:
    """A folder that takes files, made where there is none: tried now, as hours of measuring may come before the first one.

    Raises:
        UserError: it cannot be written.
    """
    if output_dir is None:
        raise UserError("output_dir=null: name a folder.")
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _refusal(folder, error) from None
    return folder


def write_text(path: Path, text: str) -> None:
    """A text file; what stood there before stays until this one is complete.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    try:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _refusal(path.parent, error) from None


def _refusal(folder: Path, error: OSError) -> UserError:
    return UserError(f"output_dir={str(folder)!r} cannot be written: {error.strerror or error}.")
