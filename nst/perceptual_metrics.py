"""LPIPS, FID and ArtFID: through torchmetrics, and only where their weights lie on disk already. Nothing is downloaded."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nst.errors import UserError

if TYPE_CHECKING:
    from torchmetrics.image.fid import FrechetInceptionDistance

ALEXNET = "alexnet-owt-7be5be79.pth"  # torchvision's
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's
ART_INCEPTION = "art_inception.pth"  # of the authors of ArtFID


class PerceptualMetrics:
    """The metrics that need networks of their own.

    ``lpips``    Zhang et al. 2018, AlexNet, of output and content
    ``fid``      Heusel et al. 2017: Fréchet distance of Inception features, outputs against the pairs' styles
    ``art_fid``  ``(1 + LPIPS) · (1 + FID)`` with an Inception trained on art (Wright & Ommer 2022)

    Attributes:
        folder: where the weights are looked for, that of torch.hub (``TORCH_HOME`` moves it).
        missing: what is left out and what it needs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.folder = Path(torch.hub.get_dir()) / "checkpoints"
        self.missing: list[str] = []
        self._lpips: nn.Module | None = None
        self._art_inception: nn.Module | None = None
        self.has_fid = self._has("FID", INCEPTION, package="torch_fidelity")
        if self._has("LPIPS", ALEXNET):
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            self._lpips = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)
        if self._has("ArtFID", ART_INCEPTION) and self._lpips is not None:
            self._art_inception = art_inception(self.folder / ART_INCEPTION).to(device)

    def _has(self, name: str, file: str, package: str | None = None) -> bool:
        wanted = [] if (self.folder / file).is_file() else [file]
        wanted += [f"package {package}"] if package and find_spec(package) is None else []
        if wanted:
            self.missing.append(f"{name} ({' and '.join(wanted)})")
        return not wanted

    @torch.inference_mode()
    def compare(self, output: Tensor, content: Tensor) -> dict[str, float]:
        """Figures of one output, ``(1, 3, H, W)`` RGB in [0, 1] both."""
        if self._lpips is None:
            return {}
        distance = float(self._lpips(output.to(self.device), content.to(self.device)))
        self._lpips.reset()  # type: ignore[operator]
        return {"lpips": distance}

    def distributions(self) -> Distributions:
        """A fresh collector for the outputs of one row."""
        from_inception: dict[str, FrechetInceptionDistance] = {}
        if self.has_fid or self._art_inception is not None:
            from torchmetrics.image.fid import FrechetInceptionDistance

            if self.has_fid:
                path = str(self.folder / INCEPTION)
                fid = FrechetInceptionDistance(normalize=True, feature_extractor_weights_path=path)
                from_inception["fid"] = fid.to(self.device)
            if self._art_inception is not None:
                art = FrechetInceptionDistance(self._art_inception, normalize=True)
                from_inception["art_fid"] = art.to(self.device)
        return Distributions(from_inception)


class Distributions:
    """Inception features of one row's outputs and of the styles they were to look like."""

    def __init__(self, distances: dict[str, FrechetInceptionDistance]) -> None:
        self.distances = distances
        self.count = 0

    @torch.inference_mode()
    def add(self, output: Tensor, style: Tensor) -> None:
        """Both ``(1, 3, H, W)`` RGB in [0, 1]."""
        self.count += 1
        for distance in self.distances.values():
            distance.update(style.to(distance.device), real=True)
            distance.update(output.to(distance.device), real=False)

    def figures(self, lpips: float | None) -> dict[str, float]:
        """``fid`` and ``art_fid`` of all pictures so far; ``lpips`` is their mean. A distribution takes two pictures."""
        if self.count < 2:
            return {}
        values = {name: float(distance.compute()) for name, distance in self.distances.items()}
        if lpips is not None and "art_fid" in values:
            values["art_fid"] = (1 + lpips) * (1 + values["art_fid"])
        return values


def art_inception(path: Path) -> nn.Module:
    """Inception v3 up to its 2048 pooled features with the weights of ArtFID, which are torchvision's but for the heads.

    Raises:
        UserError: the file is something else.
    """
    from torchvision.models import Inception3

    network = Inception3(aux_logits=False, transform_input=False, init_weights=False)
    network.fc = nn.Identity()  # type: ignore[assignment]
    network.num_features = 2048  # type: ignore[assignment]  # spares torchmetrics a trial run
    try:
        missing, _ = network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"), strict=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, TypeError, AttributeError) as error:
        raise UserError(
            f"{str(path)!r} is not a state dict ({type(error).__name__}): delete it or get it again."
        ) from None
    if missing:
        raise UserError(f"{str(path)!r} is not ArtFID's Inception, it lacks {missing[0]!r}: delete it or get it again.")
    return network.eval().requires_grad_(False)
