"""nst: neural style transfer, feed-forward, for any photograph and any painting."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst.errors import UserError
    from nst.image_optimization import optimize
    from nst.style_code import StyleCode
    from nst.stylizer import Stylizer

__all__ = ["StyleCode", "Stylizer", "UserError", "optimize"]
__version__ = "0.1.0"

# Loaded on first use (PEP 562), so that a script's --help or a refused config does not wait for torch.
_HOMES = {
    "StyleCode": "nst.style_code",
    "Stylizer": "nst.stylizer",
    "UserError": "nst.errors",
    "optimize": "nst.image_optimization",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nst' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
