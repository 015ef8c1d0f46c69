"""Batches: pictures that fail, styles that pair up, processes that share, and what is left when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from nst import Stylizer, UserError
from nst.batch import Outcome, report, stylize
from nst.checkpoints import load_model, save_model
from nst.networks import build

ROOT = Path(__file__).parent.parent
STYLIZE = ROOT / "scripts" / "stylize.py"
Write = Callable[..., list[Path]]


@pytest.fixture
def model(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    """A file of the tiny network, whose output differs from style to style."""
    network = build(tiny_config)
    torch.nn.init.normal_(network.decoder.to_picture.weight, std=0.1)
    return save_model(tiny_config, network.state_dict(), tmp_path / "tiny.safetensors")


def config(**keys: object) -> DictConfig:
    overrides = [f"{key}={value}" for key, value in keys.items()]
    with initialize_config_dir(str(ROOT / "configs" / "inference"), version_base="1.3"):
        return compose("stylize", overrides)


def run_batch(**keys: object) -> Outcome:
    return stylize(config(**keys))


def test_a_batch_that_is_done_paints_nothing(
    write_pictures: Write, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures("in/a.png", "in/b.png")
    assert len(run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out").written) == 2
    monkeypatch.setattr(Stylizer, "__call__", lambda *given, **options: pytest.fail("something was painted"))
    assert len(run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out").skipped) == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("a codec\nbroke"), "unexpected RuntimeError: a codec broke"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory"),
    ],
)
def test_a_batch_goes_on_past_an_error_of_any_kind_and_names_the_picture(
    write_pictures: Write, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: Exception, line: str,
) -> None:  # fmt: skip
    write_pictures("in/a.png", "in/c.png")
    write_pictures("in/b.png", width=24)
    paint = Stylizer.__call__

    def fails_at_24(self: Stylizer, content: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(content, Image.Image) and content.width == 24:
            raise error
        return paint(self, content, *arguments, **options)

    monkeypatch.setattr(Stylizer, "__call__", fails_at_24)
    outcome = run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out")
    assert report(outcome) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    printed = capsys.readouterr().err.strip().splitlines()
    assert len(printed) == 1 and printed[0].startswith(f"failed: {tmp_path}/in/b.png: {line}")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"preserve_color": "lumiance"}, "unknown preserve_color 'lumiance'"),
        ({"alpha": 2}, "alpha must lie between 0"),
        ({"alpha": "[0.5,2.0]", "pairing": "grid"}, "alpha must lie between 0"),
        ({"tile": 10}, "tile must be"),
        ({"weights": "[0]"}, "weights must be at least 0"),
        ({"masks": "[nowhere.png]"}, "nowhere.png"),
        ({"masks": "[5]"}, "the mask is no picture: found 5"),
        ({"mask": "found"}, "mask must be segment"),
    ],
)
def test_a_wrong_option_ends_a_batch_before_it_begins(
    write_pictures: Write, model: Path, tmp_path: Path, keys: dict[str, object], line: str
) -> None:
    write_pictures("in/a.png", "in/b.png")
    with pytest.raises(UserError, match=line):
        run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out", **keys)
    assert not (tmp_path / "out").exists()


def test_neither_a_style_nor_a_mask_is_written_over(write_pictures: Write, model: Path, tmp_path: Path) -> None:
    content, style, mask = write_pictures("a.png", "s.png", "m.png")
    for output, kind in ((style, "style"), (mask, "mask")):
        with pytest.raises(UserError, match=rf"{output.name} is a {kind} and would be written over"):
            run_batch(ckpt=model, content=content, style=style, masks=f"[{mask}]", output=output)


def test_a_batch_goes_on_past_a_picture_that_cannot_be_written(
    write_pictures: Write, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures("in/a.png", "in/b.png", "in/c.png")
    save = Image.Image.save

    def breaks(self: Image.Image, file: Any, *arguments: Any, **options: Any) -> None:
        if not (tmp_path / "out" / "a.png").exists():
            raise SystemError("the encoder broke")
        save(self, file, *arguments, **options)

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Image.Image, "save", breaks)
    outcome = run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out")
    assert outcome.written == [] and [path.name for path, _ in outcome.failed] == ["a.png", "b.png", "c.png"]
    assert outcome.failed[0][1] == "unexpected SystemError: the encoder broke"


def test_stopping_a_batch_stops_it(
    write_pictures: Write, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures("in/a.png", "in/b.png")

    def stopped(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stylizer, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_batch(ckpt=model, content=tmp_path / "in", output_dir=tmp_path / "out")


def test_a_grid_paints_what_single_calls_paint_and_a_bad_style_costs_its_column_alone(
    write_pictures: Write, model: Path, tmp_path: Path
) -> None:
    contents = write_pictures("in/a.png", "in/x/b.png")
    styles = write_pictures("styles/one.png", "styles/two.png")
    (tmp_path / "styles" / "bad.png").write_text("no picture")
    keys = {"ckpt": model, "content": tmp_path / "in", "style": tmp_path / "styles", "output_dir": tmp_path / "out"}
    outcome = run_batch(**keys, pairing="grid", alpha="[0.5,1]")
    assert len(outcome.written) == 8 and len(outcome.failed) == 4
    assert all("bad.png" in reason for _, reason in outcome.failed)
    stylizer = Stylizer(load_model(model))
    seen = []
    for content, name in zip(contents, ("a", "x/b"), strict=True):
        for style in styles:
            for alpha in (0.5, 1.0):
                made = np.asarray(Image.open(tmp_path / "out" / name / f"{style.stem}_alpha{alpha:g}.png"))
                assert np.array_equal(made, stylizer(content, style, alpha))
                seen.append(made.tobytes())
    assert len(set(seen)) == 8
    again = run_batch(**keys, pairing="grid", alpha="[0.5,1]")
    assert len(again.skipped) == 8 and again.written == [] and len(again.failed) == 4


def test_zip_paints_each_content_in_its_own_style(write_pictures: Write, model: Path, tmp_path: Path) -> None:
    contents, styles = write_pictures("in/a.png", "in/b.png"), write_pictures("styles/1.png", "styles/2.png")
    keys = {"ckpt": model, "content": tmp_path / "in", "style": tmp_path / "styles", "output_dir": tmp_path / "out"}
    run_batch(**keys, pairing="zip")
    stylizer = Stylizer(load_model(model))
    for content, style in zip(contents, styles, strict=True):
        assert np.array_equal(Image.open(tmp_path / "out" / content.name), stylizer(content, style))
    with pytest.raises(UserError, match="weights mix"):
        run_batch(**keys, pairing="zip", weights="[1,2]")


def test_two_processes_paint_every_picture_once_and_name_the_bad_ones(
    write_pictures: Write, model: Path, tmp_path: Path
) -> None:
    good = write_pictures(*(f"in/{number % 2}/{number}.png" for number in range(5)))  # an odd number, so shares differ
    bad = [tmp_path / "in" / f"bad{number}.jpg" for number in range(2)]
    for path in bad:
        path.write_bytes(good[0].read_bytes()[:200])
    keys = {"ckpt": model, "content": tmp_path / "in", "output_dir": tmp_path / "shared"}
    processes = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    command = [sys.executable, str(STYLIZE), *(f"{key}={value}" for key, value in keys.items()), *processes]
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}  # lines must stay whole even then
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240, env=unbuffered)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "5 written, 0 there already, 2 failed"
    painted = [Path(line.split()[0]) for line in lines[:-1]]
    assert sorted(painted) == sorted(tmp_path / "shared" / path.relative_to(tmp_path / "in") for path in good)
    failures = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 2 and all(any(str(path) in line for line in failures) for path in bad)
    stylize(config(**keys | {"output_dir": tmp_path / "alone"}))
    for path in painted:
        alone = tmp_path / "alone" / path.relative_to(tmp_path / "shared")
        assert np.array_equal(Image.open(path), Image.open(alone))


def test_a_killed_batch_leaves_whole_pictures_and_is_finished_by_a_rerun(
    write_pictures: Write, model: Path, tmp_path: Path
) -> None:
    good = write_pictures(*(f"in/{number % 3}/good{number:02}.png" for number in range(95)))
    bad = [tmp_path / "in" / "1" / f"bad{number}.jpg" for number in range(5)]
    for path in bad:
        path.write_bytes(good[0].read_bytes()[:200])  # cut off
    painted = tmp_path / "painted"
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
