"""Writing ``.safetensors`` files, all of them or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nst.errors import UserError
from nst.whole_file import written_whole


def write_safetensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str], kind: str) -> Path:
    """Write under a temporary name, then rename: what stood at ``path`` stays until the new file is complete.

    Raises:
        UserError: it cannot be written; the message calls it ``kind``.
    """
    try:
        with written_whole(path) as partial:
            save_file(dict(tensors), partial, dict(metadata))
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{kind} {str(path)!r} cannot be written: {reason}.") from None
    return path
