"""Models to hand on: a folder in Hugging Face's layout, and its way to and from the hub."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nst.base_network import BaseNetwork
from nst.checkpoints import CONFIG_FILE, FORMAT, MODEL_FILE, bundled_models, read_model, save_model
from nst.errors import UserError
from nst.whole_file import written_whole

CARD_FILE = "README.md"
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # owner/name
ENCODERS = ("content_encoder", "style_encoder")  # parts of a model's config
KNOWN_WEIGHTS = ("caffe", "torchvision", "random")  # of encoders, had everywhere or stored with the model

CARD = """\
---
library_name: nst
pipeline_tag: image-to-image
license: {license}
tags:
- style-transfer
- neural-style-transfer
- arbitrary-style-transfer
---

# {title}

Arbitrary style transfer: any photograph in the manner of any painting, in one forward pass of `nst`.

```python
from nst import Stylizer

stylizer = Stylizer.from_pretrained({source})
stylizer("photo.jpg", "painting.jpg", alpha=0.8).save("painted.png")
```

| | |
|---|---|
| architecture | `{architecture}` |
| encoder of styles | {encoder}, weights: {weights} |
| layers of a StyleCode | {layers} |
| scales with an alpha of their own | {levels} |
| numbers in `model.safetensors` | {count:,} |

{description}
"""


def save_pretrained(
    network: BaseNetwork,
    folder: str | Path,
    *,
    license: str | None = None,
    description: str = "",
    source: str | None = None,
) -> Path:
    """Write a network as ``model.safetensors``, ``config.json`` and ``README.md``, a model card with the hub's front matter.

    Weights are float16 where that loses nothing, else float32: :func:`nst.checkpoints.load_model` of the folder paints the
    same pictures to the byte. Frozen encoder weights that come with an installed package are not in the file.

    Args:
        network: made by :func:`nst.networks.build`, as every loaded or trained one is.
        folder: made where there is none.
        license: the hub's identifier of the licence of the weights (``cc-by-4.0``, ``other``, …); a new card says ``mit``
            without one.
        description: Markdown for the card: what the model was trained on, its figures, its weaknesses. Without one, a card
            that is in the folder already stays as it is.
        source: what the card's example calls the model; by default the folder.

    Returns:
        The folder.

    Raises:
        UserError: the network was made by hand or needs code or files of this machine, the folder cannot be written, or a
            licence is given for a card that stays.
    """
    stays = not description and (Path(folder) / CARD_FILE).exists()
    _require_no_license(license if stays else None)
    if not network.config:
        raise UserError("this network was not made by nst.networks.build, so no config says how to make it again.")
    require_portable(network.config)
    folder, state = Path(folder), network.own_state_dict()
    exact = all(torch.equal(tensor.half().to(tensor.dtype), tensor) for tensor in state.values())
    save_model(network.config, state, folder / MODEL_FILE, torch.float16 if exact else torch.float32)
    config = {"library_name": "nst", "format": FORMAT, "model": network.config}
    _write(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    if not stays:
        _write(folder / CARD_FILE, model_card(network, source or str(folder), license or "mit", description))
    return folder


def model_card(network: BaseNetwork, source: str, license: str, description: str) -> str:
    """The card's text; ``source`` is what ``Stylizer.from_pretrained`` is given in its example."""
    encoder = network.style_encoder.describe()["name"]
    text = CARD.format(
        license=json.dumps(license),  # quoted: valid YAML whatever it holds
        title=Path(source).name,
        source=json.dumps(source),
        architecture=network.config["architecture"],
        encoder=encoder,
        weights=network.style_encoder.weights,
        layers=", ".join(f"`{layer}`" for layer in network.style_layers),
        levels=network.levels,
        count=sum(tensor.numel() for tensor in network.own_state_dict().values()),
        description=description.strip(),
    )
    return text.rstrip() + "\n"


def require_portable(config: Mapping[str, Any]) -> None:
    """Refuse a model whose encoders are code or weights of one machine: it cannot be sent, and is not taken from others.

    Raises:
        UserError: it is such a model.
    """
    for part in ENCODERS:
        encoder = config.get(part) or {}
        name, weights = str(encoder.get("name", "vgg19")), str(encoder.get("weights", "caffe"))
        if "." in name:
            raise UserError(f"models to share have no code of their own: {part} is {name!r}, a class outside of nst.")
        if weights not in KNOWN_WEIGHTS:
            raise UserError(f"models to share need no other file: {part} takes its weights from {weights!r}.")


def located(source: str | Path, revision: str | None = None) -> str | Path:
    """Where :func:`nst.checkpoints.load_model` finds a model: ``source`` itself, or the local copy of a hub's repository.

    Args:
        source: a bundled name, file or folder, or ``owner/name`` on the hub.
        revision: branch, tag or commit on the hub.

    Raises:
        UserError: the hub does not have it, or what it has is not a model of nst.
    """
    here = str(source) in bundled_models() or Path(source).exists()
    if here and revision is not None:
        raise UserError(f"revision is for repositories on the hub: {str(source)!r} is on this machine.")
    if here or not REPOSITORY.fullmatch(str(source)) or Path(source).suffix in (".safetensors", ".ckpt"):
        return source
    return _download(str(source), revision)


def push_to_hub(
    network: BaseNetwork,
    repo_id: str,
    *,
    license: str | None = None,
    description: str = "",
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload a model of nst",
) -> str:
    """Upload what :func:`save_pretrained` writes to Hugging Face's hub, in one commit; the repository is made if need be.

    Args:
        network, license, description: as for :func:`save_pretrained`; a card on the hub stays unless there is a description.
        repo_id: ``owner/name``.
        private: whether a new repository is; by default as its owner has set.
        token: of an account that may write there; by default that of ``hf auth login``.
        commit_message: of the commit.

    Returns:
        The repository's address.

    Raises:
        UserError: huggingface_hub is not installed, the hub refuses, or the model cannot be saved.
    """
    if not REPOSITORY.fullmatch(repo_id):
        raise UserError(f"repo_id={repo_id!r} is not a name on the hub: give owner/name.")
    api = _hub(f"to push to {repo_id!r}").HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(network, folder, license=license, description=description, source=repo_id)
        try:
            address = api.create_repo(repo_id, private=private, exist_ok=True)
            kept = [] if description or not api.file_exists(repo_id, CARD_FILE) else [CARD_FILE]
            _require_no_license(license if kept else None)
            api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message, ignore_patterns=kept)
        except UserError:
            raise
        except Exception as error:  # which one depends on the client's version and its transport
            raise UserError(f"{repo_id!r} could not be pushed: {_first_line(error)}") from None
    return str(address)


def _require_no_license(license: str | None) -> None:
    """Of a model whose card stays as it is: another licence beside it would go unseen."""
    if license is not None:
        raise UserError(
            f"license={license!r} would not get into the {CARD_FILE} that is there already: change it there, or give a "
            "description, which writes a new one."
        )


def _download(repo_id: str, revision: str | None) -> Path:
    """A local copy of the repository's model, from the client's cache where it is there already."""
    hub = _hub(f"{repo_id!r} is no file or folder here; to look for it on Hugging Face's hub")
    try:
        folder = hub.HfApi().snapshot_download(repo_id, revision=revision, allow_patterns=[MODEL_FILE, CONFIG_FILE])
    except Exception as error:  # as above
        at = "" if revision is None else f" at revision {revision!r}"
        raise UserError(
            f"{repo_id!r} is no file or folder here, and the hub gave no model{at}: {_first_line(error)}"
        ) from None
    config, _ = read_model(folder)
    require_portable(config)
    return Path(folder)


def _hub(purpose: str) -> ModuleType:
    """The hub's client, imported only when a repository is named."""
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(f'{purpose}, install its client: pip install -e ".[hub]".') from None
    return huggingface_hub


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    try:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from None
