"""export(cfg): a network as an ONNX file that runs without torch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from nst.base_network import BaseNetwork
from nst.checkpoints import load_model
from nst.errors import UserError
from nst.images import crop
from nst.whole_file import written_whole

OPSET = 18


class ExportedNetwork(nn.Module):
    """The graph that is exported: content and style pictures and alpha in, picture out, padding and clamping inside."""

    def __init__(self, network: BaseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, content: Tensor, style: Tensor, alpha: Tensor) -> Tensor:
        """``(1, 3, H, W)`` and ``(1, 3, h, w)`` RGB in [0, 1], ``(1,)`` in [0, 1] → ``(1, 3, H, W)``."""
        size = (content.shape[2], content.shape[3])
        border, multiple = self.network.border, 2 * self.network.stride
        code = self.network.encode_style(style)
        recolored = self.network.recolored(content, code, alpha)
        padded = _pad(_pad(recolored, 2, multiple, border), 3, multiple, border)
        output = self.network.decode(self.network.encode_content(padded), code, alpha)
        return crop(output, size, border).clamp(0, 1)


def _pad(batch: Tensor, dim: int, multiple: int, border: int) -> Tensor:
    """:func:`nst.images.pad_to_multiple` without a decision that depends on the size, which a graph cannot take."""
    length = batch.shape[dim]
    padded = (length + 2 * border + multiple - 1) // multiple * multiple
    position = torch.abs(torch.arange(padded, device=batch.device) - border)
    reflected = torch.minimum(position, 2 * length - 2 - position)
    return batch.index_select(dim, reflected.abs())  # below 0 it comes back from the near side


def export(cfg: DictConfig) -> Path:
    """Write the model of ``cfg.ckpt`` as ONNX to ``cfg.output``: inputs ``content``, ``style`` and ``alpha``, output
    ``stylized``, float32; any height and width of at least 48 pixels.

    Raises:
        UserError: no such model, one with a style pyramid, the extra ``export`` is not installed, or the file cannot be
            written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError('exporting needs onnx and onnxscript: pip install -e ".[export]".') from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    path = Path(cfg.output or "")
    if path.suffix.lower() != ".onnx":
        raise UserError(f"output={cfg.output}: give a name that ends in .onnx.")
    network = load_model(cfg.ckpt)
    if network.pyramid != (1.0,):
        raise UserError(
            f"{cfg.ckpt} looks at styles at several scales (encoder.pyramid), and ONNX has no area resizing of any size: "
            "export a model with pyramid=[1.0]."
        )
    module = ExportedNetwork(network).eval()
    example = (torch.rand(1, 3, 80, 112), torch.rand(1, 3, 96, 64), torch.ones(1))
    height, width = torch.export.Dim("height", min=48, max=65536), torch.export.Dim("width", min=48, max=65536)
    style_height = torch.export.Dim("style_height", min=16, max=65536)
    style_width = torch.export.Dim("style_width", min=16, max=65536)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            input_names=["content", "style", "alpha"],
            output_names=["stylized"],
            dynamic_shapes={
                "content": {2: height, 3: width},
                "style": {2: style_height, 3: style_width},
                "alpha": None,
            },
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    try:
        with written_whole(path) as partial:
            program.save(str(partial))  # type: ignore[union-attr]
    except OSError as error:
        raise UserError(f"ONNX file {str(path)!r} cannot be written: {error.strerror or error}.") from None
    return path
