"""scripts/optimize.py's job: files in, a file out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from rich.progress import Progress as Bar

from nst import UserError, optimization_job
from nst.optimization_job import run_optimization

CONFIGS = Path(__file__).parent.parent / "configs" / "inference"


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("optimize", overrides=list(overrides))


def test_a_sample_is_painted_and_intermediate_pictures_are_kept(tmp_path: Path) -> None:
    output = tmp_path / "painted.jpg"
    cfg = config("size=64", "steps=4", "save_every=2", f"output={output}", "loss=gatys")
    assert run_optimization(cfg) == output
    with Image.open(output) as picture:
        assert min(picture.size) == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "painted.jpg", "painted_64px_step00002.jpg", "painted_64px_step00004.jpg",
    ]  # fmt: skip


def test_intermediate_pictures_are_finished_as_the_result_is(tmp_path: Path) -> None:
    content = Image.effect_noise((48, 40), 60).convert("RGB")
    content.putalpha(Image.linear_gradient("L").resize((48, 40)))
    content.save(tmp_path / "content.png")
    keys = ("size=40", "steps=2", "save_every=2", "preserve_color=luminance")
    run_optimization(config(f"content={tmp_path}/content.png", f"output={tmp_path}/o.png", *keys))
    with Image.open(tmp_path / "o.png") as result, Image.open(tmp_path / "o_40px_step00002.png") as same:
        assert result.mode == same.mode == "RGBA" and result.tobytes() == same.tobytes()


def test_a_finished_run_outlives_a_picture_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, steps = ("size=64", "steps=3", f"output={tmp_path}/o.png"), []

    def refuse(*_: object, **__: object) -> None:
        raise UserError("cannot write: no space left")

    with monkeypatch.context() as patched, pytest.raises(UserError, match="no space left"):
        patched.setattr(optimization_job, "write_image", refuse)
        run_optimization(config(*keys))
    assert [path.name for path in tmp_path.iterdir()] == [".o.state"]
    whole = optimization_job.optimize
    monkeypatch.setattr(
        optimization_job,
        "optimize",
        lambda *pictures, **options: whole(*pictures, **(options | {"on_step": lambda p: steps.append(p.step)})),
    )
    run_optimization(config(*keys))
    assert steps == [] and [path.name for path in tmp_path.iterdir()] == ["o.png"]


def test_the_bar_of_a_resumed_run_starts_where_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ("size=64", "scales=2", "loss=adain", f"output={tmp_path}/o.png")
    seen: list[float] = []

    class Watched(Bar):
        def update(self, *given: object, **values: object) -> None:
            super().update(*given, **values)  # type: ignore[arg-type]
            seen.append(self.tasks[0].completed)
            if seen == [1, 2, 3]:  # a step of the second scale
                raise KeyboardInterrupt

    monkeypatch.setattr(optimization_job, "Bar", Watched)
    with pytest.raises(KeyboardInterrupt):
        run_optimization(config(*keys, "steps=2"))
    run_optimization(config(*keys, "steps=2"))
    assert seen == [1, 2, 3, 3, 4]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["output=o/out.xyz"], "unknown suffix '.xyz'"),
        (["quality=200"], "quality=200: give a whole number from 1 to 100"),
        (["quality=abc"], "quality=abc: give a whole number"),
        (["output=."], "cannot write"),
        (["output=folder.png"], "a folder of that name is in the way"),
        (["steps=1.5"], "steps=1.5: give a whole number of at least 1"),
        (["steps=null"], "steps=null: give a whole number"),
        (["size=abc"], "size=abc: give a whole number of at least 32"),
        (["style_size=8"], "style_size=8: give a whole number of at least 16"),
        (["weights=[a]"], r"weights=\['a'\]: give a number of at least 0"),
        (["learning_rate=abc"], "learning_rate=abc: give a number"),
        (["style_weight=abc"], "style_weight=abc: give a number"),
        (["save_every=0"], "save_every=0: give a whole number of at least 1"),
        (["init=null"], "init=null: give one name or path"),
        (["content=[a.png]"], r"content=\['a.png'\]: give one name or path"),
        (["loss=[gatys]"], r"loss=\['gatys'\]: give one name or path"),
        (["style={a: b}"], "style=.*: give a path, or several in brackets"),
        (["masks=[]"], "give a path, or several in brackets"),
        (["loss=adain", "style_weight=7"], "the loss 'adain' has no layers for 'style'"),
        (
            ["loss=gatys", "content_weight=0", "style_weight=0", "total_variation_weight=0"],
            "no term of the loss has a weight above 0",
        ),
    ],
)
def test_mistakes_are_one_line_before_the_first_step(
    overrides: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=said):
        run_optimization(config("size=64", "steps=1", *overrides))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
