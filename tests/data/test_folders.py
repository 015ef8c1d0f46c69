"""Listing pictures, holding some out, and the report of unreadable ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nst.data.folders import UnreadableReport, find_movements, name_fraction, split_by_name
from nst.errors import UserError


def paths(count: int, folder: str = "photos", prefix: str = "picture") -> list[Path]:
    return [Path(folder, f"{prefix}{number}.jpg") for number in range(count)]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


# --- the split -------------------------------------------------------------------------------------------------------


def test_the_two_sides_are_all_pictures_and_share_none() -> None:
    pictures = paths(400)
    training, validation = split_by_name(pictures, 0.1)
    assert sorted([*training, *validation]) == sorted(pictures)
    assert 20 <= len(validation) <= 60  # 40 ± 3 deviations of a binomial


def test_a_picture_stays_on_its_side_when_others_are_added() -> None:
    training, validation = split_by_name(paths(300), 0.1)
    more_training, more_validation = split_by_name([*paths(300, prefix="later"), *reversed(paths(300))], 0.1)
    assert set(training) <= set(more_training)
    assert set(validation) <= set(more_validation)


def test_a_picture_stays_on_its_side_when_it_is_moved() -> None:
    sides = [split_by_name(paths(300, folder), 0.1) for folder in ("here", "there/deeper")]
    assert [path.name for path in sides[0][1]] == [path.name for path in sides[1][1]]


def test_the_hash_spreads_names_evenly() -> None:
    fractions = sorted(name_fraction(path) for path in paths(1000))
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert max(abs(fraction - i / 1000) for i, fraction in enumerate(fractions)) < 0.06  # Kolmogorov-Smirnov at 0.1 %


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("fraction", [1e-9, 0.05, 0.999999, 1.0])
def test_no_side_is_ever_empty(count: int, fraction: float) -> None:
    training, validation = split_by_name(paths(count), fraction)
    assert training and validation


def test_only_one_picture_is_moved_where_a_side_would_be_empty() -> None:
    assert len(split_by_name(paths(20), 1e-9)[1]) == 1
    assert len(split_by_name(paths(20), 1.0)[0]) == 1


def test_a_single_picture_is_on_both_sides() -> None:
    assert split_by_name(paths(1), 0.1) == (paths(1), paths(1))


def test_names_that_are_not_utf_8_can_be_split() -> None:
    """Archives packed on older systems hold names in Latin-1; Python gives their bytes as lone surrogates."""
    latin = Path(os.fsdecode("Café".encode("latin-1") + b".jpg"))
    assert 0 <= name_fraction(latin) < 1
    assert name_fraction(Path("Café.jpg")) == name_fraction(Path("elsewhere/Café.jpg"))


# --- movements -------------------------------------------------------------------------------------------------------


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    touch(tmp_path, "cubism/a.jpg", "cubism/picasso/1910/b.png", "ukiyo_e/c.jpg", "loose.jpg", "cubism/notes.txt")
    (tmp_path / "fauvism").mkdir()
    return tmp_path


def test_a_movement_is_a_folder_with_all_below_it(styles: Path) -> None:
    found = find_movements(styles, None)
    assert {name: [str(path.relative_to(styles)) for path in pictures] for name, pictures in found.items()} == {
        ".": ["loose.jpg"],
        "cubism": ["cubism/a.jpg", "cubism/picasso/1910/b.png"],
        "ukiyo_e": ["ukiyo_e/c.jpg"],
    }


def test_only_the_movements_asked_for_are_taken(styles: Path) -> None:
    assert list(find_movements(styles, ["ukiyo_e"])) == ["ukiyo_e"]
    assert list(find_movements(str(styles), ["ukiyo_e", "cubism"])) == ["ukiyo_e", "cubism"]


@pytest.mark.parametrize("movement", ["baroque", "fauvism"])
def test_a_movement_without_pictures_is_answered_with_those_that_have_some(styles: Path, movement: str) -> None:
    with pytest.raises(UserError, match=rf"no pictures of {movement}: .*\. \(1\), cubism \(2\), ukiyo_e \(1\)"):
        find_movements(styles, [movement])


def test_a_misspelt_movement_beside_a_valid_one_is_not_passed_over(styles: Path) -> None:
    with pytest.raises(UserError, match=r"no pictures of cubizm: .*cubism \(2\)"):
        find_movements(styles, ["ukiyo_e", "cubizm"])


def test_of_the_folders_of_one_movement_one_must_be_there(styles: Path) -> None:
    assert list(find_movements(styles, [["Cubism", "cubism", "Analytical_Cubism"], "ukiyo_e"])) == ["cubism", "ukiyo_e"]
    with pytest.raises(UserError, match="no pictures of Baroque or baroque: "):
        find_movements(styles, ["ukiyo_e", ["Baroque", "baroque"]])


def test_an_empty_list_of_movements_is_refused(styles: Path) -> None:
    with pytest.raises(UserError, match="no pictures of an empty list"):
        find_movements(styles, [])


def test_a_missing_or_empty_style_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="style folder .*nowhere.* does not exist: set data.style_dir"):
        find_movements(tmp_path / "nowhere", None)
    with pytest.raises(UserError, match="no picture in the folder"):
        find_movements(tmp_path, None)


# --- the report ------------------------------------------------------------------------------------------------------


def test_a_picture_is_listed_once_however_often_it_is_met(tmp_path: Path) -> None:
    report = UnreadableReport(tmp_path / "run" / "unreadable.txt")
    assert report.entries() == {}
    for _ in range(3):
        report.add(Path("a b.jpg"), "cut off: 3 bytes\tmissing")
        report.add(Path("c.jpg"), "empty")
    assert report.entries() == {"a b.jpg": "cut off: 3 bytes\tmissing", "c.jpg": "empty"}


def test_names_that_are_not_utf_8_can_be_reported(tmp_path: Path) -> None:
    report = UnreadableReport(tmp_path / "unreadable.txt")
    latin = Path(os.fsdecode(b"caf\xe9.jpg"))
    report.add(latin, "empty")
    assert report.entries() == {str(latin): "empty"}
