"""Upsampling decoder: fused features in, picture out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nst.blocks import ResidualBlock, Stage, convolution
from nst.errors import UserError
from nst.modulation import Modulation
from nst.reflection import ReflectionSequential


class _Resize(nn.Module):
    """Interpolation to twice the size, then nothing: the convolution before it has set the width."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return F.interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)


def _resized(mode: str) -> Callable[[int, int, nn.Module], nn.Module]:
    return lambda in_channels, out_channels, activation: ReflectionSequential(
        convolution(in_channels, out_channels), activation, _Resize(mode)
    )


def _transposed(in_channels: int, out_channels: int, activation: nn.Module) -> nn.Module:
    # A kernel of 4 at stride 2 covers every output pixel equally often: no checkerboard from the geometry itself.
    return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1), activation)


def _pixelshuffle(in_channels: int, out_channels: int, activation: nn.Module) -> nn.Module:
    expand = convolution(in_channels, 4 * out_channels)
    # All four sub-pixels start from the same kernel, which is nearest-neighbour upsampling (Aitken et al. 2017).
    expand.weight.data = expand.weight.data[::4].repeat_interleave(4, dim=0)
    return ReflectionSequential(expand, activation, nn.PixelShuffle(2))


UPSAMPLING: dict[str, Callable[[int, int, nn.Module], nn.Module]] = {
    "nearest": _resized("nearest"),
    "bilinear": _resized("bilinear"),
    "transposed": _transposed,
    "pixelshuffle": _pixelshuffle,
}


class Decoder(nn.Module):
    """From the coarsest resolution to the full one; at each, fused features are added and convolved.

    There is no normalisation inside: it would bring droplet artefacts (Karras et al. 2020) and make tiles depend on what
    is in them.

    Args:
        widths: stride → channels at that resolution, from the deepest fused layer's stride down to 1.
        depth: convolutions at each resolution.
        residual_blocks: of two convolutions each (He et al. 2016), at the deepest stride, in place of its plain convolutions; 0
            keeps those. What a style does to large forms is decided there, and a block cannot lose the signal.
        upsampling: ``nearest`` or ``bilinear`` after a convolution, ``transposed``, or ``pixelshuffle``.
        kernel_rank: of the directions in which a style changes the blocks' and stages' kernels (:mod:`nst.blocks`); 0: it does not.

    Attributes:
        places: where a style may modulate, in order: stride, channels and convolutions of each block and of each further stage.

    Raises:
        UserError: an unknown upsampling, a depth below 1, residual blocks or a kernel rank below 0, or strides that are not
            s, s/2, …, 1.
    """

    def __init__(
        self,
        widths: Mapping[int, int],
        depth: int = 2,
        residual_blocks: int = 0,
        upsampling: str = "nearest",
        kernel_rank: int = 0,
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLING:
            raise UserError(f"unknown decoder upsampling {upsampling!r}: choose from {', '.join(UPSAMPLING)}.")
        if depth < 1:
            raise UserError(f"decoder depth must be at least 1: found {depth}.")
        if residual_blocks < 0:
            raise UserError(f"decoder residual_blocks must be at least 0: found {residual_blocks}.")
        if kernel_rank < 0:
            raise UserError(f"kernel_rank must be at least 0: found {kernel_rank}.")
        self.strides = sorted(widths, reverse=True)
        if not widths or self.strides != [2**i for i in reversed(range(len(self.strides)))]:
            raise UserError(f"decoder widths need every stride down to 1 (…, 4, 2, 1): found {self.strides}.")
        deepest = self.strides[0]
        # One position of its stride a convolution: `depth` a stage and one to go up from it; the last at stride 1.
        depths = {stride: depth for stride in self.strides}
        if residual_blocks:
            depths[deepest] = 2 * residual_blocks
        self.margin = sum(stride * (depths[stride] + (stride > 1)) for stride in self.strides) + 1
        self.margin += sum(self.strides[1:]) if upsampling != "nearest" else 0  # these look at a neighbour too
        self.places: list[tuple[int, int, int]] = []
        self.stages = nn.ModuleList()
        self.upsamplers = nn.ModuleList()
        for stride in self.strides:
            width = widths[stride]
            if residual_blocks and stride == deepest:
                stage = nn.ModuleList(ResidualBlock(width, kernel_rank) for _ in range(residual_blocks))
                self.places += [(stride, width, 2)] * residual_blocks
            else:
                stage = Stage(width, depth, kernel_rank)
                self.places.append((stride, width, depth))
            self.stages.append(stage)
            if stride > 1:
                # What the blocks have summed up goes on as it is: a ReLU here died in training.
                linear = residual_blocks and stride == deepest
                activation = nn.Identity() if linear else nn.ReLU(inplace=True)
                self.upsamplers.append(UPSAMPLING[upsampling](width, widths[stride // 2], activation))
        self.to_picture = convolution(widths[1], 3)
        # Start near mid-grey: Gram distances grow with the fourth power of a picture's contrast.
        nn.init.normal_(self.to_picture.weight, std=1e-3)
        nn.init.constant_(self.to_picture.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, fused: Mapping[int, Tensor], modulations: Sequence[Modulation] | None = None) -> Tensor:
        """``(B, 3, H, W)``, not clamped.

        Args:
            fused: stride → ``(B, width, H/stride, W/stride)``.
            modulations: one a place, see ``places``; ``None``: features and kernels stay as they are.
        """
        left = iter(modulations if modulations is not None else [None] * len(self.places))
        x = fused[self.strides[0]]
        for index, stage in enumerate(self.stages):
            stride = self.strides[index]
            if index > 0:
                x = self.upsamplers[index - 1](x)
                x = x + fused[stride] if stride in fused else x
            for part in [stage] if isinstance(stage, Stage) else stage:  # type: ignore[union-attr]
                x = part(x, next(left))
        return self.to_picture(x)
