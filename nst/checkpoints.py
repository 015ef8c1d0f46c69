"""Models on disk: bundled names, ``.safetensors`` files, folders that hold one and Lightning checkpoints, all read without
running their code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from nst.base_network import BaseNetwork
from nst.errors import UserError
from nst.networks import build
from nst.safetensors_file import write_safetensors
from nst.vgg_weights import PRETRAINED_FOLDER

FORMAT = "nst-model-1"
MODEL_FILE, CONFIG_FILE = "model.safetensors", "config.json"  # in a folder, as Hugging Face lays models out
State = dict[str, Tensor]


def bundled_models() -> dict[str, Path]:
    """The models that ship with the package, by name: those with a model card."""
    cards = sorted(PRETRAINED_FOLDER.glob("*.md"))
    return {card.stem: card.with_suffix(".safetensors") for card in cards if card.with_suffix(".safetensors").is_file()}


def read_model(source: str | Path) -> tuple[dict[str, Any], State]:
    """A model's config and learned weights.

    Args:
        source: a bundled name, a ``.safetensors`` file of :func:`save_model`, a folder of ``Stylizer.save_pretrained``, or a
            Lightning checkpoint of ``train``.

    Raises:
        UserError: it does not exist or is something else.
    """
    bundled = bundled_models()
    if not source:
        raise UserError(f"no model is named: give a file, a folder or a bundled name ({', '.join(bundled)}).")
    path = bundled.get(str(source), Path(source))
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise UserError(
            f"model {str(source)!r} does not exist: give a file, a folder or a bundled name ({', '.join(bundled)})."
        )
    foreign = _foreign(path)
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise foreign
                return json.loads(metadata["config"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
        config = checkpoint["config"]["model"]
        state = checkpoint.get("averaged_state_dict", checkpoint["state_dict"])
        return config, {name.removeprefix("network."): tensor for name, tensor in state.items()}
    except OSError as error:
        raise UserError(f"model {str(path)!r} cannot be read: {error.strerror or error}.") from None
    except Exception:  # unpickling something else can raise anything
        raise foreign from None


def read_run_config(checkpoint: Path) -> dict[str, Any]:
    """The whole config of the run that wrote a Lightning checkpoint.

    Raises:
        UserError: it is something else.
    """
    try:
        return dict(torch.load(checkpoint, weights_only=True, map_location="cpu")["config"])
    except Exception:  # as above
        raise _foreign(checkpoint) from None


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{str(path)!r} is not a model of nst: give a checkpoint or .safetensors file that train.py wrote."
    )


def _read_folder(folder: Path) -> tuple[dict[str, Any], State]:
    """Weights and config are both in ``model.safetensors``; ``config.json`` repeats the config for the hub and must agree."""
    if missing := [name for name in (MODEL_FILE, CONFIG_FILE) if not (folder / name).is_file()]:
        raise UserError(f"folder {str(folder)!r} is not a model of nst: it has no {missing[0]}, see save_pretrained.")
    config, state = read_model(folder / MODEL_FILE)
    path = folder / CONFIG_FILE
    try:
        described = json.loads(path.read_bytes())["model"]
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{str(path)!r} is not the config of a model of nst: save the model again.") from None
    if described != config:
        raise UserError(f"{str(path)!r} describes another model than {MODEL_FILE}: save the model again.")
    return config, state


def load_model(source: str | Path) -> BaseNetwork:
    """The network of a model on disk, in evaluation mode; see :func:`read_model` for ``source`` and errors."""
    config, state = read_model(source)
    network = build(config)
    network.load_own_state_dict(state)
    return network.eval()


def load_weights(network: BaseNetwork, source: str | Path) -> None:
    """Start a network of the same shape from a model's weights; see :func:`read_model`.

    Encoder layers that the network is to train and the model left as they were installed are in no file: they stay.
    """
    own = network.own_state_dict()
    installed = {name: own[name] for name in own if name.startswith(("content_encoder.", "style_encoder."))}
    network.load_own_state_dict(installed | read_model(source)[1])


def save_model(
    config: Mapping[str, Any], state: Mapping[str, Tensor], path: str | Path, dtype: torch.dtype = torch.float16
) -> Path:
    """Write a model as ``.safetensors`` with its config in the header; float16 halves the file and moves no picture visibly."""
    metadata = {"format": FORMAT, "config": json.dumps(config)}
    stored = {name: tensor.detach().to(dtype).contiguous().cpu() for name, tensor in state.items()}
    return write_safetensors(stored, Path(path), metadata, "model")
