"""ONNX: the exported graph gives what torch gives, at any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf

from nst import Stylizer, UserError
from nst.checkpoints import save_model
from nst.export import _pad, export
from nst.images import pad_to_multiple
from nst.networks import build


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


@pytest.mark.parametrize(("length", "multiple", "border"), [(48, 64, 16), (57, 64, 16), (80, 32, 0), (101, 64, 16)])
def test_a_graph_pads_as_pictures_are_padded(length: int, multiple: int, border: int) -> None:
    """Also where a picture is reflected more than once."""
    batch = torch.arange(float(length)).expand(1, 1, length, length)
    expected, _ = pad_to_multiple(batch, multiple, border)
    assert torch.equal(_pad(_pad(batch, 2, multiple, border), 3, multiple, border), expected)


def test_a_pyramid_is_refused(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    tiny_config["style_encoder"]["pyramid"] = [1.0, 0.5]
    path = save_model(tiny_config, build(tiny_config).state_dict(), tmp_path / "tiny.safetensors")
    with pytest.raises(UserError, match="pyramid"):
        export(OmegaConf.create({"ckpt": str(path), "output": str(tmp_path / "tiny.onnx")}))


def test_another_suffix_is_refused_before_anything_is_traced(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in \.onnx"):
        export(OmegaConf.create({"ckpt": "vgg19", "output": str(tmp_path / "model.png")}))
