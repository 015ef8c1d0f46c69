"""Notebooks: their code runs from top to bottom, and they hold no outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_every_picture_differs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    names: dict[str, object] = {}
    pictures = []
    for cell in cells:
        *body, last = "".join(cell["source"]).splitlines()
        exec("\n".join(body), names)
        if last.startswith("stylizer("):
            pictures.append(eval(last, names).tobytes())
        else:
            exec(last, names)
    assert len(pictures) > 3 and len(set(pictures)) == len(pictures)
