"""stylize(cfg): files, folders and globs in, files out."""

from __future__ import annotations

import glob
import itertools
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nst.errors import UserError
from nst.images import find_images, read_image, write_image
from nst.samples import sample_content, sample_style
from nst.stylizer import Stylizer
from nst.video_batch import is_film, stylize_film

WAITING = 2  # results that may wait for the disk


@dataclass(frozen=True)
class Job:
    """One picture to stylize."""

    content: Path
    output: Path


@dataclass
class Outcome:
    """What became of a batch."""

    written: list[Path]
    skipped: list[Path]
    failed: dict[Path, str]


def stylize(cfg: DictConfig) -> Outcome:
    """Stylize every content picture as ``configs/inference/stylize.yaml`` says, and print a line for each.

    A batch goes on past a picture that fails; the outcome names it.

    Raises:
        UserError: the model, a style, a value or a single content picture is wrong.
    """
    content, style = _contents(cfg), _styles(cfg)
    if is_film(content, cfg.output, cfg.first_frame):
        if cfg.mask is not None:
            raise UserError(f"mask belongs to one picture, and {content} is a film: use masks, one a style.")
        return Outcome([stylize_film(cfg, content, style)], [], {})
    if cfg.schedule is not None:
        raise UserError(f"schedule changes the style over the time of a film, and {content} is none: use weights.")
    jobs = plan(content, cfg.output, cfg.output_dir)
    stylizer = Stylizer.from_checkpoint(cfg.ckpt, device=cfg.device, precision=cfg.precision)
    options: dict[str, Any] = {
        "alpha": _plain(cfg.alpha),
        "size": cfg.size,
        "max_size": cfg.max_size,
        "preserve_color": cfg.preserve_color,
        "tile": cfg.tile,
        "weights": _plain(cfg.weights),
        "masks": _plain(cfg.masks),
        "mask": _plain(cfg.mask),
        "style_size": cfg.style_size,
        "style": style,
    }
    # Not where the style depends on each content's colours or regions.
    if cfg.preserve_color != "histogram" and cfg.mask is None:
        options["style"] = [stylizer.encode_style(one, style_size=cfg.style_size) for one in style]
    outcome = Outcome([], [], {})
    todo = []
    for job in jobs:
        if cfg.output is None and len(jobs) > 1 and job.output.exists() and not cfg.overwrite:
            outcome.skipped.append(job.output)
        else:
            todo.append(job)
    with ThreadPoolExecutor(max_workers=1) as writer, _bar(len(jobs)) as bar:
        task = bar.add_task("", total=len(todo), rate="")
        began = time.perf_counter()
        waiting: deque[tuple[Job, Future[Path]]] = deque()
        for done, (job, picture) in enumerate(_read_ahead(todo, cfg.max_pixels, cfg.first_frame)):
            if done:
                bar.update(task, completed=done, rate=f"{done / (time.perf_counter() - began):.2f} pictures/s")
            start = time.perf_counter()
            try:
                result = stylizer(picture.result(), **options)
            except UserError as error:
                _failed(outcome, job, error, alone=len(jobs) == 1)
                continue
            seconds = time.perf_counter() - start
            print(f"{job.output}  {result.width}×{result.height}  {seconds:.2f} s", flush=True)
            waiting.append((job, writer.submit(write_image, result, job.output, quality=cfg.quality)))
            if len(waiting) > WAITING:
                _finish(outcome, *waiting.popleft(), alone=len(jobs) == 1)
        for job, written in waiting:
            _finish(outcome, job, written, alone=len(jobs) == 1)
    return outcome


def _bar(pictures: int) -> Progress:
    """Pictures done, their rate and the time left, on a terminal's stderr; a single picture needs none."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else lines meant for a file would go to the terminal
        disable=pictures < 2 or not console.is_terminal,
    )


def _finish(outcome: Outcome, job: Job, written: Future[Path], alone: bool) -> None:
    try:
        outcome.written.append(written.result())
    except UserError as error:
        _failed(outcome, job, error, alone)


def _failed(outcome: Outcome, job: Job, error: UserError, alone: bool) -> None:
    """A single picture that fails is the user's mistake; one of a batch is passed over."""
    if alone:
        raise error
    outcome.failed[job.content] = str(error)


def report(outcome: Outcome) -> int:
    """Print the end of a batch; returns the exit code: 0, or 1 when pictures failed."""
    if len(outcome.written) + len(outcome.skipped) + len(outcome.failed) > 1:
        print(f"{len(outcome.written)} written, {len(outcome.skipped)} there already, {len(outcome.failed)} failed")
    for path, reason in outcome.failed.items():
        print(f"failed: {path}: {reason}", file=sys.stderr)
    return 1 if outcome.failed else 0


def plan(content: str | Path, output: str | None, output_dir: str) -> list[Job]:
    """Which files are made of which: sub-folders of a folder or glob are kept below ``output_dir``.

    No two pictures share an output: ``a.jpg`` beside ``a.png`` become ``a.jpg.png`` and ``a.png.png``. What lies in an
    ``output_dir`` within the content folder is an earlier result, no content.

    Raises:
        UserError: nothing found, one ``output`` for several pictures, or an output that is one of the contents.
    """
    pictures = find_images(content)
    if output is not None:
        if len(pictures) > 1:
            raise UserError(f"output={output!r} is one file but content has {len(pictures)} pictures: use output_dir=.")
        return [Job(pictures[0], Path(output))]
    if len(pictures) == 1 and not Path(content).is_dir():
        return [Job(pictures[0], Path(output_dir) / "stylized.png")]
    root, results = _root(content), Path(output_dir).resolve()
    if results != root.resolve():
        pictures = [path for path in pictures if results not in path.resolve().parents]
    if not pictures:
        raise UserError(f"every picture of {content} lies in output_dir={output_dir}: give another output_dir.")
    names = [path.relative_to(root) for path in pictures]
    same_stem = Counter(name.with_suffix("") for name in names)
    jobs = []
    for path, name in zip(pictures, names, strict=True):
        written = name.with_suffix(".png") if same_stem[name.with_suffix("")] == 1 else Path(f"{name}.png")
        jobs.append(Job(path, Path(output_dir) / written))
    contents = {path.resolve() for path in pictures}
    for job in jobs:
        if job.output.resolve() in contents:
            raise UserError(f"{job.output} is a content picture and would be written over: give another output_dir.")
    return jobs


def _root(content: str | Path) -> Path:
    """The folder that names are kept from: the content folder, or what comes before the first wildcard of a glob."""
    path = Path(content)
    if path.is_dir():
        return path
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
    return Path(*fixed)


def _read_ahead(
    jobs: Sequence[Job], max_pixels: int | None, first_frame: bool
) -> Iterator[tuple[Job, Future[Image.Image]]]:
    """Jobs with their decoded pictures; the next one is decoded while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as reader:

        def read(job: Job) -> Future[Image.Image]:
            return reader.submit(read_image, job.content, first_frame=first_frame, max_pixels=max_pixels)

        ahead = read(jobs[0]) if jobs else None
        for index, job in enumerate(jobs):
            current, ahead = ahead, read(jobs[index + 1]) if index + 1 < len(jobs) else None
            assert current is not None
            yield job, current


def _contents(cfg: DictConfig) -> str:
    if cfg.content is None:
        return str(sample_content())
    return str(cfg.content)


def _styles(cfg: DictConfig) -> list[str]:
    if cfg.style is None:
        return [str(sample_style())]
    given: Iterable[Any] = cfg.style if isinstance(cfg.style, ListConfig) else [cfg.style]
    return [str(style) for style in given]


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if isinstance(value, ListConfig) else value
