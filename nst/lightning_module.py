"""StyleTransferModule: what Lightning needs to train a network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nst.base_network import BaseNetwork
from nst.color_transport import color_statistics
from nst.encoder_contract import Encoder, same_features
from nst.errors import UserError
from nst.fusion import Alpha
from nst.images import crop, pad_to_multiple
from nst.losses import IDENTITY_TERMS, LossFeatures, LossInputs, LossValues, SelectedLossFeatures, StyleTransferLoss
from nst.schedules import schedule_of_run
from nst.statistics import Statistics
from nst.style_code import StyleCode
from nst.weight_penalties import spectral_penalty


class EncodedPictures:
    """A batch of pictures seen by the network's encoders and by the loss network, each at most once.

    While a pretrained encoder is frozen and equal to the loss network, which is the usual case, one pass of the loss
    network serves both.

    Args:
        shared: the encoders (of ``network.encoders``) whose features the loss network's pass gives.
    """

    def __init__(
        self, pictures: Tensor, network: BaseNetwork, loss: StyleTransferLoss, shared: Collection[Encoder]
    ) -> None:
        self.pictures, self._network, self._loss = pictures, network, loss
        self._style_layers = network.style_encoder.layers if network.style_encoder in shared else ()
        fitting = all(side % network.stride == 0 for side in pictures.shape[2:])  # others have to be extended first
        self._content_layers = network.content_layers if fitting and network.content_encoder in shared else ()

    @cached_property
    def _maps(self) -> dict[str, Tensor]:
        with torch.no_grad():
            layers = {*self._loss.layers, *self._style_layers, *self._content_layers}
            return self._loss.network.features(self.pictures, layers)

    @cached_property
    def loss_features(self) -> LossFeatures:
        return self._loss.wrap(self._maps)

    @cached_property
    def content_features(self) -> list[Tensor]:
        if self._content_layers:
            return [self._maps[layer] for layer in self._content_layers]
        extended, _ = pad_to_multiple(self.pictures, self._network.stride, self.border)
        return self._network.encode_content(extended)

    @property
    def border(self) -> int:
        """Pixels by which the content features go beyond the pictures, as when a model is used.

        (None where the loss network's pass gives them: that would be a pass of its own for a thin frame.)
        """
        return 0 if self._content_layers else self._network.border

    @cached_property
    def style_code(self) -> StyleCode:
        if self._style_layers:
            code = self._network.style_code([self._maps[layer] for layer in self._style_layers])
            return replace(code, colors=color_statistics(self.pictures))
        return self._network.encode_style(self.pictures)

    @cached_property
    def content_statistics(self) -> list[Statistics]:
        if self._content_layers and set(self._content_layers) <= set(self._style_layers):
            return [self.style_code[layer] for layer in self._content_layers]
        return self._network.content_statistics(self.content_features)


class StyleTransferModule(pl.LightningModule):
    """Trains a :class:`BaseNetwork` with a :class:`StyleTransferLoss`.

    Args:
        network: what is trained.
        loss: the weighted loss; its VGG-19 never changes.
        optimizer: takes parameter groups, gives an optimizer.
        scheduler: takes the optimizer (and ``total_steps``), gives a schedule that is stepped after every step; or ``None``.
        alpha: degree of stylization in training, see :func:`nst.fusion.alpha_per_level`.
        styles_per_content: styles of its batch that every content is painted in; a picture is encoded once for all of them.
        identity_samples: pictures of each kind a step that are stylized with themselves, for the identity terms; contents at alpha 0
            too.
        spectral_penalty: weight of :func:`nst.weight_penalties.spectral_penalty` on the parts trained from scratch.
        encoder_learning_rate: of the encoder layers from ``trainable_from`` on.
        unfreeze_at: optimiser step from which those layers are trained.
        config: plain values stored in checkpoints; ``config["model"]`` must rebuild the network.
    """

    def __init__(
        self,
        network: BaseNetwork,
        loss: StyleTransferLoss,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        alpha: Alpha = 1.0,
        styles_per_content: int = 1,
        identity_samples: int = 1,
        spectral_penalty: float = 0.0,
        encoder_learning_rate: float = 1e-5,
        unfreeze_at: int = 0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self._optimizer, self._scheduler = optimizer, scheduler
        self.alpha, self.identity_samples = alpha, identity_samples
        self.styles_per_content, self.spectral_penalty = styles_per_content, spectral_penalty
        self.encoder_learning_rate, self.unfreeze_at = encoder_learning_rate, unfreeze_at
        self.config = dict(config or {})
        self.strict_loading = False  # checkpoints leave out the frozen VGG weights

    @cached_property
    def _shared(self) -> list[Encoder]:
        """Encoders that are frozen and equal to the loss network; known only when all weights have been loaded."""
        network = self.network
        return [
            encoder
            for encoder in network.encoders
            if encoder.trainable_from is None
            and same_features(encoder, self.loss.network)
            and (encoder is not network.style_encoder or network.pyramid == (1.0,))
        ]

    def encode(self, pictures: Tensor) -> EncodedPictures:
        return EncodedPictures(pictures, self.network, self.loss, self._shared)

    def stylize_and_measure(
        self, batch: Mapping[str, Tensor], styles_per_content: int = 1
    ) -> tuple[Tensor, LossValues]:
        """Output pictures of a batch of pairs, and the loss.

        Args:
            batch: ``content`` and ``style``, ``(B, 3, H, W)`` each.
            styles_per_content: paint every content in so many of the batch's styles, its own and the next ones.
        """
        content, style = self.encode(batch["content"]), self.encode(batch["style"])
        contents = torch.arange(len(batch["content"]), device=self.device)
        styles = torch.cat([contents.roll(-shift) for shift in range(styles_per_content)])
        contents = contents.repeat(styles_per_content)
        output = self._decode(content, contents, style.style_code[styles], self.alpha)
        features = self._loss_features(output)
        content_target = SelectedLossFeatures(content.loss_features, contents)
        style_target = SelectedLossFeatures(style.loss_features, styles)
        inputs = LossInputs(output, features, content_target, style_target)
        inputs.content = batch["content"][contents]
        if not IDENTITY_TERMS.isdisjoint(self.loss.terms):
            inputs.originals, inputs.reconstructions = self._reconstruct(content, style)
        if "identity_features" in self.loss.terms:
            assert inputs.reconstructions is not None
            kinds = (content.loss_features, content.loss_features, style.loss_features)
            inputs.original_features = self._originals_features(*kinds)
            inputs.reconstruction_features = self._loss_features(inputs.reconstructions)
        return output, self.loss(inputs)

    def _decode(self, content: EncodedPictures, chosen: Tensor | slice, style: StyleCode, alpha: Alpha) -> Tensor:
        """The chosen contents, painted."""
        pictures = self.network.recolored(content.pictures[chosen], style, alpha)
        if self.network.recolor:  # each pair has a content of its own
            content, chosen = EncodedPictures(pictures, self.network, self.loss, ()), slice(None)
        features = [level[chosen] for level in content.content_features]
        statistics = [Statistics(s.mean[chosen], s.std[chosen]) for s in content.content_statistics]
        output = self.network.decode(features, style, alpha, statistics)
        return crop(output, (content.pictures.shape[2], content.pictures.shape[3]), content.border)

    def _loss_features(self, pictures: Tensor) -> LossFeatures:
        return self.loss.wrap(self.loss.network.features(pictures, self.loss.layers))

    def _originals_features(self, *kinds: LossFeatures) -> LossFeatures:
        """Features of the pictures that :meth:`_reconstruct` takes, which are there already."""
        first = slice(0, self.identity_samples)
        maps = {layer: torch.cat([kind.maps[layer][first] for kind in kinds]) for layer in self.loss.layers}
        return LossFeatures(maps, kinds[0].scales)

    def _reconstruct(self, content: EncodedPictures, style: EncodedPictures) -> tuple[Tensor, Tensor]:
        """The first pictures of each kind, and what becomes of them: of content at alpha 0, of both in their own manner."""
        originals, results = [], []
        first = slice(0, self.identity_samples)
        for pictures, alpha in ((content, 0.0), (content, self.alpha), (style, self.alpha)):
            results.append(self._decode(pictures, first, pictures.style_code[first], alpha))
            originals.append(pictures.pictures[first])
        return torch.cat(originals), torch.cat(results)

    def training_step(self, batch: Mapping[str, Tensor], batch_index: int) -> Tensor:
        _, values = self.stylize_and_measure(batch, self.styles_per_content)
        self._log("train", values, len(batch["content"]))
        if not self.spectral_penalty:
            return values.total
        penalty = spectral_penalty(p for module in self.network.own_modules() for p in module.parameters())
        self.log("train/spectral_penalty", penalty.detach(), batch_size=len(batch["content"]))
        return values.total + self.spectral_penalty * penalty

    def validation_step(self, batch: Mapping[str, Tensor], batch_index: int) -> Tensor:
        output, values = self.stylize_and_measure(batch)
        self._log("val", values, len(batch["content"]))
        return output.float().clamp(0, 1)

    def _log(self, stage: str, values: LossValues, batch_size: int) -> None:
        training = stage == "train"
        logged = {f"{stage}/{name}": value.detach() for name, value in values.raw.items()}
        logged |= {f"{stage}/weighted/{name}": value.detach() for name, value in values.weighted.items()}
        self.log(f"{stage}/total", values.total.detach(), prog_bar=True, batch_size=batch_size, sync_dist=not training)
        for name, value in logged.items():
            bar = training and "weighted" not in name
            self.log(name, value, prog_bar=bar, batch_size=batch_size, sync_dist=not training)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Without a gradient the optimizer passes over them. (Were they frozen, DDP would wait for gradients in vain.)
        if self.global_step < self.unfreeze_at:
            for parameter in self._fine_tuned():
                parameter.grad = None

    def _fine_tuned(self) -> list[nn.Parameter]:
        return [parameter for encoder in self.network.encoders for parameter in encoder.trained_parameters()]

    def configure_optimizers(self) -> Any:
        fine_tuned = self._fine_tuned()
        others = [parameter for module in self.network.own_modules() for parameter in module.parameters()]
        groups: list[dict[str, Any]] = [{"params": others}]
        if fine_tuned:
            groups.append({"params": fine_tuned, "lr": self.encoder_learning_rate})
        try:
            optimizer = self._optimizer(groups)
            if self._scheduler is None:
                return optimizer
            schedule = schedule_of_run(self._scheduler, optimizer, self.trainer)
        except (TypeError, ValueError) as error:
            raise UserError(f"optimizer or scheduler does not fit: {error}.") from error
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was learned: the network's own state, and the config that rebuilds it, in plain types."""
        checkpoint["state_dict"] = {f"network.{name}": value for name, value in self.network.own_state_dict().items()}
        checkpoint["config"] = self.config
