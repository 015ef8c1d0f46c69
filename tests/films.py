"""Films for tests, made with PyAV: a view that moves over a photograph, and a tone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from nst import Stylizer
from nst.networks import build

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
SOUND_RATE = 44100


def lively_stylizer(tiny_config: dict[str, Any]) -> Stylizer:
    """A tiny untrained network whose pictures have contrast (those of new networks are nearly grey)."""
    network = build(tiny_config)
    last = [module for module in network.decoder.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    last.weight.data *= 100
    return Stylizer(network, device="cpu", precision="float32")


def panned(count: int, width: int = 64, height: int = 48, step: float = 2.0, name: str = "coffee") -> list[np.ndarray]:
    """Frames ``(H, W, 3)`` of a view that moves to the right by ``step`` pixels a frame."""
    photograph = Image.open(SAMPLES / "content" / f"{name}.jpg").convert("RGB").resize((400, 267))
    views = [(1, 0, 20 + step * index, 0, 1, 60) for index in range(count)]
    size, kind = (width, height), Image.Transform.AFFINE
    return [np.asarray(photograph.transform(size, kind, view, Image.Resampling.BICUBIC)) for view in views]


def write_film(
    path: Path,
    frames: list[np.ndarray],
    rate: int = 25,
    times: list[int] | None = None,
    sound: str | None = None,
    sound_rate: int = SOUND_RATE,
    layout: str = "stereo",
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    **colors: Any,
) -> Path:
    """Write frames, at ``times`` (in 1/rate s) if they are not regular, and a tone of 440 Hz coded by ``sound``."""
    matrix = {5: 5, 6: 5}.get(colors.get("colorspace"), colors.get("colorspace"))  # by the scaler's numbers
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv444p" if video.width % 2 or video.height % 2 else "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        if pixel_aspect:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        for name, value in colors.items():
            setattr(video.codec_context, name, value)
        audio = out.add_stream(sound, rate=sound_rate, layout=layout) if sound else None
        spoken = 0
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels).reformat(
                format=video.pix_fmt, dst_colorspace=matrix, dst_color_range=colors.get("color_range")
            )
            frame.pts, frame.time_base = times[index] if times else index, Fraction(1, rate)
            out.mux(video.encode(frame))
            until = (index + 1) * sound_rate // rate
            while audio is not None and spoken < until:
                count = min(1024, until - spoken)
                tone = 0.3 * np.sin(2 * np.pi * 440 / sound_rate * (spoken + np.arange(count)))
                channels = [tone] * audio.codec_context.channels
                piece = av.AudioFrame.from_ndarray(np.float32(channels), format="fltp", layout=layout)
                piece.rate, piece.pts, piece.time_base = sound_rate, spoken, Fraction(1, sound_rate)
                out.mux(audio.encode(piece))
                spoken += count
        for stream in (video, audio):
            if stream is not None:
                out.mux(stream.encode())
    return path


def damage_sound(path: Path, every: int) -> Path:
    """Overwrite every so many packets of a film's sound."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as film:
        packets = [bytes(packet) for packet in film.demux(audio=0) if packet.size]
    for packet in packets[every - 1 :: every]:
        start = content.index(packet)
        content[start : start + len(packet)] = b"\xff" * len(packet)
    path.write_bytes(content)
    return path


def pictures(path: Path) -> list[np.ndarray]:
    """The frames of a film as a player shows them."""
    with av.open(str(path)) as film:
        return [np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90)) for f in film.decode(video=0)]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    with av.open(str(path)) as film:
        return [frame.pts * frame.time_base for frame in film.decode(video=0)]


def pitch(path: Path) -> float:
    """The loudest frequency at the end of the sound, in Hz, to within 6."""
    with av.open(str(path)) as film:
        rate = film.streams.audio[0].rate
    spectrum = np.abs(np.fft.rfft(samples(path)[0][-8192:]))
    return float(spectrum.argmax() * rate / 8192)


def samples(path: Path) -> np.ndarray:
    """The sound, ``(channels, samples)``."""
    with av.open(str(path)) as film:
        return np.concatenate([frame.to_ndarray() for frame in film.decode(audio=0)], axis=1)
