"""Training samples and fixed validation pairs."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.data.folders import UnreadableReport
from nst.data.pairs import FixedPairs, PairDataset, collate, crop_picture, readable
from nst.errors import UserError
from nst.images import read_image, to_tensor

Write = Callable[..., list[Path]]


def dataset(
    contents: Sequence[Path], styles: Mapping[str, Sequence[Path]], tmp_path: Path, **options: Any
) -> PairDataset:
    defaults: dict[str, Any] = {
        "crop": 16,
        "content_size": [16, 30],
        "style_size": 24,
        "flip": True,
        "squash": False,
        "seed": 3,
        "report": UnreadableReport(tmp_path / "unreadable.txt"),
    }
    return PairDataset(contents, styles, **(defaults | options))


def names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are the drawn paths themselves; the pictures need not exist."""
    monkeypatch.setattr(PairDataset, "_read", lambda self, paths, first, size, random: paths[first])


# --- one picture -----------------------------------------------------------------------------------------------------


def test_a_crop_is_the_pixels_of_the_picture_at_its_position(write_pictures: Write) -> None:
    (path,) = write_pictures("a.png", width=40, height=32)
    whole = to_tensor(read_image(path))
    for position, top, left in (((0.0, 0.0), 0, 0), ((0.5, 0.5), 8, 12), ((1.0, 1.0), 16, 24), ((0.0, 1.0), 0, 24)):
        crop = crop_picture(path, 32, 16, squash=False, position=position)
        assert torch.equal(crop, whole[:, top : top + 16, left : left + 16])


def test_a_picture_is_resized_to_its_shorter_side_before_the_crop(write_pictures: Write) -> None:
    (path,) = write_pictures("a.png", width=40, height=32)
    expected = to_tensor(read_image(path).resize((20, 16), 1))[:, :, 2:18]  # 1: Lanczos
    assert torch.allclose(crop_picture(path, 16, 16, squash=False), expected, atol=2 / 255)


def test_a_crop_larger_than_the_size_enlarges_the_picture(write_pictures: Write) -> None:
    (path,) = write_pictures("a.png", width=40, height=32)
    assert crop_picture(path, 8, 64, squash=False).shape == (3, 64, 64)


def test_squash_shows_all_of_the_picture_in_a_square(write_pictures: Write, tmp_path: Path) -> None:
    (path,) = write_pictures("a.png", width=64, height=16)
    squashed = crop_picture(path, 16, 16, squash=True)
    columns = to_tensor(read_image(path)).view(3, 16, 16, 4).mean(dim=3)  # every four columns into one
    assert torch.corrcoef(torch.stack([squashed.flatten(), columns.flatten()]))[0, 1] > 0.9


# --- samples ---------------------------------------------------------------------------------------------------------


def test_a_sample_follows_from_seed_and_index_alone(write_pictures: Write, tmp_path: Path) -> None:
    contents, styles = write_pictures("a.png", "b.png", "c.png"), {"m": write_pictures("s.png", "t.png")}
    one, other = dataset(contents, styles, tmp_path), dataset(contents, styles, tmp_path)
    reseeded = dataset(contents, styles, tmp_path, seed=4)
    forwards = [one[index] for index in range(8)]
    backwards = [other[index] for index in reversed(range(8))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert torch.equal(a["content"], b["content"]) and torch.equal(a["style"], b["style"])
    assert any(not torch.equal(a["content"], reseeded[i]["content"]) for i, a in enumerate(forwards))
    assert any(not torch.equal(a["style"], reseeded[i]["style"]) for i, a in enumerate(forwards))
    assert torch.equal(one[10**9]["content"], other[10**9]["content"])


def test_every_content_picture_appears_once_a_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names_only(monkeypatch)
    contents = [Path(f"{number}.jpg") for number in range(17)]
    pairs = dataset(contents, {"m": [Path("s.jpg")]}, tmp_path)
    passes = [[pairs[turn * 17 + place]["content"] for place in range(17)] for turn in range(3)]
    for order in passes:
        assert sorted(order) == sorted(contents)  # type: ignore[type-var]
    assert passes[0] != passes[1] != passes[2]


def test_movements_are_drawn_by_the_root_of_their_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names_only(monkeypatch)
    sizes = {"small": 1, "middle": 4, "large": 25}
    styles = {name: [Path(name, f"{number}.jpg") for number in range(size)] for name, size in sizes.items()}
    pairs = dataset([Path("c.jpg")], styles, tmp_path)
    drawn = [pairs[index]["style"] for index in range(2000)]
    movements = Counter(path.parent.name for path in drawn)  # type: ignore[attr-defined]
    for name, size in sizes.items():
        assert movements[name] / 2000 == pytest.approx(np.sqrt(size) / (1 + 2 + 5), abs=0.04)  # 3.5 deviations
    within = Counter(path.name for path in drawn if path.parent.name == "large")  # type: ignore[attr-defined]
    assert len(within) == 25 and max(within.values()) < 3 * min(within.values())


@pytest.mark.parametrize("size", [20, [16, 64], [8, 12]])
@pytest.mark.parametrize("squash", [False, True])
def test_every_sample_has_the_shape_of_the_crop(write_pictures: Write, tmp_path: Path, size: Any, squash: bool) -> None:
    contents = write_pictures("wide.png", width=50, height=20) + write_pictures("tall.png", width=18, height=70)
    pairs = dataset(contents, {"m": contents}, tmp_path, content_size=size, style_size=size, squash=squash)
    for index in range(6):
        for picture in pairs[index].values():
            assert picture.shape == (3, 16, 16)
            assert picture.dtype == torch.float32
            assert float(picture.min()) >= 0 and float(picture.max()) <= 1


def test_sizes_are_drawn_from_their_range(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes: list[int] = []

    def record(path: Path, size: int, crop: int, squash: bool, position: tuple[float, float]) -> Tensor:
        sizes.append(size)
        return torch.zeros(3, crop, crop)

    monkeypatch.setattr("nst.data.pairs.crop_picture", record)
    pairs = dataset([Path("c.jpg")], {"m": [Path("s.jpg")]}, tmp_path, content_size=[100, 400], style_size=77)
    for index in range(400):
        pairs[index]
    content, style = sizes[::2], sizes[1::2]
    assert set(style) == {77}
    assert 100 <= min(content) < 110 and 370 < max(content) <= 400
    assert np.median(content) == pytest.approx(200, rel=0.1)  # log-uniform: half below the geometric mean


def test_half_of_the_pictures_are_mirrored_if_asked(write_pictures: Write, tmp_path: Path) -> None:
    contents = write_pictures("a.png", width=16, height=16)
    original = to_tensor(read_image(contents[0]))
    for flip, low, high in ((True, 25, 55), (False, 0, 0)):
        pairs = dataset(contents, {"m": contents}, tmp_path, content_size=16, flip=flip)
        found = [pairs[index]["content"] for index in range(80)]
        assert all(torch.equal(x, original) or torch.equal(x, original.flip(2)) for x in found)
        assert low <= sum(torch.equal(x, original.flip(2)) for x in found) <= high


def test_crops_lie_all_over_the_picture(write_pictures: Write, tmp_path: Path) -> None:
    contents = write_pictures("a.png", width=18, height=18)
    pairs = dataset(contents, {"m": contents}, tmp_path, content_size=18, flip=False)
    whole = to_tensor(read_image(contents[0]))
    crops = {
        (top, left): whole[:, top : top + 16, left : left + 16].contiguous() for top in range(3) for left in range(3)
    }
    found = [pairs[index]["content"] for index in range(200)]
    drawn = {place for place, crop in crops.items() if any(torch.equal(picture, crop) for picture in found)}
    assert drawn == set(crops)


def test_a_dataset_can_be_sent_to_loader_processes(write_pictures: Write, tmp_path: Path) -> None:
    """Loader processes that are spawned, as on macOS and Windows, get a pickled copy."""
    contents = write_pictures("a.png", "b.png")
    pairs = dataset(contents, {"m": contents}, tmp_path)
    expected = pairs[1]
    copy = pickle.loads(pickle.dumps(pairs))
    assert torch.equal(copy[1]["content"], expected["content"])


# --- unreadable pictures ---------------------------------------------------------------------------------------------


def test_unreadable_pictures_are_replaced_and_reported(write_pictures: Write, tmp_path: Path) -> None:
    good = write_pictures("b.png", "d.png")
    bad = [tmp_path / "a.png", tmp_path / "c.png"]
    bad[0].write_bytes(b"")
    bad[1].write_text("no picture")
    pairs = dataset([bad[0], good[0], bad[1], good[1]], {"m": [good[0], bad[1]]}, tmp_path, content_size=32, flip=False)
    for index in range(8):  # two passes meet each bad picture at least twice
        assert pairs[index]["content"].shape == (3, 16, 16)
    entries = pairs.report.entries()
    assert set(entries) == {str(path) for path in bad}
    assert "empty" in entries[str(bad[0])]


def test_a_set_without_a_readable_picture_is_given_up(write_pictures: Write, tmp_path: Path) -> None:
    bad = [tmp_path / f"{number}.png" for number in range(25)]
    for path in bad:
        path.write_text("no picture")
    good = write_pictures("good.png")
    for contents, styles, count in ((bad, good, 25), (good, bad, 25), (bad[:2], good, 2)):
        with pytest.raises(UserError, match=rf"none of the {count} pictures .* can be read: see .*unreadable\.txt"):
            dataset(contents, {"m": styles}, tmp_path)[0]


def test_one_readable_picture_is_found_among_any_number(write_pictures: Write, tmp_path: Path) -> None:
    bad = [tmp_path / f"{number}.png" for number in range(60)]
    for path in bad:
        path.write_text("no picture")
    contents = [*bad[:30], *write_pictures("good.png"), *bad[30:]]
    pairs = dataset(contents, {"m": contents}, tmp_path, content_size=32, style_size=32)
    assert all(pairs[index]["content"].shape == (3, 16, 16) for index in range(3))


def test_a_movement_without_a_readable_picture_leaves_its_turn_to_the_others(
    write_pictures: Write, tmp_path: Path
) -> None:
    good = write_pictures("fine/a.png")
    broken = [tmp_path / f"broken{number}.png" for number in range(9)]
    for path in broken:
        path.write_text("no picture")
    pairs = dataset(good, {"fine": good, "broken": broken, "bad": broken[:1]}, tmp_path)
    first = [pairs[index]["style"] for index in range(12)]
    assert all(style.shape == (3, 16, 16) for style in first)
    assert len(pairs.report.path.read_text().splitlines()) == len(broken), "a picture was reported twice"
    fresh = dataset(good, {"fine": good, "broken": broken, "bad": broken[:1]}, tmp_path)
    assert torch.equal(fresh[11]["style"], first[11]), "what was met before decided the sample"


def test_readable_sorts_out_what_cannot_be_read(write_pictures: Write, tmp_path: Path) -> None:
    good, bad = write_pictures("a.png", "b.jpg"), tmp_path / "c.png"
    bad.write_text("no picture")
    report = UnreadableReport(tmp_path / "unreadable.txt")
    assert readable([good[0], bad, good[1]], report, 32) == good
    assert list(report.entries()) == [str(bad)]


def test_a_picture_too_elongated_for_the_size_in_use_counts_as_unreadable(
    write_pictures: Write, tmp_path: Path
) -> None:
    (long,) = write_pictures("long.png", width=20_000, height=8)
    report = UnreadableReport(tmp_path / "unreadable.txt")
    assert readable([long], report, 32) == [long]
    assert readable([long], report, 256) == []
    assert "too elongated" in report.entries()[str(long)]


# --- fixed pairs and batches -----------------------------------------------------------------------------------------


def test_fixed_pairs_are_always_the_same_centre_crops(write_pictures: Write) -> None:
    contents, styles = write_pictures("a.png", "b.png", "c.png"), write_pictures("s.png", "t.png")
    pairs = FixedPairs(contents, styles, count=5, crop=16, size=32)
    assert len(pairs) == 5
    for index in range(5):
        sample, again = pairs[index], pairs[index]
        for name, path in (("content", contents[index % 3]), ("style", styles[index % 2])):
            assert torch.equal(sample[name], to_tensor(read_image(path))[:, 8:24, 12:28])
            assert torch.equal(sample[name], again[name])


def test_batches_are_stacked_in_channels_last_memory() -> None:
    samples = [{"content": torch.rand(3, 8, 8), "style": torch.rand(3, 8, 8)} for _ in range(4)]
    batch = collate(samples)
    for name in ("content", "style"):
        assert torch.equal(batch[name], torch.stack([sample[name] for sample in samples]))
        assert batch[name].is_contiguous(memory_format=torch.channels_last)


def test_a_limited_number_of_distinct_samples_comes_again_and_again(write_pictures: Write, tmp_path: Path) -> None:
    pictures = write_pictures("a.png", "b.png", "c.png", width=40, height=32)
    few = dataset(pictures, {"x": pictures}, tmp_path, distinct_samples=2)
    assert torch.equal(few[0]["content"], few[4]["content"]) and torch.equal(few[1]["style"], few[3]["style"])
    assert not torch.equal(few[0]["content"], few[1]["content"])
