"""Plans: what of what, in which styles, under names that never meet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nst import UserError
from nst.batch_plan import find_styles, plan, style_labels

STYLES = ["style.jpg"]
Write = Callable[..., list[Path]]


def outputs(content: str | Path, output_dir: Path) -> list[str]:
    return sorted(job.output.relative_to(output_dir).as_posix() for job in plan(content, STYLES, None, output_dir))


def test_sub_folders_of_folders_and_globs_are_kept(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/x/b.jpg", "in/y/b.jpg", "in/c.png")
    assert outputs(tmp_path / "in", tmp_path / "out") == ["c.png", "x/b.png", "y/b.png"]
    assert outputs(f"{tmp_path}/in/**/*.jpg", tmp_path / "out") == ["x/b.png", "y/b.png"]


def test_names_that_differ_in_their_suffix_alone_keep_it(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/a.jpg", "in/a.png", "in/b.jpg")
    assert outputs(tmp_path / "in", tmp_path / "out") == ["a.jpg.png", "a.png.png", "b.png"]


def test_earlier_results_are_no_content(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.jpg", "out/a.png", "out/more/b.png")
    assert outputs(tmp_path, tmp_path / "out") == ["a.png"]


def test_a_content_picture_is_never_written_over(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.png", "b.jpg")
    with pytest.raises(UserError, match=r"a\.png is a content picture"):
        plan(f"{tmp_path}/*", STYLES, None, tmp_path)


def test_one_output_for_several_pictures_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    paths = write_pictures("a.png", "b.jpg")
    with pytest.raises(UserError, match="2 pictures"):
        plan(tmp_path, STYLES, "out.png", "out")
    with pytest.raises(UserError, match="3 pictures"):
        plan(paths[0], STYLES, "out.png", "out", "grid", [0.25, 0.5, 1.0])


def test_zip_gives_each_content_the_style_of_its_place(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/x/b.jpg", "in/a.png", "styles/1.jpg", "styles/2.png")
    styles = find_styles([str(tmp_path / "styles")])
    made = {job.output.relative_to(tmp_path).as_posix(): job.styles for job in plan(tmp_path / "in", styles, None, tmp_path / "out", "zip")}  # fmt: skip
    assert made == {"out/a.png": (styles[0],), "out/x/b.png": (styles[1],)}
    with pytest.raises(UserError, match="2 contents and 1 styles"):
        plan(tmp_path / "in", STYLES, None, "out", "zip")


def test_a_grid_is_every_content_in_every_style_at_every_alpha(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/x/b.jpg", "in/a.png")
    jobs = plan(tmp_path / "in", ["w/wave.jpg", "night.style.safetensors"], None, "out", "grid", [0.5, [0.0, 1.0]])
    assert [(job.content.name, job.styles, job.alpha, job.output.as_posix()) for job in jobs] == [
        ("a.png", ("w/wave.jpg",), 0.5, "out/a/wave_alpha0.5.png"),
        ("a.png", ("w/wave.jpg",), [0.0, 1.0], "out/a/wave_alpha0-1.png"),
        ("a.png", ("night.style.safetensors",), 0.5, "out/a/night_alpha0.5.png"),
        ("a.png", ("night.style.safetensors",), [0.0, 1.0], "out/a/night_alpha0-1.png"),
        ("b.jpg", ("w/wave.jpg",), 0.5, "out/x/b/wave_alpha0.5.png"),
        ("b.jpg", ("w/wave.jpg",), [0.0, 1.0], "out/x/b/wave_alpha0-1.png"),
        ("b.jpg", ("night.style.safetensors",), 0.5, "out/x/b/night_alpha0.5.png"),
        ("b.jpg", ("night.style.safetensors",), [0.0, 1.0], "out/x/b/night_alpha0-1.png"),
    ]
    (single,) = plan(tmp_path / "in" / "a.png", STYLES, None, "out", "grid")
    assert single.output.as_posix() == "out/a/style.png" and single.alpha == 1.0
    with pytest.raises(UserError, match="no alpha twice"):
        plan(tmp_path / "in", STYLES, None, "out", "grid", [0.5, 0.5])


@pytest.mark.parametrize(
    ("styles", "labels"),
    [
        (["a/x.jpg", "b/y.png"], ["x", "y"]),
        (["a/x.jpg", "a/x.png"], ["x.jpg", "x.png"]),
        (["a/x.jpg", "b/x.jpg", "c/y.jpg"], ["a-x.jpg", "b-x.jpg", "c-y.jpg"]),
        (["v1.5.jpg", "v1.6.style.safetensors"], ["v1.5", "v1.6"]),
    ],
)
def test_every_style_has_a_label_of_its_own(styles: list[str], labels: list[str]) -> None:
    assert list(style_labels(styles).values()) == labels


def test_no_two_pictures_of_a_grid_share_a_file(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/a.jpg", "in/a.png", "in/a/b.jpg", "in/b_c.png", "in/b.png")
    styles = ["s/a/b.jpg", "s/b.jpg", "s/c_b.jpg", "s/b.png", "s/c/b.jpg"]
    made = [job.output for job in plan(tmp_path / "in", styles, None, "out", "grid", [0.5, 1.0])]
    assert len(made) == len(set(made)) == 5 * 5 * 2
    with pytest.raises(UserError, match="give no alpha twice"):
        plan(tmp_path / "in", [*styles, "s/a-b.jpg"], None, "out", "grid")
    with pytest.raises(UserError, match="given twice"):
        plan(tmp_path / "in", ["s/a.jpg", "s/a.jpg"], None, "out", "grid")


def test_styles_are_found_in_folders_globs_and_codes(write_pictures: Write, tmp_path: Path) -> None:
    pictures = write_pictures("s/b.jpg", "s/more/a.png", "t/c.jpg", "t/d.png")
    code = tmp_path / "s" / "a.style.safetensors"
    code.write_bytes(b"x")
    (tmp_path / "s" / "notes.txt").write_text("x")
    found = find_styles([f"{tmp_path}/t/*.png", str(tmp_path / "s"), str(pictures[2])])
    assert found == [str(path) for path in (pictures[3], code, pictures[0], pictures[1], pictures[2])]
    with pytest.raises(UserError, match="missing.jpg"):
        find_styles([str(tmp_path / "missing.jpg")])


def test_an_unknown_pairing_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("a.png")
    with pytest.raises(UserError, match="mix, zip, grid"):
        plan(tmp_path, STYLES, None, "out", "pairs")


def test_no_two_pictures_share_an_output(write_pictures: Write, tmp_path: Path) -> None:
    write_pictures("in/a.jpg", "in/a.png", "in/a.jpg.png")
    with pytest.raises(UserError, match=r"two pictures would be .*a\.jpg\.png"):
        plan(tmp_path / "in", STYLES, None, tmp_path / "out")


def test_an_output_that_is_the_content_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    (path,) = write_pictures("a.png")
    with pytest.raises(UserError, match=r"a\.png is a content picture"):
        plan(path, STYLES, str(path), "out")


def test_results_in_the_content_folder_itself_would_be_contents_of_the_next_run(
    write_pictures: Write, tmp_path: Path
) -> None:
    write_pictures("a.jpg", "b.jpg")
    with pytest.raises(UserError, match="is the content folder"):
        plan(tmp_path, STYLES, None, tmp_path)


def test_a_suffix_that_names_no_format_is_refused_before_anything_is_painted(
    write_pictures: Write, tmp_path: Path
) -> None:
    (path,) = write_pictures("a.png")
    with pytest.raises(UserError, match="unknown suffix '.xyz'"):
        plan(path, STYLES, "out.xyz", "out")
