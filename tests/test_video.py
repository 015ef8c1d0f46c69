"""Films: what is kept of them, styles over time, and going on after an interruption."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from films import damage_sound, lively_stylizer, panned, pictures, pitch, samples, times, write_film
from hydra import compose, initialize_config_dir
from PIL import Image

from nst import StyleCode, Stylizer, UserError, video_pieces
from nst.batch import stylize
from nst.networks import build
from nst.peak_memory import peak_memory
from nst.video import code_at
from nst.video_reading import read_film


@pytest.fixture
def stylizer(tiny_config: dict[str, Any]) -> Stylizer:
    return lively_stylizer(tiny_config)


@pytest.fixture
def code(stylizer: Stylizer) -> StyleCode:
    return stylizer.encode_style(torch.rand(1, 3, 32, 32))


def interrupt(stylizer: Stylizer, film: Path, code: StyleCode, output: Path, at: int, **options: Any) -> None:
    """Ctrl+C after so many frames."""

    def stop(done: int, total: int | None) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylizer.stylize_video(film, code, output, progress=stop, **options)


def test_a_film_keeps_its_frames_times_size_and_sound_to_the_sample(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "film.mp4", panned(50, 80, 46), sound="aac")
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4")

    with av.open(str(film)) as before, av.open(str(painted)) as after:
        for name in ("width", "height", "average_rate", "time_base", "frames", "duration"):
            assert getattr(before.streams.video[0], name) == getattr(after.streams.video[0], name), name
        packets = [[bytes(p) for p in container.demux(audio=0)] for container in (before, after)]
    assert times(painted) == times(film) and len(times(film)) == 50
    assert packets[0] == packets[1]
    assert np.array_equal(samples(film), samples(painted))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_each_frame_alone_is_the_stylized_frame(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", panned(3))
    painted = pictures(stylizer.stylize_video(film, code, tmp_path / "painted.mkv", steady="off", crf=0))
    for before, after in zip(pictures(film), painted, strict=True):
        expected = stylizer(Image.fromarray(np.ascontiguousarray(before)), code)
        # Half as many colours as pixels are kept: compare brightness.
        difference = np.asarray(expected.convert("L"), float) - np.asarray(Image.fromarray(after).convert("L"), float)
        assert np.abs(difference).mean() < 2


def test_the_fast_network_paints_films_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 2)
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1"], "weights": "random", "normalized": False}
    config = {"architecture": "fast", "style_encoder": encoder, "widths": {2: 8, 4: 8, 8: 8}, "blocks": {4: 1, 8: 1}}
    stylizer = Stylizer(build(config), device="cpu")
    film = write_film(tmp_path / "film.mp4", panned(5))
    style_code = stylizer.encode_style(torch.rand(1, 3, 32, 32))
    whole = stylizer.stylize_video(film, style_code, tmp_path / "whole.mp4")

    interrupt(stylizer, film, style_code, tmp_path / "painted.mp4", at=3)
    assert (tmp_path / ".painted.mp4.parts" / "00000.safetensors").is_file()
    assert stylizer.stylize_video(film, style_code, tmp_path / "painted.mp4").read_bytes() == whole.read_bytes()


def test_irregular_times_are_kept(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", panned(5), times=[0, 1, 4, 5, 9])
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4")
    assert times(painted) == times(film) == [Fraction(t, 25) for t in (0, 1, 4, 5, 9)]


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".webm"])
def test_other_containers_have_the_frames_and_the_sound(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, suffix: str
) -> None:
    film = write_film(tmp_path / "film.mp4", panned(8), sound="aac")
    painted = stylizer.stylize_video(film, code, tmp_path / f"painted{suffix}")
    with av.open(str(painted)) as after:
        assert after.streams.video[0].average_rate == 25
    found = [float(t - times(painted)[0]) for t in times(painted)]
    assert np.allclose(found, [index / 25 for index in range(8)], atol=0.001)  # Matroska counts milliseconds
    assert abs(pitch(painted) - 440) < 6  # WebM takes no AAC: the tone is coded anew, with the other codec's delay


@pytest.mark.parametrize(
    ("coded", "rate", "layout", "suffix", "expected"),
    [
        ("ac3", 48000, "5.1(side)", ".webm", ("opus", 48000, "5.1")),
        ("ac3", 48000, "4.0", ".webm", ("opus", 48000, "quad")),
        ("pcm_u8", 192000, "stereo", ".mp4", ("aac", 48000, "stereo")),  # AAC ends at 96 kHz
        ("pcm_s16le", 44100, "stereo", ".mp4", ("aac", 44100, "stereo")),  # could be copied, but .mkv tells no layout
    ],
)
def test_sound_that_the_codec_or_container_does_not_take_is_fitted_to_it(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path,
    coded: str, rate: int, layout: str, suffix: str, expected: tuple[str, int, str],
) -> None:  # fmt: skip
    film = write_film(tmp_path / "film.mkv", panned(8), sound=coded, sound_rate=rate, layout=layout)
    painted = stylizer.stylize_video(film, code, tmp_path / f"painted{suffix}")
    with av.open(str(painted)) as after:
        audio = after.streams.audio[0]
        assert (audio.codec_context.name, audio.rate, audio.layout.name) == expected
    assert len(times(painted)) == 8 and abs(pitch(painted) - 440) < 6


def test_damaged_sound_is_left_out_and_the_rest_stays_in_time(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path
) -> None:
    film = damage_sound(write_film(tmp_path / "film.mkv", panned(25), sound="aac"), every=5)
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.webm")
    with av.open(str(painted)) as after:
        end = [packet.pts * packet.time_base for packet in after.demux(audio=0) if packet.size][-1]
    assert len(times(painted)) == 25 and abs(end - 1) < 0.05


def test_a_film_whose_sound_cannot_be_carried_over_is_made_without_and_says_so(
    stylizer: Stylizer,
    code: StyleCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("nst.video_sound.LAYOUTS", ["22.2"] * 8)  # Opus takes at most eight channels
    film = write_film(tmp_path / "film.mkv", panned(4), sound="aac")
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.webm")
    with av.open(str(painted)) as after:
        assert not after.streams.audio
    assert len(times(painted)) == 4
    expected = f"{painted} is without sound: {film}'s cannot be carried over (Invalid argument)"
    assert caplog.messages == [expected]


def test_a_sound_track_of_which_nothing_can_be_read_is_left_out(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown, damaged = (write_film(tmp_path / f"{name}.mkv", panned(4), sound="aac") for name in ("a", "b"))
    unknown.write_bytes(unknown.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    damage_sound(damaged, every=1)
    for film in (unknown, damaged):
        assert len(times(stylizer.stylize_video(film, code, tmp_path / "painted.mp4"))) == 4
    assert caplog.messages == [
        f"sound track 1 of {unknown} is left out: its codec is unknown here",
        f"sound track 1 of {damaged} is left out: none of it can be decoded",
    ]


@pytest.mark.parametrize("sound", [None, "aac"])
def test_recordings_joined_byte_by_byte_follow_each_other(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, sound: str | None
) -> None:
    part = write_film(tmp_path / "part.ts", panned(10), sound=sound)
    film = tmp_path / "film.ts"
    film.write_bytes(3 * part.read_bytes())  # the clock starts again twice
    one, three = (stylizer.stylize_video(p, code, p.with_suffix(".mp4"), steady="off") for p in (part, film))
    shown = times(three)
    steps = [after - before for before, after in zip(shown[:-1], shown[1:], strict=True)]
    assert len(shown) == 30
    if sound is None:
        assert set(steps) == {Fraction(1, 25)}
        return
    assert all(Fraction(1, 25) <= step < Fraction(1, 10) for step in steps)  # where the sound is longer, pictures wait

    def delays(path: Path) -> list[Fraction]:
        """Of the sound's start in each part after the pictures'."""
        with av.open(str(path)) as container:
            heard = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
        frames, seen = len(heard) // (len(times(path)) // 10), times(path)
        return [heard[index * frames] - seen[index * 10] for index in range(len(seen) // 10)]

    assert all(abs(delay - delays(one)[0]) < Fraction(1, 100) for delay in delays(three))


def test_frames_of_another_size_are_scaled_to_the_first(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.steady.render", lambda network, picture, *rest: picture)  # paints nothing
    small, large = panned(6), [np.asarray(Image.fromarray(view).resize((128, 96))) for view in panned(6)]
    parts = write_film(tmp_path / "a.ts", small), write_film(tmp_path / "b.ts", large, times=list(range(6, 12)))
    film = tmp_path / "film.ts"
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    painted = pictures(stylizer.stylize_video(film, code, tmp_path / "painted.mp4", crf=0))
    assert len(painted) == 12
    for before, after in zip(2 * small, painted, strict=True):
        assert np.abs(before.astype(float) - after).mean() < 8


def test_a_rotated_film_is_upright(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    frames = panned(3)
    lying = write_film(tmp_path / "lying.mp4", [np.rot90(f, -1).copy() for f in frames], rotation=90)
    assert np.abs(pictures(lying)[0].astype(float) - frames[0]).mean() < 5  # a player shows it upright
    painted = pictures(stylizer.stylize_video(lying, code, tmp_path / "painted.mp4", alpha=0.0, crf=0))
    straight = write_film(tmp_path / "straight.mp4", frames)
    expected = pictures(stylizer.stylize_video(straight, code, tmp_path / "expected.mp4", alpha=0.0, crf=0))
    assert painted[0].shape == (48, 64, 3)
    assert np.abs(painted[0].astype(float) - expected[0]).mean() < 3


@pytest.mark.parametrize(("color_range", "colorspace"), [(1, 1), (2, 1), (1, 6), (2, 6), (1, 5)])
def test_colours_survive_reading_and_writing(
    stylizer: Stylizer,
    code: StyleCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    color_range: int,
    colorspace: int,
) -> None:
    monkeypatch.setattr("nst.steady.render", lambda network, picture, *rest: picture)  # paints nothing
    frames = [np.full((48, 64, 3), color, dtype=np.uint8) for color in ((230, 30, 40), (250, 250, 250), (5, 5, 5))]
    film = write_film(tmp_path / "film.mp4", frames, color_range=color_range, colorspace=colorspace)
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4", steady="off", crf=0)
    for path in (film, painted):
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            assert (context.color_range, context.colorspace) == (color_range, colorspace)
        for frame, expected in zip(pictures(path), frames, strict=True):
            assert np.abs(frame.astype(int) - expected).max() <= 5


def test_a_film_of_rgb_becomes_one_whose_numbers_are_what_its_label_says(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RGB is matrix 0 (ITU-T H.273), and no matrix of what is written."""
    monkeypatch.setattr("nst.steady.render", lambda network, picture, *rest: picture)  # paints nothing
    film = tmp_path / "film.mov"
    with av.open(str(film), "w") as out:
        stream = out.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.colorspace = 64, 48, "rgb24", 0
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), (230, 30, 40), dtype=np.uint8))))
        out.mux(stream.encode())
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4", steady="off", crf=0)
    with av.open(str(painted)) as container:
        assert container.streams.video[0].codec_context.colorspace in (5, 6)
    assert np.abs(pictures(painted)[0].astype(int) - (230, 30, 40)).max() <= 5


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_film_s_length_is_counted_from_its_first_frame(tmp_path: Path, suffix: str) -> None:
    film = write_film(tmp_path / f"film{suffix}", panned(10), times=list(range(50, 60)))
    assert read_film(film).duration == pytest.approx(10 / 25, abs=0.05)


def test_odd_sizes_and_oblong_pixels_are_kept(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", panned(2, 63, 47), pixel_aspect=Fraction(4, 3))
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4")
    with av.open(str(painted)) as after:
        video = after.streams.video[0]
        assert (video.width, video.height, video.sample_aspect_ratio) == (63, 47, Fraction(4, 3))
    smaller = stylizer.stylize_video(film, code, tmp_path / "smaller.mp4", max_size=32)
    assert pictures(smaller)[0].shape == (24, 32, 3)


def test_the_style_changes_over_time(stylizer: Stylizer, tmp_path: Path) -> None:
    codes = [stylizer.encode_style(torch.rand(1, 3, 32, 32) ** power) for power in (1, 3, 9)]
    for progress, expected in ((0, codes[0]), (0.5, codes[1]), (0.75, codes[1].lerp(codes[2], 0.5)), (1, codes[2])):
        found = code_at(codes, progress)
        for layer in found.layers:
            assert torch.allclose(found[layer].mean, expected[layer].mean)

    film = write_film(tmp_path / "film.mp4", [panned(1)[0]] * 5)
    options: dict[str, Any] = {"steady": "off", "crf": 0}
    changing = pictures(
        stylizer.stylize_video(film, [codes[0], codes[2]], tmp_path / "a.mp4", schedule="linear", **options)
    )
    constant = pictures(stylizer.stylize_video(film, codes[0], tmp_path / "b.mp4", **options))
    distances = [np.abs(a.astype(float) - b).mean() for a, b in zip(changing, constant, strict=True)]
    assert distances[0] < 0.5 and distances == sorted(distances) and distances[4] > distances[1] > 0


def test_an_interrupted_run_goes_on_and_makes_the_same_film(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 4)
    film = write_film(tmp_path / "film.mp4", panned(14), sound="aac")
    whole = stylizer.stylize_video(film, code, tmp_path / "whole.mp4")

    def stop(done: int, total: int | None) -> None:
        assert total == 14
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylizer.stylize_video(film, code, tmp_path / "painted.mp4", progress=stop)
    assert not (tmp_path / "painted.mp4").exists()
    assert len(list((tmp_path / ".painted.mp4.parts").glob("*.safetensors"))) == 2

    counted = []
    encode = type(stylizer.network).encode_content
    monkeypatch.setattr(
        type(stylizer.network), "encode_content", lambda *arguments: counted.append(1) or encode(*arguments)
    )
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4")
    assert len(counted) == 14 - 8  # frames of finished pieces are not painted again
    assert painted.read_bytes() == whole.read_bytes()
    assert not (tmp_path / ".painted.mp4.parts").exists()


def test_pieces_of_another_job_are_not_used(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 2)
    film = write_film(tmp_path / "film.mp4", panned(5))

    interrupt(stylizer, film, code, tmp_path / "painted.mp4", at=4)
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4", alpha=0.5)
    fresh = stylizer.stylize_video(film, code, tmp_path / "fresh.mp4", alpha=0.5)
    assert painted.read_bytes() == fresh.read_bytes()


def test_a_refused_call_leaves_the_pieces_of_an_interrupted_one(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 2)
    film = write_film(tmp_path / "film.mp4", panned(5))

    interrupt(stylizer, film, code, tmp_path / "painted.mp4", at=4)
    pieces = {path.name: path.read_bytes() for path in (tmp_path / ".painted.mp4.parts").iterdir()}
    for wrong in ({"tile": 10}, {"weights": [0]}, {"size": 1}):
        with pytest.raises(UserError):
            stylizer.stylize_video(film, code, tmp_path / "painted.mp4", **wrong)
        with pytest.raises(UserError):
            stylizer.stylize_video(film, code, tmp_path / "other.mp4", **wrong)
    assert {path.name: path.read_bytes() for path in (tmp_path / ".painted.mp4.parts").iterdir()} == pieces
    assert not (tmp_path / ".other.mp4.parts").exists()


def test_pieces_in_the_same_style_without_its_colours_are_not_used(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 2)
    film = write_film(tmp_path / "film.mp4", panned(4))

    interrupt(stylizer, film, replace(code, colors=None), tmp_path / "painted.mp4", at=3)
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4")
    fresh = stylizer.stylize_video(film, code, tmp_path / "fresh.mp4")
    assert painted.read_bytes() == fresh.read_bytes()


def test_pieces_with_another_picture_under_the_mask_s_name_are_not_used(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_pieces, "PIECE_FRAMES", 2)
    film, mask = write_film(tmp_path / "film.mp4", panned(4)), tmp_path / "mask.png"
    left, right = (np.zeros((48, 64), np.uint8) for _ in range(2))
    left[:, :32] = right[:, 32:] = 255

    Image.fromarray(left).save(mask)
    interrupt(stylizer, film, code, tmp_path / "painted.mp4", at=3, masks=[mask])
    Image.fromarray(right).save(mask)
    painted = stylizer.stylize_video(film, code, tmp_path / "painted.mp4", masks=[mask])
    fresh = stylizer.stylize_video(film, code, tmp_path / "fresh.mp4", masks=[mask])
    assert painted.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steady": "very"}, "steady"),
        ({"schedule": "linear"}, "several styles"),
        ({"schedule": "zigzag"}, "zigzag"),
        ({"preserve_color": "histogram"}, "luminance"),
        ({"crf": 60}, "crf"),
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": torch.tensor([1.0, 0.5])}, "one a fusion level as a list: found a tensor of 2"),
        ({"output": "painted.xyz"}, ".mp4"),
        ({"content": "missing.mp4"}, "no such file"),
        ({"content": "text.mp4"}, "no film"),
        ({"content": "sound.mp4"}, "it has no pictures, only audio; give a film."),
        ({"content": "empty.gif"}, "no animation"),
    ],
)
def test_a_mistake_is_one_line(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.gif").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        audio = out.add_stream("aac", rate=44100, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.rate = 44100
        out.mux(audio.encode(tone))
        out.mux(audio.encode())
    write_film(tmp_path / "film.mp4", panned(2))
    names = {"content": "film.mp4", "output": "painted.mp4"} | {
        k: v for k, v in options.items() if k in ("content", "output")
    }
    rest = {name: value for name, value in options.items() if name not in names}
    with pytest.raises(UserError, match=message):
        stylizer.stylize_video(tmp_path / names["content"], code, tmp_path / names["output"], **rest)
    assert not (tmp_path / names["output"]).exists()


def test_a_tensor_of_one_alpha_is_an_alpha(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", panned(2))
    half = stylizer.stylize_video(film, code, tmp_path / "half.mp4", 0.5)
    assert stylizer.stylize_video(film, code, tmp_path / "a.mp4", torch.tensor([0.5])).read_bytes() == half.read_bytes()


def test_a_film_is_not_written_over_itself(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = write_film(tmp_path / "film.mp4", panned(2))
    before = film.read_bytes()
    (tmp_path / "link.mp4").symlink_to(film)
    monkeypatch.chdir(tmp_path)
    for content, output in ((film, film), (film, "film.mp4"), ("link.mp4", film), (film, "link.mp4")):
        with pytest.raises(UserError, match="output would replace its content .*: choose another output"):
            stylizer.stylize_video(content, code, output)
    assert film.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4", "link.mp4"]


def test_a_film_is_not_written_over_its_style(stylizer: Stylizer, tmp_path: Path) -> None:
    film, style = write_film(tmp_path / "film.mp4", panned(2)), tmp_path / "style.gif"
    Image.effect_noise((40, 40), 60).convert("RGB").save(style)
    with pytest.raises(UserError, match="output would replace its style or mask"):
        stylizer.stylize_video(film, style, style)


def test_a_size_that_the_encoder_refuses_is_one_line(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    wide = [Image.new("RGB", (17000, 16), color) for color in ("red", "blue")]  # x264 ends at 16384
    wide[0].save(tmp_path / "film.gif", save_all=True, append_images=wide[1:], duration=100)
    with pytest.raises(UserError, match=r"cannot write .*painted.mp4: .* set max_size"):
        stylizer.stylize_video(tmp_path / "film.gif", code, tmp_path / "painted.mp4", steady="off")


def test_no_memory_for_a_frame_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*arguments: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("nst.video.to_size", too_large)
    film = write_film(tmp_path / "film.mp4", panned(2))
    with initialize_config_dir(str(Path(__file__).parent.parent / "configs" / "inference"), version_base="1.3"):
        keys = {"ckpt": "fast", "content": film, "output": tmp_path / "painted.mp4", "steady": "off", "size": 60000}
        cfg = compose("stylize", [f"{key}={value}" for key, value in keys.items()])
    with pytest.raises(UserError, match="not enough memory: set a smaller tile .* or max_size"):
        stylize(cfg)


def test_memory_does_not_grow_with_the_length(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.steady.render", lambda network, picture, *rest: picture)  # paints nothing
    frames, peaks = panned(60, 320, 180, step=0.5), []
    for repeats in (1, 1, 5):  # the first run fills caches
        film = write_film(tmp_path / "film.mp4", frames * repeats)
        with peak_memory(torch.device("cpu")) as peak:
            stylizer.stylize_video(film, code, tmp_path / "painted.mp4", steady="off")
        if peak.mebibytes is None:
            pytest.skip("the system does not tell the peak")
        peaks.append(peak.mebibytes)
    more = 240 * frames[0].nbytes / 2**20  # of decoded frames
    assert peaks[2] - peaks[1] < more / 4
