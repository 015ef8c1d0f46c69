"""Batches: which file becomes which, and what is left when one is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nst import UserError
from nst.batch import plan
from nst.checkpoints import save_model
from nst.networks import build

STYLIZE = Path(__file__).parent.parent / "scripts" / "stylize.py"
Write = Callable[..., list[Path]]


def outputs(content: str | Path, output_dir: Path) -> list[str]:
    return sorted(job.output.relative_to(output_dir).as_posix() for job in plan(content, None, str(output_dir)))


def test_sub_folders_of_folders_and_globs_are_kept(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/x/b.jpg", "in/y/b.jpg", "in/c.png")
    assert outputs(tmp_path / "in", tmp_path / "out") == ["c.png", "x/b.png", "y/b.png"]
    assert outputs(f"{tmp_path}/in/**/*.jpg", tmp_path / "out") == ["x/b.png", "y/b.png"]


def test_names_that_differ_in_their_suffix_alone_keep_it(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/a.jpg", "in/a.png", "in/b.jpg")
    assert outputs(tmp_path / "in", tmp_path / "out") == ["a.jpg.png", "a.png.png", "b.png"]


def test_earlier_results_are_no_content(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.jpg", "out/a.png", "out/more/b.png")
    assert outputs(tmp_path, tmp_path / "out") == ["a.png"]


def test_a_content_picture_is_never_written_over(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.png", "b.jpg")
    with pytest.raises(UserError, match=r"a\.png is a content picture"):
        plan(tmp_path, None, str(tmp_path))


def test_one_output_for_several_pictures_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.png", "b.jpg")
    with pytest.raises(UserError, match="2 pictures"):
        plan(tmp_path, "out.png", "out")


def test_a_killed_batch_leaves_whole_pictures_and_is_finished_by_a_rerun(
    write_pictures: Write, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    good = write_pictures(*(f"in/{number % 3}/good{number:02}.png" for number in range(95)))
    bad = [tmp_path / "in" / "1" / f"bad{number}.jpg" for number in range(5)]
    for path in bad:
        path.write_bytes(good[0].read_bytes()[:200])  # cut off
    model, painted = tmp_path / "tiny.safetensors", tmp_path / "painted"
    save_model(tiny_config, build(tiny_config).state_dict(), model)
    command = [sys.executable, str(STYLIZE), f"ckpt={model}", f"content={tmp_path / 'in'}", f"output_dir={painted}"]

    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    for _ in range(30):  # a line is printed for each picture
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()
    before = {path: path.stat().st_mtime_ns for path in painted.rglob("*.png") if not path.name.startswith(".")}
    assert 0 < len(before) < 95
    for path in before:
        Image.open(path).load()  # raises where it is cut off

    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 1
    assert f"{95 - len(before)} written, {len(before)} there already, 5 failed" in done.stdout
    failures = done.stderr.strip().splitlines()
    assert len(failures) == 5 and all(any(str(path) in line for line in failures) for path in bad)
    expected = {painted / path.relative_to(tmp_path / "in") for path in good}
    assert {path for path in painted.rglob("*.png") if not path.name.startswith(".")} == expected
    for path in expected:
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == (40, 32)
    assert all(path.stat().st_mtime_ns == modified for path, modified in before.items())  # not made again
