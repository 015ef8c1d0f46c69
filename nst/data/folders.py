"""Which pictures there are, which of them are held out, and which could not be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from nst.errors import UserError
from nst.images import find_images


def name_fraction(path: Path) -> float:
    """A number in [0, 1) that depends on the file's name alone, not on its folder or on the other files."""
    return int.from_bytes(hashlib.sha256(os.fsencode(path.name)).digest()[:6], "big") / 2**48


def split_by_name(paths: Sequence[Path], validation_fraction: float) -> tuple[list[Path], list[Path]]:
    """Training and validation pictures. A picture stays on its side for good, whatever is added or moved.

    Only in a set so small that one side would be empty is a single picture moved over.
    """
    ordered = sorted(paths, key=lambda path: (name_fraction(path), str(path)))
    held_out = sum(name_fraction(path) < validation_fraction for path in ordered)
    if len(ordered) == 1:
        return list(ordered), list(ordered)
    held_out = min(max(held_out, 1 if validation_fraction > 0 else 0), len(ordered) - 1)
    return sorted(ordered[held_out:]), sorted(ordered[:held_out])


def find_movements(folder: str | Path, movements: str | Sequence[str | Sequence[str]] | None) -> dict[str, list[Path]]:
    """Style pictures by movement, a movement being a sub-folder of any depth.

    Args:
        folder: the style set. Pictures directly in it belong to the movement ``.``.
        movements: a name of a sub-folder or several; a list among them holds the folders of one movement, of which one must
            be there; ``None`` takes all.

    Raises:
        UserError: the folder is missing or empty, or a movement has no pictures; the message lists those that do.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"style folder {str(root)!r} does not exist: set data.style_dir to a folder of style pictures.")
    found: dict[str, list[Path]] = {}
    for path in find_images(root):
        found.setdefault(path.relative_to(root).parts[0] if path.parent != root else ".", []).append(path)
    if movements is None:
        return found
    movements = [movements] if isinstance(movements, str) else movements
    wanted = [[entry] if isinstance(entry, str) else list(entry) for entry in movements]
    missing = [" or ".join(names) for names in wanted if not any(name in found for name in names)]
    if missing or not wanted:
        have = ", ".join(f"{name} ({len(paths)})" for name, paths in sorted(found.items()))
        raise UserError(
            f"style folder {str(root)!r} has no pictures of {', '.join(missing) or 'an empty list'}: "
            f"movements with pictures: {have}."
        )
    return {name: found[name] for names in wanted for name in names if name in found}


class UnreadableReport:
    """A text file that lists pictures which could not be read, one ``path<TAB>reason`` a line.

    Loader processes append to it; a line is short enough to be written whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def add(self, picture: Path, reason: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{picture}\t{reason}\n")

    def entries(self) -> dict[str, str]:
        """Picture → reason, each picture once."""
        if not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        return dict(line.split("\t", 1) for line in lines if "\t" in line)
