"""What is evaluated: the bounds, models, folders of finished outputs and other programs, each a :class:`Row`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from nst.checkpoints import bundled_models
from nst.errors import UserError
from nst.images import IMAGE_SUFFIXES, on_white, read_image, resize_shorter_side
from nst.peers import Peer, build_peers
from nst.stylizer import Stylizer


@dataclass(frozen=True)
class Source:
    """A content or style picture file, seen at the size of the evaluation."""

    path: Path
    size: int

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def image(self) -> Image.Image:
        """RGB, ``size`` × ``size``."""
        return _read_square(self.path, self.size)


Pair = tuple[Source, Source]  # content, style


@dataclass(frozen=True)
class Row:
    """A line of the table: something that makes an output of a content and a style.

    Attributes:
        name: what the table calls it.
        paint: the output of a content and a prepared style.
        prepare: what a style is to it; done once a style and not timed.
        alpha: degree of stylization, of models only.
        timed: whether it computes anything, so that its time and memory mean something.
        own_process: whether it does so in a process of its own, whose memory cannot be measured.
    """

    name: str
    paint: Callable[[Source, Any], Image.Image]
    prepare: Callable[[Source], Any] = lambda style: style
    alpha: float | None = None
    timed: bool = True
    own_process: bool = False

    @property
    def label(self) -> str:
        return self.name if self.alpha is None else f"{self.name} alpha={self.alpha:g}"


CONTENT_COPIED = Row("content copied", lambda content, style: content.image, timed=False)
STYLE_COPIED = Row("style copied", lambda content, style: style.image, timed=False)


def build_rows(cfg: DictConfig, pairs: Sequence[Pair]) -> list[Row]:
    """The bounds, then everything that the config names.

    Raises:
        UserError: a model, folder or program that is not there, two rows of one name, or, with ``save_pictures``, one whose
            name cannot be that of a folder.
    """
    rows = [CONTENT_COPIED, STYLE_COPIED, *_models(cfg), *_finished_outputs(cfg, pairs), *_peers(cfg)]
    labels = [row.label for row in rows]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"two rows are called {label!r}: name them yourself, as in ckpt={{old: PATH, new: PATH}}.")
    for row in rows:
        if cfg.save_pictures and row.timed and (row.label in ("", "..") or Path(row.label).name != row.label):
            raise UserError(
                f"save_pictures=true: the row {row.label!r} cannot give its pictures' folder its name: choose one without "
                "slashes, as in peers={name: …} or ckpt={name: …}."
            )
    return rows


def square(image: Image.Image, size: int) -> Image.Image:
    """Shorter side resized to ``size`` (Lanczos), then the middle ``size`` × ``size``; transparency on white."""
    resized = resize_shorter_side(on_white(image), size)
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return resized.crop((left, top, left + size, top + size))


@lru_cache(maxsize=256)
def _read_square(path: Path, size: int) -> Image.Image:
    return square(read_image(path), size)


def _models(cfg: DictConfig) -> list[Row]:
    given = _plain(cfg.alpha)
    alphas = given if isinstance(given, list) else [given]
    if len({f"{alpha:g}" for alpha in alphas}) < len(alphas):
        raise UserError(f"alpha={alphas}: give no alpha twice, each is a row.")
    rows = []
    for name, source in named_models(cfg.ckpt).items():
        stylizer = Stylizer.from_checkpoint(source, device=cfg.device, precision=cfg.precision)
        rows += [_model(name, stylizer, alpha) for alpha in alphas]
    return rows


def _model(name: str, stylizer: Stylizer, alpha: float) -> Row:
    def paint(content: Source, style: Any) -> Image.Image:
        return stylizer(content.image, style, alpha=alpha)

    def prepare(style: Source) -> Any:
        return stylizer.encode_style(style.image, style_size=None)

    return Row(name, paint, prepare, alpha=float(alpha))


def named_models(ckpt: Any) -> dict[str, str]:
    """Models by the name of their row: as given, or else the bundled name or the file's."""
    bundled = bundled_models()
    return named(ckpt, "ckpt", "models", lambda source: source if source in bundled else Path(source).stem)


def named(given: Any, key: str, what: str, name_of: Callable[[str], str]) -> dict[str, str]:
    """What a key names, one thing, a list or ``{name: thing}``, by the name of its row.

    Args:
        given: the key's value; null names nothing.
        key, what: the key, and what its things are, for the message.
        name_of: the name of a thing that is given without one.

    Raises:
        UserError: two of one name.
    """
    plain = _plain(given)
    if isinstance(plain, Mapping):
        return {str(name): str(thing) for name, thing in plain.items()}
    things = [str(thing) for thing in (plain if isinstance(plain, list) else [plain]) if thing is not None]
    names = [name_of(thing) for thing in things]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise UserError(f"two {what} are called {twice!r}: name them, as in {key}={{old: PATH, new: PATH}}.")
    return dict(zip(names, things, strict=True))


def _finished_outputs(cfg: DictConfig, pairs: Sequence[Pair]) -> list[Row]:
    rows = []
    if not all(place in str(cfg.output_name) for place in ("{content}", "{style}")):
        raise UserError(
            f"output_name={cfg.output_name!r} needs {{content}} and {{style}}, as in {{content}}--{{style}}."
        )
    folders = named(cfg.outputs, "outputs", "folders", lambda folder: Path(os.path.abspath(folder)).name)
    for name, folder in folders.items():
        wanted = {pair: _named_after(pair, cfg.output_name) for pair in pairs}
        found = _by_stem(folder)
        if missing := [stem for stem in wanted.values() if stem not in found]:
            raise UserError(
                f"outputs.{name}: {len(missing)} of {len(wanted)} pictures are not in {folder!r}, the first "
                f"{missing[0]!r}: name them as output_name says, or choose the same content, style, limit."
            )
        files = {pair: found[stem] for pair, stem in wanted.items()}

        def paint(content: Source, style: Source, files: Mapping[Pair, Path] = files) -> Image.Image:
            return read_image(files[content, style])

        rows.append(Row(name, paint, timed=False))
    return rows


def _named_after(pair: Pair, output_name: str) -> str:
    return output_name.replace("{content}", pair[0].name).replace("{style}", pair[1].name)


def _by_stem(folder: str) -> dict[str, Path]:
    """Pictures directly in a folder, by their name without suffix."""
    if not Path(folder).is_dir():
        return {}
    return {path.stem: path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}


def output_path(folder: str | Path, pair: Pair) -> Path:
    """Where the output of a pair is: ``<content>--<style>.png``."""
    return Path(folder) / f"{pair[0].name}--{pair[1].name}.png"


def _peers(cfg: DictConfig) -> list[Row]:
    rows = []
    for name, peer in build_peers(named(cfg.peers, "peers", "programs", str)).items():

        def paint(content: Source, style: Any, peer: Peer = peer) -> Image.Image:
            return peer.paint(content.image, style)

        def prepare(style: Source, peer: Peer = peer) -> Any:
            return peer.prepare(style.image)

        rows.append(Row(name, paint, prepare, own_process=peer.own_process))
    return rows


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
