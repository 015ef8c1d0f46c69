"""stylize(cfg): files, folders and globs in, files out."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nst.batch_plan import Job, find_styles, plan
from nst.config_numbers import Number, check_numbers
from nst.errors import UserError
from nst.images import read_image, write_image
from nst.pictures import MINIMUM_CONTENT_SIDE, MINIMUM_STYLE_SIDE, as_list
from nst.samples import sample_content, sample_style
from nst.style_code import StyleCode
from nst.stylizer import Stylizer
from nst.video_batch import is_film, stylize_film

log = logging.getLogger(__name__)
WAITING = 2  # results that may wait for the disk
READING = ("max_pixels", "first_frame")  # of picture files
OPTIONS = ("size", "max_size", "preserve_color", "tile", "weights", "masks", "mask", "style_size", *READING)
NUMBERS = {
    "size": Number(MINIMUM_CONTENT_SIDE, whole=True, optional=True),
    "max_size": Number(MINIMUM_CONTENT_SIDE, whole=True, optional=True),
    "style_size": Number(MINIMUM_STYLE_SIDE, whole=True, optional=True),
    "max_pixels": Number(1, whole=True, optional=True),
    "quality": Number(1, 100, whole=True),
    "crf": Number(0, 51),
}


@dataclass
class Outcome:
    """What became of a batch."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)  # content and reason of each picture not made


def stylize(cfg: DictConfig) -> Outcome:
    """Stylize every content picture as ``configs/inference/stylize.yaml`` says, and print a line for each.

    A batch goes on past a picture that fails; the outcome names it.

    Raises:
        UserError: the model, a style, a value or a single content picture is wrong.
    """
    check_numbers(cfg, NUMBERS)
    if "" in (cfg.content, cfg.style):
        empty = "content" if cfg.content == "" else "style"
        raise UserError(f"{empty}= is empty: name a picture, a folder or a glob, or leave it out for a sample.")
    content, styles = str(cfg.content or sample_content()), _styles(cfg)
    distributed = cfg.get("trainer") is not None
    if is_film(content, cfg.output, cfg.first_frame):
        if cfg.mask is not None:
            raise UserError(f"mask belongs to one picture, and {content} is a film: use masks, one a style.")
        if cfg.pairing != "mix" or distributed:
            raise UserError(f"{content} is one film: pairing and trainer are for pictures.")
        return Outcome([stylize_film(cfg, content, styles)])
    if cfg.schedule is not None:
        raise UserError(f"schedule changes the style over the time of a film, and {content} is none: use weights.")
    if cfg.pairing != "mix" and cfg.weights is not None:
        raise UserError(f"weights mix several styles in one picture: leave them out, or pairing={cfg.pairing}.")
    if distributed and cfg.device is not None:
        raise UserError("trainer sets the devices: use trainer.accelerator and trainer.devices instead of device.")
    settings: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    masks = [str(one) for key in ("masks", "mask") for one in as_list(settings[key]) if one is not None]
    jobs = plan(content, styles, cfg.output, cfg.output_dir, cfg.pairing, settings["alpha"], also_read=masks)
    stylizer = Stylizer.from_checkpoint(cfg.ckpt, device="cpu" if distributed else cfg.device, precision=cfg.precision)
    options = {name: settings[name] for name in OPTIONS}
    keep_there = cfg.output is None and len(jobs) > 1 and not cfg.overwrite
    skipped = [job for job in jobs if keep_there and job.output.exists()]
    todo = [job for job in jobs if not (keep_there and job.output.exists())]
    batch = Batch(stylizer, options, cfg.quality, alone=len(jobs) == 1 and not distributed)
    batch.outcome.skipped += [job.output for job in skipped]
    if len(jobs) > 1:  # a mistake in what all need ends the batch before it begins
        for job in {str(job.alpha): job for job in todo}.values():
            batch.rehearse(job, with_styles=cfg.pairing == "mix")
    if distributed:
        from nst.batch_processes import predict  # late: imports Lightning

        return predict(cfg, batch, todo)
    with _bar(len(jobs)) as bar:
        task = bar.add_task("", total=len(todo), rate="")
        began = time.perf_counter()
        for done, (job, image) in enumerate(_read_ahead(todo, cfg.max_pixels, cfg.first_frame)):
            if done:
                bar.update(task, completed=done, rate=f"{done / (time.perf_counter() - began):.2f} pictures/s")
            batch.paint(job, image)
        return batch.finish()


class Batch:
    """Paints pictures one after the other; a result is written while the next one is computed.

    Args:
        stylizer: what paints.
        options: for every call of it.
        quality: of :func:`nst.images.write_image`.
        alone: there is one picture; what is wrong with it is raised, where it would be noted in the outcome.
    """

    def __init__(self, stylizer: Stylizer, options: Mapping[str, Any], quality: int, alone: bool) -> None:
        self.stylizer, self.outcome = stylizer, Outcome()
        self._options, self._quality, self._alone = dict(options), quality, alone
        self._codes: dict[str, StyleCode] = {}
        self._writer: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Job, str, Future[Path]]] = deque()

    def styles(self, job: Job) -> Sequence[str | StyleCode]:
        """A picture's styles, each encoded once for all pictures, unless it depends on their colours or regions."""
        if self._options["preserve_color"] == "histogram" or self._options["mask"] is not None:
            return job.styles
        for style in job.styles:
            if style not in self._codes:
                how = {name: self._options[name] for name in ("style_size", *READING)}
                self._codes[style] = self.stylizer.encode_style(style, **how)
        return [self._codes[style] for style in job.styles]

    def rehearse(self, job: Job, with_styles: bool) -> None:
        """Paint a small grey picture, in the job's styles or in grey, to learn what is wrong with options and masks.

        Raises:
            UserError: see :meth:`nst.stylizer.Stylizer.__call__`.
        """
        grey = torch.full((1, 3, 64, 64), 0.5)
        styles = list(self.styles(job)) if with_styles else [grey] * len(job.styles)
        self.stylizer(grey, styles, job.alpha, **self._options | {"size": None, "max_size": None})

    def paint(self, job: Job, content: Image.Image | BaseException) -> None:
        """Make one picture of its decoded content (or of what was wrong with that); its line is printed once it is written."""
        start = time.perf_counter()
        try:
            if isinstance(content, BaseException):
                raise content
            result = self.stylizer(content, list(self.styles(job)), job.alpha, **self._options)
        except Exception as error:  # whatever it is, the other pictures are not to blame
            self._failed(job, error)
            return
        seconds = time.perf_counter() - start
        line = f"{job.output}  {result.width}×{result.height}  {seconds:.2f} s\n"
        self._writer = self._writer or ThreadPoolExecutor(max_workers=1)
        self._waiting.append((job, line, self._writer.submit(write_image, result, job.output, quality=self._quality)))
        if len(self._waiting) > WAITING:
            self._written()

    def finish(self) -> Outcome:
        """Wait for the last pictures to be written."""
        while self._waiting:
            self._written()
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None
        return self.outcome

    def _written(self) -> None:
        job, line, path = self._waiting.popleft()
        try:
            self.outcome.written.append(path.result())
        except Exception as error:
            self._failed(job, error)
        else:
            print(line, end="", flush=True)  # in one write: processes that share a batch share the output

    def _failed(self, job: Job, error: Exception) -> None:
        """A single picture that fails is the user's mistake, or ours; one of a batch is passed over."""
        if is_out_of_memory(error):
            error = UserError("not enough memory: set a smaller tile (tile=512) or max_size.")
        if self._alone:
            raise error
        if isinstance(error, UserError):
            reason = str(error)
        else:
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            log.debug("%s", job.content, exc_info=error)  # seen with hydra.verbose=true
        self.outcome.failed.append((job.content, reason))


def is_out_of_memory(error: Exception) -> bool:
    """Whether the system, or the GPU, has no memory left; on a CPU torch raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def report(outcome: Outcome) -> int:
    """Print the end of a batch; returns the exit code: 0, or 1 when pictures failed."""
    if len(outcome.written) + len(outcome.skipped) + len(outcome.failed) > 1:
        print(f"{len(outcome.written)} written, {len(outcome.skipped)} there already, {len(outcome.failed)} failed")
    for path, reason in dict.fromkeys(outcome.failed):  # in a grid a bad content fails in every style
        print(f"failed: {path}: {reason}", file=sys.stderr)
    return 1 if outcome.failed else 0


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


def _read_ahead(
    jobs: Sequence[Job], max_pixels: int | None, first_frame: bool
) -> Iterator[tuple[Job, Image.Image | BaseException]]:
    """Jobs with their decoded contents, or with what is wrong with them; the next one is decoded while the caller works on
    this one. Jobs that follow each other share a content."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        pictures: dict[Path, Future[Image.Image]] = {}
        for index, job in enumerate(jobs):
            near = [one.content for one in jobs[index : index + 2]]
            pictures = {path: picture for path, picture in pictures.items() if path in near}
            for path in near:
                if path not in pictures:
                    pictures[path] = reader.submit(read_image, path, first_frame=first_frame, max_pixels=max_pixels)
            picture = pictures[job.content]
            yield job, picture.exception() or picture.result()


def _styles(cfg: DictConfig) -> list[str]:
    if cfg.style is None:
        return [str(sample_style())]
    given: Iterable[Any] = cfg.style if isinstance(cfg.style, ListConfig) else [cfg.style]
    return find_styles(str(style) for style in given)
