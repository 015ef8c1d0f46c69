"""The sound of films: packets of the source for another container, copied or coded anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any

from nst.video_reading import decode, read_packets, require_extra

log = logging.getLogger(__name__)
Sound = Callable[[Any, Any], Iterator[Any]]
# By the number of channels, what Opus and AAC can both code: neither takes everything, such as Opus 5.1(side).
LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
LEFT_OUT = "sound track %d of %s is left out: %s"


def sound_as_it_is(source: Any, out: Any) -> Iterator[Any]:
    """Packets of all audio streams of ``source`` for ``out``, as they are where that container takes their codec.

    It may yet refuse them when the first is written: .mp4 takes PCM, but not that of .mkv, which tells no layout.
    """
    return _rising(_carried(source, out, out.supported_codecs))


def sound_coded_anew(source: Any, out: Any) -> Iterator[Any]:
    """Packets of all audio streams of ``source`` for ``out``, coded by Opus (.webm) or AAC."""
    return _rising(_carried(source, out, ()))


def _carried(source: Any, out: Any, copied: Collection[str]) -> Iterator[Any]:
    """Packets of the codecs ``copied`` as they are, the others coded anew; what cannot be decoded is passed over."""
    copies, encoders, heard = {}, {}, set()
    codec = "libopus" if out.format.name == "webm" else "aac"
    for stream in source.streams.audio:
        if stream.codec_context is None:
            log.warning(LEFT_OUT, stream.index, source.name, "its codec is unknown here")
        elif stream.codec_context.codec.canonical_name in copied:
            copies[stream.index] = out.add_stream_from_template(stream)
        else:
            rate = stream.rate if stream.rate in require_extra("av").Codec(codec, "w").audio_rates else 48000
            layout = LAYOUTS[min(stream.channels, len(LAYOUTS)) - 1]
            encoders[stream.index] = out.add_stream(codec, rate=rate, layout=layout)
    for packet in read_packets(source):
        if packet.stream.index in copies:
            packet.stream = copies[packet.stream.index]
            yield packet
        elif packet.stream.index in encoders:
            for frame in decode(packet):
                heard.add(packet.stream.index)
                yield from encoders[packet.stream.index].encode(frame)
    for index, encoder in encoders.items():
        if index not in heard:
            log.warning(LEFT_OUT, index, source.name, "none of it can be decoded")
        yield from encoder.encode()


def _rising(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets that come after the one before of their stream, as containers demand."""
    times: dict[int, int] = {}
    for packet in packets:
        index = packet.stream.index
        if packet.dts is not None and (index not in times or packet.dts > times[index]):
            times[index] = packet.dts
            yield packet
