"""evaluate on tiny folders: pairs, rows, files and messages."""

from __future__ import annotations

import csv
import json
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
from nst.evaluation import choose_pairs, evaluate, left_out
from nst.evaluation_report import print_table
from nst.evaluation_rows import Source, square
from nst.metrics import PairMetrics
from nst.networks import build
from nst.peak_memory import peak_memory

CONFIGS = Path(__file__).parent.parent / "configs" / "inference"
METRICS = (
    "content", "style", "gram", "ssim", "cfsd", "sliced_wasserstein", "color_histogram", "total_variation",
    "microast_content", "microast_style",
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


def sources(*names: str) -> list[Source]:
    return [Source(Path(name), 64) for name in names]


def test_limit_takes_every_eighth_of_800_pairs() -> None:
    contents, styles = sources(*map(str, range(20))), sources(*map(str, range(40)))
    everything = choose_pairs(contents, styles, None)
    assert everything[:2] == [(contents[0], styles[0]), (contents[0], styles[1])] and len(everything) == 800
    assert choose_pairs(contents, styles, 100) == everything[::8]
    assert choose_pairs(contents, styles, 5000) == everything
    assert len(choose_pairs(contents, styles, 7)) == 7


@pytest.mark.parametrize("limit", [1, 7, 20, 33, 40, 100, 200, 799])
@pytest.mark.parametrize(("rows", "columns"), [(20, 40), (7, 12), (30, 30), (41, 20)])
def test_spread_pairs_meet_every_content_and_style_equally_often(limit: int, rows: int, columns: int) -> None:
    contents, styles = sources(*map(str, range(rows))), sources(*map(str, range(columns)))
    pairs = choose_pairs(contents, styles, limit, "spread")
    assert len(set(pairs)) == len(pairs) == min(limit, rows * columns)
    for kind, pictures in enumerate((contents, styles)):
        times = [sum(pair[kind] == picture for pair in pairs) for picture in pictures]
        assert max(times) - min(times) <= 1
    assert [pair[0] for pair in pairs] == sorted((pair[0] for pair in pairs), key=contents.index)  # read once each


def test_pairs_that_miss_styles_say_so() -> None:
    contents, styles = sources(*map(str, range(20))), sources(*map(str, range(40)))
    strided, spread = (choose_pairs(contents, styles, 100, order) for order in ("strided", "spread"))
    assert left_out(strided, contents, styles) == "100 pairs are of 20 of 20 contents and 5 of 40 styles"
    assert left_out(spread, contents, styles) is None
    assert left_out(choose_pairs(contents, styles, 1), contents, styles) is None


def test_pictures_are_resized_by_their_shorter_side_and_cut_from_the_middle() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 100, 3), dtype=np.uint8))
    expected = image.resize((50, 20), Image.Resampling.LANCZOS).crop((15, 0, 35, 20))
    assert np.array_equal(square(image, 20), expected)


def test_rows_are_the_bounds_then_models_then_a_sweep_over_alpha(
    configure: Callable[..., DictConfig], model: Path, tmp_path: Path
) -> None:
    results = evaluate(configure(f"ckpt={model}", "alpha=[0.0,1.0]"))
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
    own = evaluate(configure(f"ckpt={{mine: {model}}}", "save_pictures=true", "limit=3"))[-1]
    painted = tmp_path / "out" / "mine alpha=1"
    assert {path.name for path in painted.iterdir()} == {"a--x.png", "a--z.png", "b--y.png"}
    finished = evaluate(configure(f"outputs={{again: '{painted}'}}", "limit=3", f"output_dir={tmp_path}/second"))[-1]
    assert finished["row"] == "again" and "milliseconds" not in finished
    assert {name: finished[name] for name in METRICS} == pytest.approx({name: own[name] for name in METRICS})


def test_others_outputs_may_have_other_names_and_formats(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    negative = f"peers={{negative: {__name__}.invert}}"
    own = evaluate(configure(negative, "save_pictures=true", "limit=3"))[-1]
    (tmp_path / "theirs").mkdir()
    for path in (tmp_path / "out" / "negative").iterdir():
        content, style = path.stem.split("--")
        Image.open(path).save(tmp_path / "theirs" / f"{content}_stylized_{style}.webp", lossless=True)
    named = ["output_name='{content}_stylized_{style}'", f"outputs={{theirs: {tmp_path}/theirs}}"]
    finished = evaluate(configure(*named, "limit=3"))[-1]
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
    result = evaluate(configure(f"peers={{negative: {__name__}.invert}}", "limit=2"))[-1]
    assert result["row"] == "negative" and result["ssim"] < 0 and result["milliseconds"] > 0


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
    evaluate(configure("sheet_pairs=0", f"output_dir={tmp_path}/none", "limit=1"))
    assert not (tmp_path / "none" / "sheet.jpg").exists()


def test_a_wide_table_is_turned_rather_than_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"row": f"model {n}", "alpha": 0.5, **dict.fromkeys(METRICS, 0.12345)} for n in range(2)]
    for columns, expected in (("60", 1 + len(METRICS)), ("250", 2)):
        monkeypatch.setenv("COLUMNS", columns)
        print_table(rows, 1)
        printed = capsys.readouterr().out
        assert printed.count("0.1235") == 2 * len(METRICS) and "…" not in printed
        assert sum(line.startswith("│") for line in printed.splitlines()) == expected


def test_peak_memory_sees_what_was_there_for_a_moment() -> None:
    with peak_memory(torch.device("cpu")) as peak:
        torch.ones(64 * 2**20)  # 256 MiB
    if peak.mebibytes is None:
        pytest.skip("this system cannot tell")
    assert 250 < peak.mebibytes < 300


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["size=16"], "size=16 is too small"),
        (["limit=0"], "limit=0"),
        (["limit=abc"], "limit=abc"),
        (["pairs=random"], "pairs='random': choose strided or spread"),
        (["metrics_precision=float8"], "metrics_precision='float8': choose"),
        (["content=/nowhere"], "no such file or folder"),
        (["ckpt=nobody"], "model 'nobody' does not exist"),
        (["outputs={other: /nowhere}"], r"outputs.other: 6 of 6 pictures .* 'a--x'"),
        (["output_name=picture"], "output_name='picture' needs {content} and {style}"),
        (["peers={other: nowhere.at.all}"], "peers.other: 'nowhere.at.all' cannot be imported"),
        (["peers={other: json.nothing}"], "peers.other: 'json.nothing' cannot be imported"),
        (["peers={other: function}"], "peers.other: 'function' cannot be imported"),
        (["ckpt=[vgg19,other/vgg19.ckpt]"], "two models are called 'vgg19'"),
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
