"""What is measured of pictures before training: mean activations of encoders on photographs, statistics of styles."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nst.base_network import BaseNetwork
from nst.encoder_contract import Encoder
from nst.losses import StyleTransferLoss
from nst.style_mlp import StyleMLP


@torch.no_grad()
def mean_activations(encoder: Encoder, photographs: Iterable[Tensor]) -> dict[str, Tensor]:
    """The mean over positions and photographs of every filter's activation (Gatys et al. 2016, section 2).

    Args:
        encoder: means it already carries are multiplied back in, so calibrating twice changes nothing.
        photographs: ``(B, 3, H, W)`` batches of RGB in [0, 1]; sizes may differ.

    Returns:
        Layer → ``(C,)`` float32, for each of the encoder's ``normalized_layers``.
    """
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in photographs:
        for layer, activation in encoder.activations(batch).items():
            total = activation.float().mean(dim=(2, 3)).sum(dim=0) * encoder.mean_activation(layer)
            sums[layer] = sums.get(layer, torch.zeros_like(total)) + total
        count += len(batch)
    return {layer: total / count for layer, total in sums.items()}


@torch.no_grad()
def standardize(network: BaseNetwork, styles: Iterable[Tensor]) -> None:
    """Let the MLPs that read styles see these as of mean 0 and deviation 1 (:class:`nst.style_mlp.StyleMLP`).

    Args:
        network: one without such an MLP stays as it is.
        styles: ``(B, 3, H, W)`` batches of RGB in [0, 1].
    """
    readers = [module for module in network.modules() if isinstance(module, StyleMLP)]
    if readers:
        codes = [network.encode_style(batch) for batch in styles]
        for reader in readers:
            reader.standardize(codes)


def calibrate(network: BaseNetwork, loss: StyleTransferLoss, photographs: Iterable[Tensor]) -> None:
    """Normalise every encoder that asks for it and whose mean activations did not come with its weights."""
    encoders = [*network.encoders, loss.network]
    pending = [encoder for encoder in encoders if encoder.needs_calibration]
    if pending:
        batches = list(photographs)
        for encoder in pending:
            encoder.set_mean_activations(mean_activations(encoder, batches))
