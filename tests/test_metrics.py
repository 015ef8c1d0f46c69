"""Every figure against an independent computation in numpy, and at its bounds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.models import AlexNet, Inception3

from nst import metrics
from nst.encoders import VGG19
from nst.metrics import CONTENT_LAYERS, STYLE_LAYERS, PairMetrics, PictureFeatures
from nst.perceptual_metrics import ALEXNET, ART_INCEPTION, PerceptualMetrics
from nst.picture_distances import flat_variance
from nst.statistics import Statistics
from nst.vgg_weights import caffe_mean_activations

RNG = np.random.default_rng(0)


def noise(side: int = 48) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8))


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-5, abs=1e-12)


def random_maps(layers: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """Features such as a ReLU gives, of another size at each layer; as tensors and in float64."""
    maps = {name: torch.randn(1, 5 + n, 9 + n, 8).relu() * 100 for n, name in enumerate(layers)}
    return maps, {name: value.double().numpy()[0] for name, value in maps.items()}


def numpy_moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = features.reshape(len(features), -1)
    return flat.mean(axis=1), np.sqrt(flat.var(axis=1, ddof=1) + 1e-5)


def statistics_of(maps: dict[str, Tensor]) -> dict[str, Statistics]:
    return {name: metrics.unbiased_statistics(f) for name, f in maps.items()}


def test_content_distance_is_the_relative_squared_error_of_two_layers() -> None:
    (output, o), (content, c) = random_maps(CONTENT_LAYERS), random_maps(CONTENT_LAYERS)
    expected = np.mean([((o[name] - c[name]) ** 2).sum() / (c[name] ** 2).sum() for name in CONTENT_LAYERS])
    assert metrics.relative_content_distance(output, content) == close(expected)


def test_style_distance_compares_means_and_unbiased_deviations_of_five_layers() -> None:
    (output, o), (style, s) = random_maps(STYLE_LAYERS), random_maps(STYLE_LAYERS)
    terms = []
    for name in STYLE_LAYERS:
        (mean_o, std_o), (mean_s, std_s) = numpy_moments(o[name]), numpy_moments(s[name])
        distance = ((mean_o - mean_s) ** 2).sum() + ((std_o - std_s) ** 2).sum()
        terms.append(distance / ((mean_s**2).sum() + (std_s**2).sum()))
    assert metrics.relative_style_distance(statistics_of(output), statistics_of(style)) == close(np.mean(terms))


def test_gram_distance_is_the_relative_squared_error_of_five_matrices() -> None:
    (output, o), (style, s) = random_maps(STYLE_LAYERS), random_maps(STYLE_LAYERS)
    terms = []
    for name in STYLE_LAYERS:
        gram_o, gram_s = (np.einsum("ihw,jhw->ij", f[name], f[name]) / f[name][0].size for f in (o, s))
        terms.append(((gram_o - gram_s) ** 2).sum() / (gram_s**2).sum())
    grams = [{name: metrics.gram_per_position(f) for name, f in maps.items()} for maps in (output, style)]
    assert metrics.relative_gram_distance(*grams) == close(np.mean(terms))


def test_gram_matrices_of_bfloat16_features_are_right_to_its_precision() -> None:
    features = torch.rand(1, 24, 40, 50).bfloat16()
    values = features[0].double().flatten(1)
    found = metrics.gram_per_position(features)
    assert found.dtype == torch.float32 and found.shape == (1, 24, 24)
    assert torch.allclose(found[0].double(), values @ values.T / 2000, rtol=2**-8)


def test_microast_losses_are_mean_squared_errors_of_activations_divided_by_their_mean() -> None:
    (output, o), (target, t) = random_maps(STYLE_LAYERS), random_maps(STYLE_LAYERS)
    scales = {name: torch.rand(f.shape[1]) + 0.5 for name, f in output.items()}
    m = {name: scale.double().numpy()[:, None, None] for name, scale in scales.items()}
    content = np.mean([((o[name] / m[name] - t[name] / m[name]) ** 2).mean() for name in CONTENT_LAYERS])
    assert metrics.microast_content_loss(output, target, scales) == close(content)
    terms = []
    for name in STYLE_LAYERS:
        (mean_o, std_o), (mean_t, std_t) = numpy_moments(o[name] / m[name]), numpy_moments(t[name] / m[name])
        terms.append(((mean_o - mean_t) ** 2).mean() + ((std_o - std_t) ** 2).mean())
    value = metrics.microast_style_loss(statistics_of(output), statistics_of(target), scales)
    assert value == close(np.mean(terms))


def test_ssim_is_the_mean_over_windows_of_wangs_formula_and_scikit_images() -> None:
    content = RNG.integers(0, 256, (31, 45), dtype=np.uint8)
    output = np.clip(content + RNG.normal(0, 30, content.shape), 0, 255).astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view
    values = []
    for x, y in zip(*(windows(p.astype(float), (7, 7)).reshape(-1, 49) for p in (output, content)), strict=True):
        (xx, xy), (_, yy) = np.cov(x, y)
        c1, c2 = 2.55**2, 7.65**2
        likeness = (2 * x.mean() * y.mean() + c1) * (2 * xy + c2)
        values.append(likeness / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (xx + yy + c2)))
    value = metrics.structural_similarity(torch.from_numpy(output), torch.from_numpy(content))
    assert value == close(np.mean(values))
    assert 0.2 < value < 0.98
    skimage_metrics = pytest.importorskip("skimage.metrics")
    expected = skimage_metrics.structural_similarity(output, content, win_size=7, data_range=255)
    assert value == pytest.approx(expected, abs=1e-5)


def test_projected_quantiles_are_sorted_projections_on_directions_that_never_change() -> None:
    features = torch.randn(1, 5, 8, 8)
    everything = metrics.projected_quantiles(features, projections=3, quantiles=64)
    directions = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).double().numpy()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.sort(directions @ features.double().numpy()[0].reshape(5, -1), axis=1)
    np.testing.assert_allclose(everything, expected, atol=1e-5)
    groups = metrics.projected_quantiles(features, projections=3, quantiles=16)
    np.testing.assert_allclose(groups, expected.reshape(3, 16, 4).mean(axis=2), atol=1e-5)


def test_sliced_wasserstein_distance_is_blind_to_places_but_not_to_correlations() -> None:
    maps = {name: torch.randn(1, 6, 16, 16) for name in STYLE_LAYERS}
    order = torch.randperm(256)
    moved = {name: f.flatten(2)[:, :, order].view_as(f) for name, f in maps.items()}
    # Each channel shuffled by itself: the same means, deviations and histograms, other correlations.
    related = {name: f[:, :1] + 0.1 * f for name, f in maps.items()}
    broken = {
        name: torch.stack([c[torch.randperm(256)] for c in f.flatten(2)[0]])[None].view_as(f)
        for name, f in related.items()
    }

    def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
        quantiles = [{name: metrics.projected_quantiles(f) for name, f in maps.items()} for maps in (a, b)]
        return metrics.sliced_wasserstein_distance(*quantiles)

    assert distance(moved, maps) == pytest.approx(0, abs=1e-10)
    assert distance(broken, related) > 0.05


def test_sliced_wasserstein_distance_is_relative_to_the_style() -> None:
    o = {name: torch.rand(4, 9) for name in STYLE_LAYERS}
    s = {name: torch.rand(4, 9) for name in STYLE_LAYERS}
    terms = [float(((o[n] - s[n]).double() ** 2).sum() / (s[n].double() ** 2).sum()) for n in STYLE_LAYERS]
    assert metrics.sliced_wasserstein_distance(o, s) == close(np.mean(terms))


def test_color_histogram_counts_cells_of_the_cube_and_its_distance_is_hellingers() -> None:
    pictures = RNG.integers(0, 256, (2, 20, 24, 3), dtype=np.uint8)
    pictures[1, :10] //= 3
    bins = [np.arange(0, 257, 32)] * 3
    p, q = (np.histogramdd(picture.reshape(-1, 3), bins)[0] / 480 for picture in pictures)
    o, s = (metrics.color_histogram(torch.from_numpy(picture).permute(2, 0, 1).float() / 255) for picture in pictures)
    np.testing.assert_array_equal(o, p.flatten())
    assert metrics.color_histogram_distance(o, s) == close(math.sqrt(1 - np.sqrt(p * q).sum()))
    red, blue = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).view(2, 3, 1, 1)
    assert metrics.color_histogram_distance(metrics.color_histogram(red), metrics.color_histogram(blue)) == 1


@pytest.fixture(scope="module")
def pair_metrics() -> PairMetrics:
    return PairMetrics()


@pytest.fixture(scope="module")
def pair(pair_metrics: PairMetrics) -> tuple[PictureFeatures, PictureFeatures]:
    return pair_metrics.features(noise()), pair_metrics.features(noise().resize((12, 12)).resize((48, 48)))


def test_the_copied_content_has_no_content_distance(
    pair_metrics: PairMetrics, pair: tuple[PictureFeatures, PictureFeatures]
) -> None:
    content, style = pair
    figures = pair_metrics.compare(content, content, style.without_maps())
    assert [figures[name] for name in ("content", "cfsd", "microast_content")] == [0, 0, 0]
    assert figures["ssim"] == pytest.approx(1, abs=1e-12)
    assert (
        min(figures[name] for name in ("style", "gram", "sliced_wasserstein", "color_histogram", "microast_style"))
        > 0.01
    )


def test_the_copied_style_has_no_style_distance(
    pair_metrics: PairMetrics, pair: tuple[PictureFeatures, PictureFeatures]
) -> None:
    content, style = pair
    figures = pair_metrics.compare(style, content, style.without_maps())
    names = ("style", "gram", "sliced_wasserstein", "microast_style")
    assert [figures[name] for name in names] == [0, 0, 0, 0]
    assert figures["color_histogram"] == pytest.approx(0, abs=1e-7)
    assert figures["content"] > 0.01 and figures["cfsd"] > 0 and figures["ssim"] < 0.9


def test_figures_are_of_the_caffe_network_as_it_was_trained_with_reflection_padding(
    pair_metrics: PairMetrics,
) -> None:
    output, content = noise(), noise()
    network = VGG19(CONTENT_LAYERS, normalized=False, padding="reflect")
    tensors = [torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255 for image in (output, content)]
    with torch.no_grad():
        o, c = ([f.double().numpy() for f in network(tensor)] for tensor in tensors)
    features = pair_metrics.features(content)
    figures = pair_metrics.compare(pair_metrics.features(output), features, features)
    expected = np.mean([((a - b) ** 2).sum() / (b**2).sum() for a, b in zip(o, c, strict=True)])
    assert figures["content"] == pytest.approx(expected, rel=1e-4)
    luma = np.asarray(content.convert("L"))
    np.testing.assert_array_equal(features.luma, luma)
    x = np.asarray(output, dtype=float) / 255
    variation = ((np.diff(x, axis=0) ** 2).sum() + (np.diff(x, axis=1) ** 2).sum()) / x.size
    assert figures["total_variation"] == close(variation)
    assert figures["flat_variance"] == close(float(flat_variance(*tensors)))
    means = [caffe_mean_activations()[name].double().numpy() for name in ("conv4_1", "conv5_1")]
    microast = np.mean([(((a - b) / m[None, :, None, None]) ** 2).mean() for a, b, m in zip(o, c, means, strict=True)])
    assert figures["microast_content"] == pytest.approx(microast, rel=1e-3)


def test_bfloat16_moves_no_figure_by_half_a_percent(pair_metrics: PairMetrics, photographs: list[Tensor]) -> None:
    images = [Image.fromarray((p[0, :, :128, :128] * 255).byte().permute(1, 2, 0).numpy()) for p in photographs]
    exact = pair_metrics.compare(*(pair_metrics.features(image) for image in images))
    faster = PairMetrics(dtype=torch.bfloat16)
    assert faster.compare(*(faster.features(image) for image in images)) == pytest.approx(exact, rel=5e-3)


def test_metrics_without_weights_are_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    perceptual = PerceptualMetrics(torch.device("cpu"))
    assert perceptual.folder == tmp_path / "hub" / "checkpoints"
    assert {line.split()[0] for line in perceptual.missing} == {"FID", "LPIPS", "ArtFID"}
    assert any(ALEXNET in line for line in perceptual.missing)
    pictures = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    distributions = perceptual.distributions()
    distributions.add(*pictures)
    distributions.add(*pictures)
    assert (perceptual.compare(*pictures), distributions.figures(None)) == ({}, {})
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.slow
def test_art_fid_multiplies_lpips_and_the_frechet_distance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    inception = Inception3(init_weights=False).eval()
    torch.save(AlexNet().state_dict(), folder / ALEXNET)
    torch.save(inception.state_dict(), folder / ART_INCEPTION)
    perceptual = PerceptualMetrics(torch.device("cpu"))
    assert [line.split()[0] for line in perceptual.missing] == ["FID"]

    outputs, styles = torch.rand(6, 1, 3, 96, 96), torch.rand(6, 1, 3, 96, 96) * 0.5
    distributions = perceptual.distributions()
    for output, style in zip(outputs, styles, strict=True):
        distributions.add(output, style)
    assert perceptual.compare(outputs[0], outputs[0]) == {"lpips": 0}
    lpips = perceptual.compare(outputs[0], styles[0])["lpips"]
    assert lpips > 0

    inception.fc = torch.nn.Identity()
    with torch.no_grad():
        a, b = (inception(pictures[:, 0]).double().numpy() for pictures in (outputs, styles))
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    root_trace = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    frechet = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum(np.trace(c) for c in covariances) - 2 * root_trace
    assert distributions.figures(lpips)["art_fid"] == pytest.approx((1 + lpips) * (1 + frechet), rel=1e-3)
