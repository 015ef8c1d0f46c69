"""FastNetwork: no VGG on the content's path, made for real time on a CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.base_network import BaseNetwork, Region
from nst.color_transport import ColorMap
from nst.errors import UserError
from nst.fusion import Alpha, adain_affine, alpha_per_level
from nst.reflection import ReflectionConv2d
from nst.statistics import Statistics
from nst.style_code import StyleCode

STRIDES = (1, 2, 4, 8)
CONTRAST = 4.0  # gives pictures a deviation near 1, like features
DEVIATION_OFFSET = math.log(math.expm1(1.0))  # softplus of it is 1: the deviation where the MLP says 0
COLOR_MIXTURES = 6  # entries of a 3×3 matrix off its diagonal
FEATURE_EPSILON = 1e-3  # added to the features' variance: a channel that hardly fires is not scaled up a hundredfold


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps or halves the size, He-initialised.

    With reflection padding: zeros tell the network where the border is, and it learned to leave there what the style's
    statistics still lacked, a frame and a blot in a corner of every picture.
    """
    layer = ReflectionConv2d(in_channels, out_channels, kernel_size, padding=1, stride=stride)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def upsampled_convolution(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """``layer(F.interpolate(x, scale_factor=2))`` of a 3×3 convolution, computed before the upsampling.

    Of the three taps along a side two fall on the same pixel of ``x``, so each of the four output positions in a pixel has
    a kernel of sums. A quarter of the work, and the large map of many channels is never made. (Reflection of the upsampled
    map repeats the outermost pixels of ``x``.)
    """
    fold = layer.weight.new_tensor([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
    weight = torch.einsum("oiyx,ahy,bwx->oabihw", layer.weight, fold, fold).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat_interleave(4)
    with torch.autocast(x.device.type, enabled=False):  # which would pad in float32
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.pixel_shuffle(F.conv2d(padded, weight, bias), 2)


class Affine(NamedTuple):
    """``scale · x + shift`` of features, ``(B, C, 1, 1)`` or, where regions differ, ``(1, C, H, W)``."""

    scale: Tensor
    shift: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addcmul(self.shift.to(features.dtype), features, self.scale.to(features.dtype))


class Modulations(NamedTuple):
    """What a style does to a content: the map of its colours, then an affine map a further stride and one a block."""

    colors: ColorMap
    affines: list[Affine]


class _Block(nn.Module):
    """Residual block of two convolutions whose input is scaled and shifted by the style."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = convolution(width, width), convolution(width, width)
        nn.init.zeros_(self.second.weight)  # starts as the identity

    def forward(self, x: Tensor, modulation: Affine) -> Tensor:
        return x + self.second(F.relu(self.first(modulation(x))))


class _ContentEncoder(nn.Module):
    """The picture itself, then one convolution a halving: features at strides 1, 2, 4 and 8."""

    def __init__(self, widths: Mapping[int, int]) -> None:
        super().__init__()
        sizes = (3, widths[2], widths[4], widths[8])
        self.halvings = nn.ModuleList(
            convolution(before, after, kernel_size=4, stride=2) for before, after in pairwise(sizes)
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        features = [pictures]
        x = (pictures - 0.5) * CONTRAST
        for layer in self.halvings:
            x = F.relu(layer(x))
            features.append(x)
        return features


class FastNetwork(BaseNetwork):
    """Residual bodies at 1/8 and 1/4 resolution, modulated by a StyleCode of VGG-19 statistics.

    A style is encoded through VGG-19 once; from its statistics a small MLP predicts the mean and deviation that the light
    encoder's features are given at each stride (as AdaIN does), a scale and shift for every residual block, and a map of the
    picture's colours, which adds the detail that only full resolution has. Nothing inside is normalised, so tiles need only the encoder features' statistics. The
    last convolutions work at 1/2 and full resolution: a pixel-shuffle output would leave a grid.

    At alpha 0 the features keep their own statistics and the blocks their input: that is trained to reconstruct.

    Args:
        style_encoder: see :class:`BaseNetwork`; its layers are the StyleCode's.
        widths: stride → channels, for strides 2, 4 and 8.
        blocks: stride → residual blocks, for strides 4 and 8.
        hidden: width of the MLP.

    Raises:
        UserError: a stride is missing.
    """

    def __init__(
        self,
        style_encoder: Mapping[str, Any],
        widths: Mapping[int, int],
        blocks: Mapping[int, int],
        hidden: int = 128,
    ) -> None:
        super().__init__(style_encoder)
        widths = {int(stride): int(width) for stride, width in widths.items()}
        blocks = {int(stride): int(count) for stride, count in blocks.items()}
        for name, given, needed in (("widths", widths, STRIDES[1:]), ("blocks", blocks, STRIDES[2:])):
            if missing := set(needed) - set(given):
                raise UserError(f"model {name} name nothing for stride {sorted(missing)}: found {given}.")
        self.style_layers = self.style_encoder.layers
        self.levels, self.content_strides = len(STRIDES), STRIDES
        self.light_encoder = _ContentEncoder(widths)
        self.blocks = {stride: blocks[stride] for stride in (8, 4)}
        self.bodies = nn.ModuleList(_Block(widths[stride]) for stride in (8, 4) for _ in range(blocks[stride]))
        self.up = nn.ModuleDict({str(stride): convolution(widths[stride], widths[stride // 2]) for stride in (8, 4)})
        self.skips = nn.ModuleDict({str(stride): nn.Conv2d(widths[stride], widths[stride], 1) for stride in (4, 2)})
        self.at_half, self.before_full = convolution(widths[2], widths[2]), convolution(widths[2], widths[2])
        self.to_picture = convolution(widths[2], 3)
        nn.init.normal_(self.to_picture.weight, std=1e-3)

        # What the MLP predicts: deviation and mean a stride, then scale and shift a block, then how colours mix.
        self.sizes = [3, *(widths[stride] for stride in STRIDES[1:])]
        self.sizes += [widths[stride] for stride in (8, 4) for _ in range(blocks[stride])]
        inputs = 2 * sum(self.style_encoder.out_channels)
        last = nn.Linear(hidden, 2 * sum(self.sizes) + COLOR_MIXTURES)
        nn.init.normal_(last.weight, std=1e-2)
        nn.init.zeros_(last.bias)
        # Colours start with the mean and deviation of usual pictures: (0.5, 0.25).
        last.bias.data[:6] = torch.tensor(3 * [math.log(math.expm1(0.25)) - DEVIATION_OFFSET] + 3 * [0.5])
        self.predictor = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), last)
        encoder = 2 + 4  # a position of its resolution a 3×3 convolution
        body = 8 * (2 * blocks[8] + 1) + 4 * (2 * blocks[4] + 1) + 2 * 2 + 1
        self.margins = (encoder + 8, encoder + 8 + body)

    def encode_content(self, pictures: Tensor) -> list[Tensor]:
        return self.light_encoder(pictures)

    def decode(
        self,
        features: Sequence[Tensor],
        style: StyleCode,
        alpha: Alpha = 1.0,
        content_statistics: Sequence[Statistics] | None = None,
    ) -> Tensor:
        if content_statistics is None:
            content_statistics = self.content_statistics(features)
        modulations = self._modulations(style, content_statistics, alpha)
        return self._decode(features, modulations.affines, modulations.colors(features[0]))

    def decode_regions(self, features: Sequence[Tensor], regions: Sequence[Region], alpha: Alpha = 1.0) -> Tensor:
        masks = [region.mask for region in regions]
        maps = [self._modulations(region.style, region.statistics, alpha) for region in regions]
        masks.append((1 - torch.stack(masks).sum(dim=0)).clamp_min(0))  # type: ignore[arg-type]
        maps.append(self._modulations(regions[0].style, regions[0].statistics, 0.0))
        colored = [mask * each.colors(features[0]) for mask, each in zip(masks, maps, strict=True)]  # type: ignore[operator]
        picture = torch.stack(colored).sum(dim=0)
        sizes = {stride: level.shape[2:] for stride, level in zip(STRIDES, features, strict=True)}
        strides = [*STRIDES[1:], *(stride for stride, count in self.blocks.items() for _ in range(count))]
        blended = []
        for index, stride in enumerate(strides):
            scaled = [F.adaptive_avg_pool2d(mask, sizes[stride]) for mask in masks]  # type: ignore[arg-type]
            pairs = [(mask, each.affines[index]) for mask, each in zip(scaled, maps, strict=True)]
            scale = torch.stack([mask * affine.scale for mask, affine in pairs]).sum(dim=0)
            shift = torch.stack([mask * affine.shift for mask, affine in pairs]).sum(dim=0)
            blended.append(Affine(scale, shift))
        return self._decode(features, blended, picture)

    def _modulations(self, style: StyleCode, content: Sequence[Statistics], alpha: Alpha) -> Modulations:
        alphas = alpha_per_level(alpha, self.levels)
        statistics = [style[layer] for layer in self.style_layers]
        with torch.autocast(statistics[0].mean.device.type, enabled=False):
            # Logarithms: activations span decades, and a style's contrast is a factor.
            known = torch.cat([(value + 0.01).log() for pair in statistics for value in pair], dim=1)
            sizes = [size for size in self.sizes for _ in range(2)]
            *predicted, mixture = self.predictor(known).split([*sizes, COLOR_MIXTURES], dim=1)
            maps = []
            for index, (scale, shift) in enumerate(zip(predicted[::2], predicted[1::2], strict=True)):
                if index < len(STRIDES):
                    target = Statistics(shift, F.softplus(scale + DEVIATION_OFFSET))
                    scale, shift = adain_affine(target, self._bounded(content[index]))
                    degree = alphas[index]
                    scale = degree * scale + (1 - degree)
                else:
                    degree = alphas[-1] if index < len(STRIDES) + self.blocks[8] else alphas[-2]
                    scale = 1 + degree * scale
                maps.append((scale, degree * shift))
            colors = self._color_map(*maps[0], alphas[0] * mixture, self._bounded(content[0]))
        affines = [Affine(scale[:, :, None, None], shift[:, :, None, None]) for scale, shift in maps[1:]]
        return Modulations(colors, affines)

    @staticmethod
    def _bounded(content: Statistics) -> Statistics:
        return Statistics(content.mean, (content.std.square() + FEATURE_EPSILON).sqrt())

    @staticmethod
    def _color_map(scale: Tensor, shift: Tensor, mixture: Tensor, content: Statistics) -> ColorMap:
        """AdaIN of the three colours, plus how much of each normalised colour goes into the two others."""
        places = (~torch.eye(3, dtype=torch.bool, device=mixture.device)).nonzero()
        basis = F.one_hot(3 * places[:, 0] + places[:, 1], 9).view(COLOR_MIXTURES, 3, 3).to(mixture.dtype)
        mixing = torch.einsum("bk,kij->bij", mixture, basis) / content.std[:, None, :]
        return ColorMap(
            torch.diag_embed(scale) + mixing, (shift - (mixing @ content.mean[:, :, None])[..., 0])[:, :, None]
        )

    def _decode(self, features: Sequence[Tensor], affines: Sequence[Affine], picture: Tensor) -> Tensor:
        levels = dict(zip(STRIDES[1:], zip(features[1:], affines, strict=False), strict=True))
        steps = list(zip(self.bodies, affines[len(levels) :], strict=True))
        x = levels[8][1](levels[8][0])
        for block, modulation in steps[: self.blocks[8]]:
            x = block(x, modulation)
        x = F.interpolate(F.relu(self.up["8"](x)), scale_factor=2, mode="nearest")
        x = x + self.skips["4"](levels[4][1](levels[4][0]))
        for block, modulation in steps[self.blocks[8] :]:
            x = block(x, modulation)
        x = F.interpolate(F.relu(self.up["4"](x)), scale_factor=2, mode="nearest")
        x = F.relu(self.at_half(x + self.skips["2"](levels[2][1](levels[2][0]))))
        return upsampled_convolution(F.relu(self.before_full(x)), self.to_picture) + picture
