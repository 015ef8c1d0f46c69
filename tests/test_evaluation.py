"""evaluate on tiny folders: pairs, rows, files and messages."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from nst.checkpoints import save_model
from nst.errors import UserError
from nst.evaluation import evaluate
from nst.evaluation_rows import square
from nst.metrics import PairMetrics, log_self_similarity
from nst.networks import build
from nst.peak_memory import peak_memory
from nst.peers import BUILT_IN, Peer

CONFIGS = Path(__file__).parent.parent / "configs" / "inference"
METRICS = (
    "content", "style", "gram", "ssim", "cfsd", "sliced_wasserstein", "color_histogram", "total_variation",
    "flat_variance", "microast_content", "microast_style",
)  # fmt: skip


def invert(content: Image.Image, style: Image.Image) -> Image.Image:
    """A program such as ``peers`` names: the negative of the content, at another size."""
    assert content.size == style.size == (64, 64)
    return Image.fromarray(255 - np.asarray(content)).resize((80, 80))


@pytest.fixture
def model(tmp_path: Path, tiny_config: dict[str, Any]) -> Path:
    for part in ("content_encoder", "style_encoder"):  # random encoders would be others at each loading
        tiny_config[part]["weights"] = "caffe"
    return save_model(tiny_config, build(tiny_config).own_state_dict(), tmp_path / "tiny.safetensors")


@pytest.fixture
def configure(tmp_path: Path, write_pictures: Callable[..., list[Path]]) -> Callable[..., DictConfig]:
    """The script's config with two contents, three styles and overrides."""
    write_pictures("c/a.png", "c/b.png", width=90, height=70)
    write_pictures("s/x.png", "s/y.png", "s/z.png", width=70, height=90)

    def compose_config(*overrides: str) -> DictConfig:
        defaults = [
            "ckpt=null",
            f"content={tmp_path}/c",
            f"style={tmp_path}/s",
            "size=64",
            f"output_dir={tmp_path}/out",
        ]
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return compose("evaluate", [*defaults, "device=cpu", *overrides])

    return compose_config


def test_pictures_are_resized_by_their_shorter_side_and_cut_from_the_middle() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 100, 3), dtype=np.uint8))
    expected = image.resize((50, 20), Image.Resampling.LANCZOS).crop((15, 0, 35, 20))
    assert np.array_equal(square(image, 20), expected)


def test_rows_are_the_bounds_then_models_then_a_sweep_over_alpha(
    configure: Callable[..., DictConfig], model: Path, tmp_path: Path
) -> None:
    results = evaluate(configure(f"ckpt={model}", "alpha=[0.0,1.0]")).rows
    assert [(row["row"], row["alpha"]) for row in results] == [
        ("content copied", None), ("style copied", None), ("tiny", 0.0), ("tiny", 1.0),
    ]  # fmt: skip
    content, style, reconstruction, stylized = results
    assert content["content"] == content["cfsd"] == 0 and content["ssim"] == pytest.approx(1)
    assert style["style"] == style["gram"] == 0
    assert reconstruction["content"] != stylized["content"]
    assert "milliseconds" not in content and stylized["milliseconds"] > 0

    table = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert [float(row["style"]) for row in table] == [row["style"] for row in results]
    details = json.loads((tmp_path / "out" / "results.json").read_text())
    assert details["rows"] == results and len(details["pairs"]) == 4 * 6
    ssim = [pair["figures"]["ssim"] for pair in details["pairs"] if (pair["row"], pair["alpha"]) == ("tiny", 1.0)]
    assert np.mean(ssim) == pytest.approx(stylized["ssim"])
    lines = (tmp_path / "out" / "results.md").read_text().splitlines()
    assert len(lines) == 6 and f"| {stylized['content']:.4f} |" in lines[-1]


def test_a_folder_of_outputs_gives_the_figures_of_the_model_that_painted_them(
    configure: Callable[..., DictConfig], model: Path, tmp_path: Path
) -> None:
    own = evaluate(configure(f"ckpt={{mine: {model}}}", "save_pictures=true", "limit=3")).rows[-1]
    painted = tmp_path / "out" / "mine alpha=1"
    assert {path.name for path in painted.iterdir()} == {"a--x.png", "a--z.png", "b--y.png"}
    second = [f"output_dir={tmp_path}/second", "save_pictures=true"]
    finished = evaluate(configure(f"outputs={{again: '{painted}'}}", "limit=3", *second)).rows[-1]
    assert finished["row"] == "again" and "milliseconds" not in finished
    assert {name: finished[name] for name in METRICS} == pytest.approx({name: own[name] for name in METRICS})
    assert not [path for path in (tmp_path / "second").iterdir() if path.is_dir()], "only what was painted is saved"


@pytest.mark.parametrize("given", ["{}", "[{}]"])
def test_a_folder_of_outputs_without_a_name_is_called_as_the_folder(
    configure: Callable[..., DictConfig], write_pictures: Callable[..., list[Path]], tmp_path: Path, given: str
) -> None:
    write_pictures("theirs/a--x.png", width=64, height=64)
    assert evaluate(configure(f"outputs={given.format(tmp_path / 'theirs')}", "limit=1")).rows[-1]["row"] == "theirs"


def test_others_outputs_may_have_other_names_and_formats(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    negative = f"peers={{negative: {__name__}.invert}}"
    own = evaluate(configure(negative, "save_pictures=true", "limit=3")).rows[-1]
    (tmp_path / "theirs").mkdir()
    for path in (tmp_path / "out" / "negative").iterdir():
        content, style = path.stem.split("--")
        Image.open(path).save(tmp_path / "theirs" / f"{content}_stylized_{style}.webp", lossless=True)
    named = ["output_name='{content}_stylized_{style}'", f"outputs={{theirs: {tmp_path}/theirs}}"]
    finished = evaluate(configure(*named, "limit=3")).rows[-1]
    assert {name: finished[name] for name in METRICS} == pytest.approx({name: own[name] for name in METRICS})


def test_features_of_a_content_and_a_style_are_computed_once(
    configure: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    features = PairMetrics.features
    monkeypatch.setattr(PairMetrics, "features", lambda self, image: seen.append(image) or features(self, image))
    evaluate(configure(f"peers={{negative: {__name__}.invert}}"))
    assert len(seen) == 2 + 3 + 6, "each content, each style, each pair's output"


def test_the_frontier_is_drawn(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    evaluate(configure("peers=[color-transfer]", "limit=1"))
    assert Image.open(tmp_path / "out" / "frontier.png").width > 500


def test_without_matplotlib_the_frontier_is_left_out_and_a_line_says_so(
    configure: Callable[..., DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("nst.evaluation.can_draw", lambda: False)
    evaluate(configure("limit=1"))
    assert "left out: frontier.png" in capsys.readouterr().out
    assert not (tmp_path / "out" / "frontier.png").exists() and (tmp_path / "out" / "results.csv").exists()


def test_another_program_is_a_row(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    result = evaluate(configure(f"peers={{negative: {__name__}.invert}}", "limit=2")).rows[-1]
    assert result["row"] == "negative" and result["ssim"] < 0 and result["milliseconds"] > 0


def test_one_program_needs_no_list(configure: Callable[..., DictConfig]) -> None:
    assert evaluate(configure("peers=color-transfer", "limit=1")).rows[-1]["row"] == "color-transfer"


def test_the_sheet_shows_content_style_and_outputs_of_the_chosen_pairs(
    configure: Callable[..., DictConfig], tmp_path: Path
) -> None:
    evaluate(configure(f"peers={{negative: {__name__}.invert}}", "sheet_pairs=5"))
    sheet = Image.open(tmp_path / "out" / "sheet.jpg")
    # Three pictures a pair: three pairs in a line, two lines.
    assert sheet.size == (3 * (4 + 3 * 196) + 2 * 24, 24 + 4 + 2 * 196)
    first = np.asarray(square(Image.open(tmp_path / "c" / "a.png"), 64).resize((192, 192)), dtype=float)
    shown = np.asarray(sheet.crop((4, 28, 196, 220)), dtype=float)
    assert np.corrcoef(first.ravel(), shown.ravel())[0, 1] > 0.9
    assert np.asarray(sheet.crop((0, 0, 196, 24))).min() < 100, "no title above the pictures"
    evaluate(configure(f"peers={{negative: {__name__}.invert}}", "sheet_pairs=null"))
    assert Image.open(tmp_path / "out" / "sheet.jpg").size == sheet.size, "all six pairs take two lines too"
    evaluate(configure("sheet_pairs=0", f"output_dir={tmp_path}/none", "limit=1"))
    assert not (tmp_path / "none" / "sheet.jpg").exists()


def test_structure_of_a_content_is_computed_once_although_outputs_are_measured_at_once(
    configure: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def slow(*args: Any) -> torch.Tensor:
        made.append(args)
        time.sleep(0.05)  # time for another thread to begin the same
        return log_self_similarity(*args)

    monkeypatch.setattr("nst.metrics.log_self_similarity", slow)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        evaluate(configure(f"peers={{negative: {__name__}.invert}}"))
    finally:
        torch.set_num_threads(threads)
    assert len(made) == 2 + 2 * 6, "each content; of each pair the copied style and the output"


def test_peak_memory_sees_what_was_there_for_a_moment() -> None:
    with peak_memory(torch.device("cpu")) as peak:
        torch.ones(64 * 2**20)  # 256 MiB
    if peak.mebibytes is None:
        pytest.skip("this system cannot tell")
    assert 250 < peak.mebibytes < 300


@pytest.mark.parametrize("on_gpu", [True, False])
def test_of_work_on_a_gpu_its_memory_is_told_and_else_the_process_s(
    on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 100 * 2**20)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: (103 if on_gpu else 100) * 2**20)
    with peak_memory(torch.device("cuda")) as peak:
        torch.ones(64 * 2**20)  # 256 MiB
    if on_gpu:
        assert peak.mebibytes == 3
    elif peak.mebibytes is None:
        pytest.skip("this system cannot tell")
    else:
        assert 250 < peak.mebibytes < 300


def test_the_memory_of_a_program_in_its_own_process_is_not_known(
    configure: Callable[..., DictConfig], tmp_path: Path
) -> None:
    program = f"{sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1::2])' {{content}} {{style}} {{output}}"
    rows = evaluate(configure(f'peers={{program: "{program}", negative: {__name__}.invert}}', "limit=1")).rows
    own, function = rows[2:]
    if "peak_mib" not in function:
        pytest.skip("this system cannot tell")
    assert "peak_mib" not in own and own["milliseconds"] > 0
    line = (tmp_path / "out" / "results.md").read_text().splitlines()[-2]
    assert line.startswith("| program |") and line.endswith("| – |")
    table = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert table[-2]["peak_mib"] == "" != table[-1]["peak_mib"]


def test_encoding_the_style_is_not_counted_although_a_device_does_it_later(
    configure: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = [0.0]

    def wait(*_: Any) -> None:
        time.sleep(queued[0])
        queued[0] = 0

    def encode(style: Image.Image) -> None:
        queued[0] = 0.3

    def paint(content: Image.Image, style: None) -> Image.Image:
        wait()
        return content

    monkeypatch.setitem(BUILT_IN, "queued", lambda: Peer(paint, encode))
    monkeypatch.setattr("nst.evaluation_bench.wait_for", wait)
    assert evaluate(configure("peers=queued", "limit=1")).rows[-1]["milliseconds"] < 200


def test_the_memory_of_a_picture_shows_although_the_process_keeps_what_others_freed(
    write_pictures: Callable[..., list[Path]], tmp_path: Path
) -> None:
    content, style = write_pictures("c.png", "s.png")
    (tmp_path / "theirs.py").write_text(
        "import torch\ndef large(content, style):\n    torch.ones(100 * 2**20)\n    return content\n"
        "def small(content, style):\n    torch.ones(16 * 2**20)\n    return content\n"
    )
    command = [
        sys.executable,
        str(CONFIGS.parent.parent / "scripts" / "evaluate.py"),
        "ckpt=null",
        "size=32",
        "device=cpu",
    ]
    command += [f"content={content}", f"style={style}", "peers={large: theirs.large, small: theirs.small}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300)
    large, small = json.loads((tmp_path / "outputs" / "evaluate" / "results.json").read_text())["rows"][2:]
    if "peak_mib" not in large:
        pytest.skip("this system cannot tell")
    assert large["peak_mib"] == pytest.approx(400, abs=20) and small["peak_mib"] == pytest.approx(64, abs=10)


def test_memory_is_measured_after_all_timed_pictures(
    configure: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr("nst.evaluation_bench.release_memory", lambda: events.append("release"))
    monkeypatch.setattr(f"{__name__}.invert", lambda content, style: events.append("paint") or content)
    evaluate(configure(f"peers={{negative: {__name__}.invert}}"))
    assert events == ["paint"] * 6 + ["release", "paint"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["size=16"], "size=16: give a whole number of at least 32"),
        (["size=null"], "size=null: give a whole number"),
        (["limit=0"], "limit=0: give a whole number of at least 1, or null"),
        (["limit=abc"], "limit=abc"),
        (["sheet_pairs=-1"], "sheet_pairs=-1"),
        (["alpha=2"], "alpha=2: give a number from 0 to 1"),
        (["alpha=[0.5,half]"], r"alpha=\[0.5, 'half'\]"),
        (["alpha=[1,0.5,1.0]"], "give no alpha twice"),
        (["pairs=random"], "pairs='random': choose strided or spread"),
        (["metrics_precision=float8"], "metrics_precision='float8': choose"),
        (["content=/nowhere"], "no such file or folder"),
        (["ckpt=nobody"], "model 'nobody' does not exist"),
        (["outputs=/nowhere"], r"outputs.nowhere: 6 of 6 pictures"),
        (["outputs=[/there/x,/here/x]"], "two folders are called 'x'"),
        (["outputs={other: /nowhere}"], r"outputs.other: 6 of 6 pictures .* 'a--x'"),
        (["output_name=picture"], "output_name='picture' needs {content} and {style}"),
        (["peers={other: nowhere.at.all}"], "peers.other: 'nowhere.at.all' cannot be imported"),
        (["peers={other: json.nothing}"], "peers.other: 'json.nothing' cannot be imported"),
        (["peers={other: function}"], "peers.other: 'function' cannot be imported"),
        (["ckpt=[vgg19,other/vgg19.ckpt]"], "two models are called 'vgg19'"),
        (['peers={other: "program {content} {style} \'{output}"}'], "peers.other: .* is no command"),
        (["peers={other: 'no-such-program {content} {style} {output}'}"], "there is no program 'no-such-program'"),
        (["output_dir=null"], "output_dir=null: name a folder"),
        (["device=abacus"], "device 'abacus' is not available"),
    ],
)
def test_a_mistake_is_one_line(configure: Callable[..., DictConfig], overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        evaluate(configure(*overrides))
    assert "\n" not in str(error.value)


def test_pictures_of_one_name_are_refused_where_outputs_are_named_after_them(
    configure: Callable[..., DictConfig], write_pictures: Callable[..., list[Path]]
) -> None:
    config = configure("save_pictures=true")
    write_pictures("c/more/a.png")
    with pytest.raises(UserError, match="have one name"):
        evaluate(config)


@pytest.mark.parametrize("name", ["..", ".", "", "../theirs", "a/b", "cp ./{content} {style} {output}"])
def test_saved_pictures_stay_in_the_folder_whatever_a_row_is_called(
    configure: Callable[..., DictConfig], tmp_path: Path, name: str
) -> None:
    config = configure("save_pictures=true")
    config.peers = {name: "color-transfer"}
    with pytest.raises(
        UserError, match=r"save_pictures=true: the row '.* choose one .* as in peers=\{name: …\}"
    ) as error:
        evaluate(config)
    assert repr(name) in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists(), "noticed before anything is made"


def fail_for_the_dark(content: Image.Image, style: Image.Image) -> np.ndarray:
    """A program that cannot paint one of the contents."""
    if np.asarray(content).max() == 0:
        raise ValueError("nothing\nto see")
    return 255 - np.asarray(content)


def test_a_pair_that_fails_is_left_out_of_every_row_and_named(
    configure: Callable[..., DictConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(f"peers={{negative: {__name__}.invert, strict: {__name__}.fail_for_the_dark}}")
    expected = evaluate(config).rows
    capsys.readouterr()
    Image.new("RGB", (70, 70)).save(tmp_path / "c" / "dark.png")
    damaged = tmp_path / "s" / "bad.png"
    damaged.write_bytes((tmp_path / "s" / "x.png").read_bytes()[:2000])
    evaluation = evaluate(config)
    details = json.loads((tmp_path / "out" / "results.json").read_text())
    for row, whole in zip(details["rows"], expected, strict=True):
        assert {name: row[name] for name in METRICS} == pytest.approx({name: whole[name] for name in METRICS})
    assert details["rows"] == evaluation.rows and details["failed"] == evaluation.failed
    assert len(details["pairs"]) == 4 * 6 and len(evaluation.failed) == 3 + 3
    said = capsys.readouterr()
    assert "6 pairs measured, 6 failed" in said.out
    lines = said.err.splitlines()
    assert lines[0].startswith(f"failed: a × bad and 2 more: cannot read {damaged}: ")
    assert lines[1:] == [
        f"failed: dark × x and 2 more: peers.strict: {__name__}.fail_for_the_dark failed with ValueError: nothing to see"
    ]


def test_if_every_pair_fails_that_is_one_line(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    config = configure("content=" + str(tmp_path / "c" / "a.png"))
    (tmp_path / "c" / "a.png").write_text("no picture")
    with pytest.raises(UserError, match="no pair could be measured, 3 failed, the first: cannot read .*a.png"):
        evaluate(config)


def test_a_folder_that_cannot_be_written_is_noticed_before_anything_is_painted(
    configure: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[Image.Image] = []
    monkeypatch.setattr(f"{__name__}.invert", lambda content, style: painted.append(content) or content)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output_dir='.*' cannot be written"):
        evaluate(configure(f"peers={{negative: {__name__}.invert}}", f"output_dir={tmp_path}/file/out"))
    assert not painted
