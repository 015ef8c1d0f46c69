"""The scripts as a user runs them: output, exit codes, one line for a mistake, and what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).parent.parent
Write = Callable[..., list[Path]]


def run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_stylize_needs_no_argument_and_writes_a_picture_of_the_content_s_size(tmp_path: Path) -> None:
    done = run("stylize.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("outputs/stylized.png  512×512  ")
    assert Image.open(tmp_path / "outputs" / "stylized.png").size == (512, 512)
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_stylize_takes_a_folder_and_several_styles_and_goes_on_past_a_bad_file(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    (photographs / "more").mkdir(parents=True)
    Image.effect_noise((40, 30), 80).convert("RGB").save(photographs / "a.png")
    Image.effect_noise((24, 33), 80).convert("RGB").save(photographs / "more" / "b.jpg")
    (photographs / "bad.jpg").write_text("no picture")
    styles = ",".join(str(path) for path in sorted((ROOT / "data/samples/style/cubism").glob("*.jpg"))[:2])
    arguments = [f"content={photographs}", f"style=[{styles}]", "weights=[0.7,0.3]", "alpha=0.8", "output_dir=painted"]

    done = run("stylize.py", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert Image.open(tmp_path / "painted" / "a.png").size == (40, 30)
    assert Image.open(tmp_path / "painted" / "more" / "b.png").size == (24, 33)
    assert "bad.jpg" in done.stderr and "Traceback" not in done.stderr
    assert "2 written, 0 there already, 1 failed" in done.stdout

    assert "0 written, 2 there already, 1 failed" in run("stylize.py", *arguments, cwd=tmp_path).stdout


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").mkdir()
    (folder / "text.jpg").write_text("this is no picture\n")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.effect_noise((64, 64), 80).convert("RGB").save(folder / "good.jpg")
    whole = (folder / "good.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    torch.save({"weights": torch.zeros(3)}, folder / "other.ckpt")
    save_file({"weights": torch.zeros(3)}, folder / "other.safetensors")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content={bad}/missing.jpg"], "missing.jpg"),
        (["content={bad}/text.jpg"], "text.jpg"),
        (["content={bad}/truncated.jpg"], "truncated.jpg"),
        (["content={bad}/empty"], "empty"),
        (["content="], "content= is empty"),
        (["style="], "style= is empty"),
        (["content={bad}/dot.png"], "1×1"),
        (["style={bad}/dot.png"], "1×1"),
        (["style={bad}/missing.jpg"], "missing.jpg"),
        (["ckpt={bad}/other.ckpt"], "not a model of nst"),
        (["ckpt={bad}/other.safetensors"], "not a model of nst"),
        (["ckpt={bad}/text.jpg"], "not a model of nst"),
        (["ckpt=vgg99"], "vgg99"),
        (["alpha=2"], "alpha must lie between 0"),
        (["output={bad}/good.xyz"], "xyz"),
        (["output={bad}/text.jpg/out.png"], "text.jpg"),
        (["weights=[1,2,3]"], "one weight a style"),
        (["preserve_color=purple"], "purple"),
        (["device=toaster"], "toaster"),
        (["size=big"], "size=big: give a whole number of at least 2, or null"),
        (["quality=92.5"], "quality=92.5: give a whole number from 1 to 100"),
        (["alpha=null"], "alpha must be a number"),
        (["weights=0.5"], "a list of numbers"),
        (["ckpt=null"], "no model is named"),
        (["content=photo (1).jpg"], """'content="photo (1).jpg"'"""),
        (["content=a,b.jpg"], """'content="a,b.jpg"'"""),
        (["content"], "say KEY=VALUE"),
        (["alpa=2"], "no key 'alpa': did you mean 'alpha'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    bad_files: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run("stylize.py", *(argument.format(bad=bad_files) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert message in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_permission_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = run("stylize.py", f"output={locked}/out.png", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_stps=3", "no key 'trainer.max_stps': did you mean 'max_steps'?"),
        ("loss=gatsy", "Available options in 'loss': adain"),
        ("run_name=${nothing}", "'nothing'"),
        ("optimizer.lr=1e-3,1e-4", "-m"),
    ],
)
def test_what_hydra_refuses_is_one_line_and_exit_code_2(override: str, message: str, tmp_path: Path) -> None:
    done = run("train.py", override, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert message in done.stderr.strip().splitlines()[-1]


def test_a_reader_that_goes_away_ends_a_batch_without_a_traceback(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures(*(f"in/{number}.png" for number in range(6)))
    arguments = f"content=in output_dir=out ckpt=fast style={ROOT}/data/samples/style/cubism"
    command = f"{sys.executable} {ROOT}/scripts/stylize.py {arguments} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("out/0.png") and done.stderr == ""


def test_an_evaluation_that_left_pairs_out_exits_with_1(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("c/a.png", "s/x.png")
    (tmp_path / "c" / "bad.png").write_text("no picture")
    done = run("evaluate.py", "ckpt=null", "content=c", "style=s", "size=32", "output_dir=out", cwd=tmp_path)
    assert done.returncode == 1 and "1 pairs measured, 1 failed" in done.stdout, done.stderr
    assert done.stderr.startswith("failed: bad × x: cannot read c/bad.png") and (tmp_path / "out/results.csv").is_file()


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=1,2"]])
def test_a_run_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path: Path, sweep: list[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run("train.py", *sweep, "output_root=file", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "set output_dir" in done.stderr, done.stderr


def test_train_runs_on_the_samples_and_says_so(tmp_path: Path) -> None:
    sizes = [f"data.{name}=64" for name in ("crop", "content_size", "style_size", "validation_size")]
    small = [*sizes, "data.validation_pairs=2", "data.batch_size=1", "decoder=slim"]
    done = run(
        "train.py", "style=impressionism", "trainer.max_steps=2", "trainer.val_check_interval=2", *small, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in (done.stdout + done.stderr).splitlines() if "data/README.md" in line]
    assert len(said) == 1 and "sample pictures" in said[0]
    assert list(tmp_path.glob("outputs/train/impressionism/*/model.safetensors"))


def test_a_sweep_makes_a_run_for_every_value(tmp_path: Path) -> None:
    sizes = [f"data.{name}=64" for name in ("crop", "content_size", "style_size", "validation_size")]
    small = [*sizes, "data.validation_pairs=1", "data.batch_size=1", "data.workers=0", "decoder=slim"]
    arguments = ["-m", "optimizer.lr=1e-3,1e-4", "trainer.max_steps=1", "trainer.val_check_interval=1", *small]
    done = run("train.py", *arguments, "run_name=sweep", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "outputs" / "train" / "sweep").iterdir()
    for number, rate in enumerate(("0.001", "0.0001")):  # a folder each, even if they start within a second
        run_folder = sweep / str(number)
        assert f"\n  lr: {rate}\n" in (run_folder / "config.yaml").read_text()
        assert (run_folder / "model.safetensors").is_file() and (run_folder / "logs").is_dir()


def test_train_names_the_movements_that_have_pictures(tmp_path: Path) -> None:
    done = run("train.py", "style=baroque", cwd=tmp_path)
    assert done.returncode == 2
    assert "impressionism (" in done.stderr and "baroque" in done.stderr


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import nst", ["torch", "pytorch_lightning", "hydra", "wandb", "gradio"]),
        ("from nst import Stylizer", ["pytorch_lightning", "hydra", "wandb", "gradio", "torchvision"]),
        ("import nst.batch", ["pytorch_lightning", "wandb", "torchvision"]),
    ],
)
def test_imports_stay_light(code: str, absent: list[str]) -> None:
    check = f"{code}; import sys; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
