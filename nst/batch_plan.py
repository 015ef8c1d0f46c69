"""Which pictures a batch makes: what of what, in which styles, under which name."""

from __future__ import annotations

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nst.errors import UserError
from nst.images import IMAGE_SUFFIXES, check_output, find_images

PAIRINGS = ("mix", "zip", "grid")
STYLE_SUFFIXES = (*IMAGE_SUFFIXES, ".safetensors")
Degree = float | list[float]  # of stylization: one number, or one a fusion level


@dataclass(frozen=True)
class Job:
    """One picture to make."""

    content: Path
    output: Path
    styles: tuple[str, ...]
    alpha: Degree = 1.0


def find_styles(given: Iterable[str]) -> list[str]:
    """Files of styles, in the order given: of a folder or glob its pictures and style codes, sorted.

    Raises:
        UserError: no such file, or none of these kinds.
    """
    return [str(path) for one in given for path in find_images(one, suffixes=STYLE_SUFFIXES)]


def plan(
    content: str | Path,
    styles: Sequence[str],
    output: str | None,
    output_dir: str | Path,
    pairing: str = "mix",
    alpha: Degree | list[Degree] = 1.0,
    also_read: Sequence[str] = (),
) -> list[Job]:
    """Which files are made of which: sub-folders of a folder or glob are kept below ``output_dir``.

    ``a.jpg`` beside ``a.png`` become ``a.jpg.png`` and ``a.png.png``. What lies in an ``output_dir`` within the content
    folder is an earlier result, no content.

    Args:
        content: a file, a folder or a glob.
        styles: files.
        output: the file to write, of a single picture.
        output_dir: where pictures go whose file is not said.
        pairing: ``mix``, all styles in every picture; ``zip``, the first content in the first style and so on; ``grid``,
            every content in every style, as ``CONTENT/STYLE.png``.
        alpha: see :class:`Job`; in a grid several of them, ``CONTENT/STYLE_alpha0.5.png``.
        also_read: files that are no outputs either: masks.

    Raises:
        UserError: nothing found, an unknown pairing, contents and styles that do not pair up, one ``output`` for several
            pictures, or of no known format, two pictures of one name, or an output that is one of the files read.
    """
    if pairing not in PAIRINGS:
        raise UserError(f"unknown pairing {pairing!r}: choose from {', '.join(PAIRINGS)}.")
    contents = _contents(content, Path(output_dir))
    if pairing == "grid":
        jobs = _grid(contents, styles, alpha, Path(output_dir))
    else:
        single = len(contents) == 1 and not Path(content).is_dir()
        names = ["stylized"] if single else list(contents.values())
        own = zip(contents, names, _own_styles(len(contents), styles, pairing), strict=True)
        jobs = [Job(path, Path(output_dir, f"{name}.png"), chosen, alpha) for path, name, chosen in own]  # type: ignore[arg-type]
    if output is not None:
        if len(jobs) > 1:
            raise UserError(f"output={output!r} is one file but {len(jobs)} pictures are to be made: use output_dir=.")
        check_output(output)
        jobs = [replace(jobs[0], output=Path(output))]
    repeated = [path for path, count in Counter(job.output for job in jobs).items() if count > 1]
    if repeated:
        raise UserError(f"two pictures would be {repeated[0]}: rename a content or a style, and give no alpha twice.")
    kinds: dict[str, Iterable[str | Path]] = {"mask": also_read, "style": styles, "content picture": contents}
    read = {Path(path).resolve(): kind for kind, paths in kinds.items() for path in paths}
    for job in jobs:
        if kind := read.get(job.output.resolve()):
            raise UserError(f"{job.output} is a {kind} and would be written over: give another name or folder.")
    return jobs


def _own_styles(contents: int, styles: Sequence[str], pairing: str) -> list[tuple[str, ...]]:
    if pairing == "mix":
        return [tuple(styles)] * contents
    if len(styles) != contents:
        raise UserError(
            f"pairing=zip needs a style for every content: found {contents} contents and {len(styles)} styles; "
            "pairing=grid makes every content in every style."
        )
    return [(style,) for style in styles]


def _grid(
    contents: dict[Path, str], styles: Sequence[str], alpha: Degree | list[Degree], output_dir: Path
) -> list[Job]:
    degrees: list[Degree] = alpha if isinstance(alpha, list) else [alpha]  # type: ignore[assignment]
    ends = [f"_alpha{_written(degree)}" if len(degrees) > 1 else "" for degree in degrees]
    return [
        Job(path, output_dir / name / f"{label}{end}.png", (style,), degree)
        for path, name in contents.items()
        for style, label in style_labels(styles).items()
        for degree, end in zip(degrees, ends, strict=True)
    ]


def _written(degree: Degree) -> str:
    return "-".join(f"{value:g}" for value in degree) if isinstance(degree, list) else f"{degree:g}"


def style_labels(styles: Sequence[str]) -> dict[str, str]:
    """A name of its own for every style: its file's, and where several share it, its folders' before it.

    Raises:
        UserError: the same file twice.
    """
    if repeated := [style for style, count in Counter(styles).items() if count > 1]:
        raise UserError(f"style {repeated[0]} is given twice.")
    names = {style: Path(style).name.removesuffix(".safetensors").removesuffix(".style") for style in styles}
    stems = {style: Path(name).stem if Path(name).suffix in IMAGE_SUFFIXES else name for style, name in names.items()}
    for labels in (stems, names):
        if len(set(labels.values())) == len(labels):
            return labels
    whole = {style: Path(os.path.abspath(style)) for style in styles}
    root = os.path.commonpath([path.parent for path in whole.values()])
    return {style: "-".join(path.relative_to(root).parts) for style, path in whole.items()}


def _contents(content: str | Path, output_dir: Path) -> dict[Path, str]:
    """Content pictures, and the name of each below the output folder, without a suffix."""
    pictures = find_images(content)
    if len(pictures) == 1 and not Path(content).is_dir():
        return {pictures[0]: pictures[0].stem}
    root, results = _root(content), output_dir.resolve()
    if results == Path(content).resolve():
        raise UserError(
            f"output_dir={output_dir} is the content folder, where results would be taken for contents: give another."
        )
    if results != root.resolve():
        pictures = [path for path in pictures if results not in path.resolve().parents]
    if not pictures:
        raise UserError(f"every picture of {content} lies in output_dir={output_dir}: give another output_dir.")
    names = [path.relative_to(root) for path in pictures]
    same_stem = Counter(name.with_suffix("") for name in names)
    return {
        path: str(name.with_suffix("") if same_stem[name.with_suffix("")] == 1 else name)
        for path, name in zip(pictures, names, strict=True)
    }


def _root(content: str | Path) -> Path:
    """The folder that names are kept from: the content folder, or what comes before the first wildcard of a glob."""
    path = Path(content)
    if path.is_dir():
        return path
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
    return Path(*fixed)
