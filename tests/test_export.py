"""ONNX: the exported graph gives what torch gives, at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf

from nst import Stylizer, UserError
from nst.export import export


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path: Path = export(
        OmegaConf.create({"ckpt": "vgg19", "output": str(tmp_path_factory.mktemp("onnx") / "vgg19.onnx")})
    )
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("size", "alpha"), [((64, 80), 1.0), ((97, 131), 1.0), ((49, 50), 0.4)])
def test_onnxruntime_gives_what_torch_gives(
    session: onnxruntime.InferenceSession, size: tuple[int, int], alpha: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    content, style = torch.rand(1, 3, *size, generator=generator), torch.rand(1, 3, 75, 99, generator=generator)
    expected = Stylizer.from_pretrained("vgg19", precision="float32", device="cpu")(content, style, alpha=alpha)
    inputs = {"content": content.numpy(), "style": style.numpy(), "alpha": np.array([alpha], np.float32)}
    (found,) = session.run(None, inputs)
    assert found.shape == tuple(expected.shape)
    assert -10 * np.log10(((found - expected.numpy()) ** 2).mean()) > 50


def test_another_suffix_is_refused_before_anything_is_traced(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in \.onnx"):
        export(OmegaConf.create({"ckpt": "vgg19", "output": str(tmp_path / "model.png")}))
