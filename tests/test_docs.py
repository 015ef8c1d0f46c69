"""Documentation: commands are composed, those that can run offline run, and so does the Python in it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from films import panned, write_film
from hub import LocalHub
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from nst import Stylizer
from nst.batch import report, stylize
from nst.checkpoints import bundled_models
from nst.data.download import prepare_data
from nst.images import IMAGE_SUFFIXES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "data" / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("nst/**/*.md")]
)
SAMPLES = ROOT / "data" / "samples"


def blocks(document: Path, language: str) -> list[str]:
    """The fenced code blocks of a language; ``""`` for those that name none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def commands(program: str) -> list[str]:
    """Every command of the documents that starts a program, without its comment."""
    found = []
    for document in DOCUMENTS:
        for language in ("", "sh", "bash"):
            for block in blocks(document, language):
                for line in block.replace("\\\n", " ").splitlines():
                    found += [part.strip() for part in re.split(r"&&|;", line.split(" #")[0])]
    return list(dict.fromkeys(command for command in found if command.split(" ")[0] == program))


def scripts(*names: str) -> list[str]:
    """Commands that start one of our scripts."""
    return [line for line in commands("python") if Path(line.split()[1]).stem in names]


def composed(command: str) -> DictConfig:
    """The config that a command gives its script; of a sweep, its first run's."""
    _, script, *arguments = shlex.split(command)
    assert (ROOT / script).is_file(), f"{script} does not exist"
    named = re.search(r'config_path="(.*?)", config_name="(.*?)"', (ROOT / script).read_text())
    assert named
    folder, name = (ROOT / "scripts" / named[1]).resolve(), named[2]
    # Alone it stands for what was said before, in a path for the time of a run.
    arguments = [argument.replace("…", "RUN") for argument in arguments if argument != "…"]
    overrides = []
    for override in OverridesParser.create().parse_overrides([one for one in arguments if one != "-m"]):
        if override.is_sweep_override():
            overrides.append(f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}")
        else:
            overrides.append(override.input_line)
    with initialize_config_dir(str(folder), version_base="1.3"):
        return compose(name, overrides)


OURS = [line for line in commands("python") if line.split()[1].startswith("scripts/")]


def test_there_are_commands() -> None:
    assert len(OURS) > 30 and len(scripts("stylize")) > 8


@pytest.mark.parametrize("command", OURS)
def test_a_command_fits_its_script(command: str) -> None:
    plain = OmegaConf.to_container(composed(command), resolve=True)
    assert isinstance(plain, dict)
    for key in re.findall(r"(?:^| )([\w.]+)=", command):  # what was given arrived, under its whole name
        value: object = plain
        for part in key.split("."):
            assert isinstance(value, dict) and part in value or "." not in key, key
            value = value.get(part) if isinstance(value, dict) else value


def overrides_of_tables() -> Iterator[str]:
    """What the first columns of the README's tables of overrides of train.py name."""
    rows = re.findall(
        r"^\| (`.*?`) \|", (ROOT / "README.md").read_text().split("## Train")[1].split("\n## ")[0], re.MULTILINE
    )
    for row in rows:
        yield from re.findall(r"`([^`]+)`", row)


@pytest.mark.parametrize("override", list(overrides_of_tables()))
def test_an_override_of_the_readme_fits_the_training_config(override: str) -> None:
    OmegaConf.to_container(composed(f"python scripts/train.py {override}"), resolve=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not re.match(r"https?://|#", target):
            assert (document.parent / target.split("#")[0]).exists(), target


def test_every_guide_is_listed() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs" / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in ROOT.glob("docs/*.md") if path.name != "README.md")


def test_extras_that_are_installed_exist() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    named = {extra for line in commands("pip") for extra in re.findall(r"\[([\w,]+)\]", line)}
    assert named
    for extra in ",".join(named).split(","):
        assert re.search(rf"^{extra} = \[", text, re.MULTILINE), extra


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the documents' file names exist, small."""
    monkeypatch.chdir(tmp_path)
    photographs = [Image.open(path).convert("RGB").resize((60, 48)) for path in sorted(SAMPLES.glob("content/*.jpg"))]
    paintings = [Image.open(path).convert("RGB").resize((56, 56)) for path in sorted(SAMPLES.glob("style/*/*.jpg"))]
    for index, name in enumerate(("photos/a", "photos/deep/b", "holiday/a", "holiday/b", "photo", "content")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        photographs[index % 4].save(f"{name}.jpg")
    for index, name in enumerate(
        ("painting", "monet", "hokusai", "paintings/Cubism/c", "paintings/Baroque/d", "style")
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        paintings[index].save(f"{name}.jpg")
    for name in ("content/coffee.jpg", "style/pointillism/river_bank.jpg"):
        small = Path("data") / "samples" / name
        small.parent.mkdir(parents=True)
        Image.open(SAMPLES / name).convert("RGB").resize((72, 64)).save(small)
    for name, size in (("photo", (60, 48)), ("painting", (56, 56))):
        labels = Image.new("RGB", size, "red")
        labels.paste("blue", (0, 0, size[0] // 2, size[1]))
        labels.save(f"{name}_labels.png")
    shutil.copy(bundled_models()["vgg19"], "model.safetensors")
    Stylizer.from_pretrained("fast").save_pretrained("my_model")
    write_film(Path("clip.mp4"), panned(3), sound="aac")
    frames = [Image.fromarray(frame) for frame in panned(3)]
    frames[0].save("animation.gif", save_all=True, append_images=frames[1:], duration=40)
    LocalHub(tmp_path / "hub", monkeypatch)
    return tmp_path


@pytest.mark.parametrize("command", [c for c in scripts("stylize") if "=" in c])
def test_a_stylize_command_writes_what_it_names(command: str, workplace: Path) -> None:
    if "monet.style.safetensors" in command:
        Stylizer.from_pretrained("vgg19").encode_style("monet.jpg").save("monet.style.safetensors")
    cfg = composed(command)
    if cfg.get("trainer"):  # in processes of its own, which start the script anew
        _, script, *arguments = shlex.split(command)
        subprocess.run([sys.executable, ROOT / script, *arguments], check=True, timeout=300)
        written = sorted(Path(cfg.output_dir).rglob("*.png"))
    else:
        outcome = stylize(cfg)
        assert report(outcome) == 0
        written = outcome.written
    assert written
    for path in written:
        assert path.is_file() and (cfg.output is None or path == Path(cfg.output))
        if path.suffix in IMAGE_SUFFIXES:
            content = next(Path().glob(f"**/{path.stem}.*"), None) if cfg.output is None else Path(cfg.content)
            assert content is not None and Image.open(path).size == Image.open(content).size


@pytest.mark.parametrize("command", [c for c in scripts("prepare_data") if "check=" in c])
def test_a_check_of_pictures_runs(command: str, workplace: Path) -> None:
    assert prepare_data(composed(command)) == {}


@pytest.fixture
def sets(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workplace with every folder that the documents train on or measure with, six small pictures each."""
    rng = np.random.default_rng(0)
    for folder in ("photos", "PHOTOS", "CONTENT_DIR", "sets/coco/train2017"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for index in range(6):
            Image.fromarray(rng.integers(0, 256, (48, 60, 3), dtype=np.uint8)).save(f"{folder}/photo_{index}.jpg")
    for folder in ("paintings", "PAINTINGS", "STYLE_DIR", "sets/wikiart"):
        Path(folder, "Impressionism").mkdir(parents=True, exist_ok=True)
        for index in range(6):
            noise = rng.integers(0, 256, (56, 56, 3), dtype=np.uint8)
            Image.fromarray(noise).save(f"{folder}/Impressionism/painting_{index}.jpg")
    for run in ("adain/TIME", "frontier/TIME/0", "frontier/TIME/3"):
        Path("outputs/train", run).mkdir(parents=True)
        shutil.copy("model.safetensors", f"outputs/train/{run}")
    Path("FOLDER").mkdir()
    for content in Path("PHOTOS").iterdir():
        for style in Path("PAINTINGS").glob("*/*"):
            shutil.copy(content, Path("FOLDER", f"{content.stem}--{style.stem}.jpg"))
    copy = "from PIL import Image\nimport sys\nImage.open(sys.argv[1]).save(sys.argv[4])"
    Path("their.py").write_text(copy)
    Path("their_package.py").write_text("def stylize(content, style):\n    return content")
    monkeypatch.syspath_prepend(workplace)
    return workplace


# What makes a training of the documents a matter of seconds: one step of small pictures.
SMALL_TRAINING = (
    "trainer.max_steps=1 trainer.val_check_interval=1 trainer.max_time=null trainer.log_every_n_steps=1 data.crop=32 "
    "data.content_size=48 data.style_size=48 data.batch_size=2 data.workers=0 data.validation_pairs=2 "
    "data.validation_size=32 callbacks.progress=null callbacks.last.every_n_train_steps=1 scheduler.warmup_steps=0"
)


def small_training(command: str, *more: str) -> DictConfig:
    return composed(" ".join([command, SMALL_TRAINING, *more]))


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in scripts("train") if "trainer=ddp" not in c])
def test_a_training_command_trains(command: str, sets: Path) -> None:
    from nst.training import train

    assert np.isfinite(train(small_training(command, "ckpt_path=null"))["val/total"])
    if "ckpt_path=last" in command:  # of the run above, which had one step
        train(small_training(command, "trainer.max_steps=2"))
        newest = max(Path("outputs/train").glob("*/*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
        assert torch.load(newest, weights_only=True)["global_step"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", scripts("evaluate"))
def test_an_evaluation_command_measures(command: str, sets: Path) -> None:
    from nst.evaluation import evaluate

    folders = [] if "content=" in command else ["content=PHOTOS", "style=PAINTINGS"]
    results = evaluate(composed(" ".join([command, *folders, "size=64", "limit=2"]))).rows
    assert len(results) > 2 and all(np.isfinite(result["content"]) for result in results)
    assert Path("outputs/evaluate/results.csv").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", scripts("benchmark"))
def test_a_benchmark_command_measures(command: str, sets: Path) -> None:
    from nst.benchmark import benchmark

    small = "sizes=[64] rounds=3 seconds=1 shortest=0 start_up=1 training.batch_size=1 training.crop=32"
    result = benchmark(composed(f"{command} {small}"))
    assert result["pictures"] and result["training"] and result["start_up"]


@pytest.mark.slow
@pytest.mark.parametrize("command", scripts("tune"))
def test_a_tuning_command_searches(command: str, sets: Path) -> None:
    pytest.importorskip("optuna")
    from nst.study import tune

    cfg = small_training(command, "study.trials=1")
    overrides = [*shlex.split(command)[2:], *shlex.split(SMALL_TRAINING)]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        tune(cfg, overrides)
    assert list(Path("outputs").rglob("trials.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("command", scripts("optimize"))
def test_an_optimisation_command_writes_what_it_names(command: str, workplace: Path) -> None:
    from nst.optimization_job import run_optimization

    cfg = composed(f"{command} size=64 steps=2")  # two scales are 32 and 64 pixels
    run_optimization(cfg)
    assert min(Image.open(cfg.output).size) == 64


@pytest.mark.slow
@pytest.mark.parametrize("command", scripts("demo"))
def test_a_page_command_makes_its_page(command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would serve until it is interrupted; tests/test_page.py does that."""
    pytest.importorskip("gradio")
    from nst.page import build

    for variable in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(variable, "")  # build sets them; they are as before after the test
    cfg = composed(command)
    page = build(cfg, workplace / "folder")
    choices = next(block.choices for block in page.blocks.values() if getattr(block, "elem_id", None) == "model")
    assert [name for name, _ in choices] == list(cfg.ckpt or ["fast", "vgg19"])


PYTHON = [(path, code) for path in DOCUMENTS for code in blocks(path, "python")]


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, id=f"{path.stem}-{index}") for index, (path, code) in enumerate(PYTHON) if "onnx" not in code],
)
def test_python_in_the_documents_runs(code: str, workplace: Path) -> None:
    before = set(workplace.rglob("*"))
    exec(compile(code, "document", "exec"), {})
    written = set(workplace.rglob("*")) - before
    assert {path.name for path in written} >= set(re.findall(r'save\("([^"]+)"\)', code))


@pytest.mark.slow
def test_the_guide_to_onnx_runs(workplace: Path) -> None:
    from nst.export import export

    for command in scripts("export"):
        export(composed(command))
    for _, code in PYTHON:
        if "onnx" in code:
            exec(compile(code, "document", "exec"), {})
    expected = np.asarray(
        Stylizer.from_pretrained("vgg19", precision="float32")(
            Image.open("photo.jpg").resize((96, 64)), Image.open("painting.jpg").resize((64, 64))
        ),
        dtype=float,
    )
    assert np.abs(np.asarray(Image.open("painted.png"), dtype=float) - expected).mean() < 1


def test_several_threads_may_share_a_stylizer(workplace: Path) -> None:
    stylizer = Stylizer.from_pretrained("vgg19")
    code = stylizer.encode_style("monet.jpg")
    names = ["photo.jpg", "photos/a.jpg", "photos/deep/b.jpg", "holiday/b.jpg"]
    alone = [np.asarray(stylizer(name, code)) for name in names]
    with ThreadPoolExecutor(max_workers=4) as pool:
        together = list(pool.map(lambda name: np.asarray(stylizer(name, code)), names))
    for first, second in zip(alone, together, strict=True):
        assert np.abs(first.astype(int) - second).max() <= 1
