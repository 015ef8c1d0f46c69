"""Small pictures and networks that the tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nst.encoders import VGG19, vgg19_layer_names
from nst.images import read_image, to_tensor

SAMPLE_PHOTOGRAPHS = Path(__file__).parent.parent / "data" / "samples" / "content"
RELU_LAYERS = tuple(name for name in vgg19_layer_names() if name.startswith("relu"))


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def photographs() -> list[Tensor]:
    """Three photographs of scikit-image as they are, ``(1, 3, H, W)`` RGB in [0, 1]."""
    names = ("astronaut", "chelsea", "coffee")
    return [to_tensor(read_image(SAMPLE_PHOTOGRAPHS / f"{name}.jpg"))[None] for name in names]


@pytest.fixture(scope="session")
def vgg() -> VGG19:
    """The whole normalised Caffe network, every ReLU among its layers."""
    return VGG19(RELU_LAYERS)


@pytest.fixture(scope="session")
def raw_vgg() -> VGG19:
    """The whole Caffe network as its authors trained it."""
    return VGG19(RELU_LAYERS, normalized=False)


@pytest.fixture
def tiny_config() -> dict[str, Any]:
    """A plain config of a network small enough for any test: two scales, random encoders, 16 pixels suffice."""
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1"], "weights": "random", "normalized": False}
    return {
        "architecture": "multiscale",
        "content_encoder": dict(encoder),
        "style_encoder": dict(encoder),
        "fusion": {"layers": ["relu1_1", "relu2_1"]},
        "decoder": {"widths": {2: 8, 1: 4}, "depth": 1, "upsampling": "nearest"},
    }


@pytest.fixture
def write_pictures(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes pictures of noise, ``width`` × ``height``, below ``tmp_path``; each name gives its own noise."""

    def write(*names: str, width: int = 40, height: int = 32) -> list[Path]:
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(list(path.name.encode())).integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(noise).save(path)
        return paths

    return write


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """A context in which no file can grow beyond 4 kB: the system refuses the rest, as it does on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows cannot limit file sizes")

    @contextmanager
    def limited() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
