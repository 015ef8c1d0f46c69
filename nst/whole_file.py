"""A file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to, renamed to ``path`` at the end; what stood there stays until then.

    Folders are made. If the block raises, nothing is left of what it wrote.

    Raises:
        OSError: the folder cannot be made, or the file cannot be renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that find_images passes over it; not by tempfile, whose files only their owner may read.
    partial = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
