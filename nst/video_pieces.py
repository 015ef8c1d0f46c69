"""A film in the making: finished pieces beside the output, from which an interrupted run goes on."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from nst.errors import UserError
from nst.steady import SteadyPainter
from nst.video_writing import Encoding, Piece, join, telling
from nst.whole_file import written_whole

PIECE_FRAMES = 100  # what an interruption costs at most


class FilmInTheMaking:
    """Collects a film's frames in pieces, in the hidden folder ``.NAME.parts`` beside the output.

    A finished piece has a file beside it with the painter's state after its last frame: painting goes on from there as if it
    had never stopped. A piece without that file is unfinished and is made again.

    Args:
        encoding: of the output.
        painter: is put into the state in which the last finished piece left it.
        job: tells this film apart from others under the same name, whose pieces are thrown away when a frame of this one is
            there to be kept.

    Attributes:
        done: frames in finished pieces.

    Raises:
        UserError: the folder cannot be read.
    """

    def __init__(self, encoding: Encoding, painter: SteadyPainter, job: str) -> None:
        self.encoding, self.painter = encoding, painter
        self.folder = encoding.output.with_name(f".{encoding.output.name}.parts")
        self.done, self._end, self._frames = 0, 0, 0
        self._pieces: list[Path] = []
        self._piece: Piece | None = None
        self._job, note = job, self.folder / "job"
        with telling(self.encoding.output):
            self._begun = note.is_file() and note.read_text() == job
        while self._begun and (state := self._next().with_suffix(".safetensors")).is_file():
            with safe_open(state, framework="pt") as file:
                notes = file.metadata()
                painter.load_state({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            self.done, self._end = int(notes["done"]), int(notes["end"])
            self._pieces.append(self._next())

    def __enter__(self) -> FilmInTheMaking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._piece is not None:  # unfinished
            with suppress(UserError), telling(self.encoding.output):  # what cannot be written was said before
                self._piece.close()

    def write(self, picture: Tensor, time: int, duration: int) -> None:
        """Append a ``(1, 3, H, W)`` uint8 RGB picture; times are in the film's time base.

        Raises:
            UserError: the folder cannot be written, the disk is full, or the like.
        """
        with telling(self.encoding.output):
            if not self._begun:
                self._begin()
            if self._piece is None:
                self._piece = Piece(self._next(), self.encoding)
            self._piece.write(picture, time, duration)
            self._frames, self._end = self._frames + 1, time + duration
            if self._frames == PIECE_FRAMES:
                self._finish_piece()

    def finish(self) -> Path:
        """Make the film and remove its pieces.

        Raises:
            UserError: there are no frames, or the file cannot be written.
        """
        with telling(self.encoding.output):
            if self._piece is not None:
                self._finish_piece()
        if not self._pieces:
            raise UserError(f"cannot read {self.encoding.film.path}: it has no frames; fetch or export it again.")
        join(self._pieces, self._end, self.encoding)
        shutil.rmtree(self.folder)
        return self.encoding.output

    def _begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "job").write_text(self._job)
        self._begun = True

    def _next(self) -> Path:
        return self.folder / f"{len(self._pieces):05d}.nut"  # a container for any codec and exact times

    def _finish_piece(self) -> None:
        assert self._piece is not None
        piece, self._piece = self._piece, None
        piece.close()
        self.done, self._frames = self.done + self._frames, 0
        with written_whole(piece.path.with_suffix(".safetensors")) as partial:
            save_file(self.painter.state(), partial, {"done": str(self.done), "end": str(self._end)})
        self._pieces.append(piece.path)
