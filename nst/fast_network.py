"""FastNetwork: no VGG on the content's path, made for real time on a CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.base_network import BaseNetwork, Region
from nst.blocks import ResidualBlock, StyledConvolution, convolution
from nst.color_transport import ColorMap
from nst.errors import UserError
from nst.fusion import Alpha, adain_affine, alpha_per_level
from nst.modulation import Affine, Modulation, blended, kernel_mixes
from nst.statistics import Statistics
from nst.style_code import StyleCode
from nst.style_mlp import StyleMLP

STRIDES = (1, 2, 4, 8)
CONTRAST = 4.0  # gives pictures a deviation near 1, like features
DEVIATION_OFFSET = math.log(math.expm1(1.0))  # softplus of it is 1: the deviation where the MLP says 0
COLOR_MIXTURES = 6  # entries of a 3×3 matrix off its diagonal
FEATURE_EPSILON = 1e-3  # added to the features' variance: a channel that hardly fires is not scaled up a hundredfold


# Which of a kernel's three taps along a side fall on which pixel before upsampling, for either output position in a pixel.
FOLD = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.0, 0.0, 0.0)), ((0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))


def upsampled_convolution(x: Tensor, layer: nn.Conv2d, fold: Tensor) -> Tensor:
    """``layer(F.interpolate(x, scale_factor=2))`` of a 3×3 convolution, computed before the upsampling.

    Of the three taps along a side two fall on the same pixel of ``x``, so each of the four output positions in a pixel has
    a kernel of sums. A quarter of the work, and the large map of many channels is never made. (Reflection of the upsampled
    map repeats the outermost pixels of ``x``.) ``fold`` is ``FOLD`` as a tensor.
    """
    weight = torch.einsum("oiyx,ahy,bwx->oabihw", layer.weight, fold, fold).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat_interleave(4)
    with torch.autocast(x.device.type, enabled=False):  # which would pad in float32
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.pixel_shuffle(F.conv2d(padded, weight, bias), 2)


class Modulations(NamedTuple):
    """What a style does to a content: the map of its colours, then what it does at each further stride and to each block."""

    colors: ColorMap
    places: list[Modulation]


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
        x = torch.rsub(pictures, -0.5 * CONTRAST, alpha=-CONTRAST)  # CONTRAST · (pictures − ½), in one pass
        for layer in self.halvings:
            x = layer.rectified(x)  # type: ignore[operator]
            features.append(x)
        return features


class FastNetwork(BaseNetwork):
    """Residual bodies at 1/8 and 1/4 resolution, modulated by a StyleCode of VGG-19 statistics.

    A style is encoded through VGG-19 once; from its statistics a small MLP predicts the mean and deviation that the light
    encoder's features are given at each stride (as AdaIN does), a scale and shift for every residual block, and a map of the
    picture's colours, which adds the detail that only full resolution has. Nothing inside is normalised, so tiles need only the
    encoder features' statistics. The last convolutions work at 1/2 and full resolution: a pixel-shuffle output would leave a grid.

    At alpha 0 the features keep their own statistics and the blocks their input: that is trained to reconstruct.

    Args:
        style_encoder: see :class:`BaseNetwork`; its layers are the StyleCode's.
        widths: stride → channels, for strides 2, 4 and 8.
        blocks: stride → residual blocks, for strides 4 and 8.
        hidden: width of the MLP.
        kernel_rank: of the directions in which the MLP changes the kernels of the blocks and at 1/2
            (:class:`nst.blocks.StyledConvolution`); 0: it does not.

    Raises:
        UserError: a stride is missing, another one is named, or a rank is below 0.
    """

    fold: Tensor
    mixtures: Tensor

    def __init__(
        self,
        style_encoder: Mapping[str, Any],
        widths: Mapping[int, int],
        blocks: Mapping[int, int],
        hidden: int = 128,
        kernel_rank: int = 0,
    ) -> None:
        super().__init__(style_encoder)
        widths = {int(stride): int(width) for stride, width in widths.items()}
        blocks = {int(stride): int(count) for stride, count in blocks.items()}
        for name, given, needed in (("widths", widths, STRIDES[1:]), ("blocks", blocks, STRIDES[2:])):
            if set(given) != set(needed):
                raise UserError(f"model {name} must name the strides {', '.join(map(str, needed))}: found {given}.")
        if kernel_rank < 0:
            raise UserError(f"kernel_rank must be at least 0: found {kernel_rank}.")
        self.style_layers = self.style_encoder.layers
        self.levels, self.content_strides = len(STRIDES), STRIDES
        self.light_encoder = _ContentEncoder(widths)
        self.block_strides = [stride for stride in (8, 4) for _ in range(blocks[stride])]  # in the order of their work
        self.bodies = nn.ModuleList(ResidualBlock(widths[stride], kernel_rank) for stride in self.block_strides)
        self.up = nn.ModuleDict({str(stride): convolution(widths[stride], widths[stride // 2]) for stride in (8, 4)})
        self.skips = nn.ModuleDict({str(stride): nn.Conv2d(widths[stride], widths[stride], 1) for stride in (4, 2)})
        self.at_half, self.before_full = (StyledConvolution(widths[2], kernel_rank) for _ in range(2))
        self.to_picture = convolution(widths[2], 3)
        nn.init.normal_(self.to_picture.weight, std=1e-3)

        # What the MLP predicts: deviation and mean a stride, then scale and shift a block, then how colours mix.
        self.sizes = [3, *(widths[stride] for stride in STRIDES[1:])]
        self.sizes += [widths[stride] for stride in self.block_strides]
        # And mixes: of the two kernels at 1/2, then of the two in each block.
        self.rank, self.mixed = kernel_rank, [2 * kernel_rank, 0, 0] + [2 * kernel_rank] * len(self.block_strides)
        affine = 2 * sum(self.sizes) + COLOR_MIXTURES
        channels = self.style_encoder.out_channels
        self.predictor = StyleMLP(self.style_layers, channels, hidden, affine + sum(self.mixed))
        last = self.predictor.last
        last.weight.data[:affine] *= 0.1  # maps start near those of usual pictures
        # Colours start with the mean and deviation of those: (0.5, 0.25).
        last.bias.data[:6] = torch.tensor(3 * [math.log(math.expm1(0.25)) - DEVIATION_OFFSET] + 3 * [0.5])
        # Constants, as buffers: made in the forward pass they would make a GPU wait.
        self.register_buffer("fold", torch.tensor(FOLD), persistent=False)
        off_diagonal = (~torch.eye(3, dtype=torch.bool)).flatten().nonzero()[:, 0]
        self.register_buffer("mixtures", F.one_hot(off_diagonal, 9).view(-1, 3, 3).float(), persistent=False)
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
        return self._decode(features, modulations.places, modulations.colors(features[0]))

    def decode_regions(self, features: Sequence[Tensor], regions: Sequence[Region], alpha: Alpha = 1.0) -> Tensor:
        masks = [region.mask for region in regions]
        maps = [self._modulations(region.style, region.statistics, alpha) for region in regions]
        masks.append((1 - torch.stack(masks).sum(dim=0)).clamp_min(0))  # type: ignore[arg-type]
        maps.append(self._modulations(regions[0].style, regions[0].statistics, 0.0))
        colored = [mask * each.colors(features[0]) for mask, each in zip(masks, maps, strict=True)]  # type: ignore[operator]
        picture = reduce(torch.add, colored)
        places = []
        for index, stride in enumerate([*STRIDES[1:], *self.block_strides]):
            scaled = [F.avg_pool2d(mask, stride) for mask in masks]  # type: ignore[arg-type]
            places.append(blended([each.places[index] for each in maps], scaled))
        return self._decode(features, places, picture)

    def _modulations(self, style: StyleCode, content: Sequence[Statistics], alpha: Alpha) -> Modulations:
        alphas = alpha_per_level(alpha, self.levels)
        with torch.autocast(style.statistics[0].mean.device.type, enabled=False):
            sizes = [size for size in self.sizes for _ in range(2)]
            parts = self.predictor(style).split([*sizes, COLOR_MIXTURES, *self.mixed], dim=1)
            predicted, mixture, mixes = parts[: len(sizes)], parts[len(sizes)], parts[len(sizes) + 1 :]
            maps = []
            for index, (scale, shift) in enumerate(zip(predicted[::2], predicted[1::2], strict=True)):
                if index < len(STRIDES):
                    degree = alphas[index]
                    target = Statistics(shift, F.softplus(scale + DEVIATION_OFFSET))
                    scale, shift = adain_affine(target, self._bounded(content[index]))
                    scale = degree * scale + (1 - degree)
                else:
                    degree = alphas[-2] if self.block_strides[index - len(STRIDES)] == 4 else alphas[-1]
                    scale = 1 + degree * scale
                maps.append((scale, degree * shift, degree))
            colors = self._color_map(*maps[0][:2], alphas[0] * mixture, self._bounded(content[0]))
            places = [
                Modulation(
                    Affine(scale[:, :, None, None], shift[:, :, None, None]),
                    kernel_mixes(mix, self.rank, degree),
                )
                for (scale, shift, degree), mix in zip(maps[1:], mixes, strict=True)
            ]
        return Modulations(colors, places)

    @staticmethod
    def _bounded(content: Statistics) -> Statistics:
        return Statistics(content.mean, (content.std.square() + FEATURE_EPSILON).sqrt())

    def _color_map(self, scale: Tensor, shift: Tensor, mixture: Tensor, content: Statistics) -> ColorMap:
        """AdaIN of the three colours, plus how much of each normalised colour goes into the two others."""
        mixing = torch.einsum("bk,kij->bij", mixture, self.mixtures) / content.std[:, None, :]
        return ColorMap(
            torch.diag_embed(scale) + mixing, (shift - (mixing @ content.mean[:, :, None])[..., 0])[:, :, None]
        )

    def _decode(self, features: Sequence[Tensor], places: Sequence[Modulation], picture: Tensor) -> Tensor:
        half, quarter, eighth = (place.features(level) for place, level in zip(places[:3], features[1:], strict=True))
        steps = list(zip(self.bodies, places[3:], strict=True))
        deep = self.block_strides.count(8)
        x = eighth
        for block, modulation in steps[:deep]:
            x = block(x, modulation)
        x = F.interpolate(self.up["8"].rectified(x), scale_factor=2, mode="nearest")  # type: ignore[operator]
        x = self.skips["4"](quarter).add_(x)
        for block, modulation in steps[deep:]:
            x = block(x, modulation)
        x = F.interpolate(self.up["4"].rectified(x), scale_factor=2, mode="nearest")  # type: ignore[operator]
        first, second = places[0].mixes or (None, None)
        x = self.at_half.rectified(self.skips["2"](half).add_(x), first)
        return upsampled_convolution(self.before_full.rectified(x, second), self.to_picture, self.fold) + picture
