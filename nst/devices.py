"""Where networks compute, and in which type."""

from __future__ import annotations

import torch

from nst.errors import UserError

PRECISIONS = ("auto", "float32", "bfloat16")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware, several times faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type that convolutions compute in: ``float32``, ``bfloat16``, or ``auto``, bfloat16 where the device is fast at it.

    Raises:
        UserError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision {precision!r}: choose from {', '.join(PRECISIONS)}.")
    fast = precision == "auto" and has_fast_bfloat16(device)
    return torch.bfloat16 if fast or precision == "bfloat16" else torch.float32


def choose_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; by default a GPU where there is one.

    Raises:
        UserError: there is no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"device {str(name)!r} is not available: try device=cpu.") from None
    return device


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was asked for: a GPU works on while Python goes on."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
