"""prepare_data(cfg): fetch the big sets, unpack them, and list the pictures that cannot be read."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.response import addinfourl

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nst.data.folders import UnreadableReport
from nst.errors import UserError
from nst.images import find_images, read_reduced
from nst.whole_file import written_whole

BLOCK = 1 << 20  # bytes read at a time
TIMEOUT = 60  # seconds without an answer


def prepare_data(cfg: DictConfig) -> dict[Path, str]:
    """Do as ``configs/inference/prepare_data.yaml`` says, and print what was found.

    Every step passes over what is done: an interrupted run goes on when it is started again.

    Returns:
        Pictures that cannot be read, and why.

    Raises:
        UserError: an unknown set, no connection, a wrong checksum, a full disk, or no picture in the folder.
    """
    folder = Path(cfg.output_dir)
    if cfg.set is not None:
        if cfg.set not in cfg.sets:
            raise UserError(
                f"unknown set {cfg.set!r}: choose from {', '.join(cfg.sets)}, or check a folder with check=PATH."
            )
        source = cfg.sets[cfg.set]
        root, folder = folder / source.unpack_to, folder / source.pictures
        print(f"{cfg.set}: {source.terms}", flush=True)
        archive = download(source.url, root / source.url.rsplit("/", 1)[1], source.md5)
        count = unpack(archive, root)
        print(f"{root}: {count} files unpacked", flush=True)
        if not cfg.keep_archive:
            archive.write_bytes(b"")  # says that it was unpacked, and needs no space
    elif cfg.check is None:
        raise UserError(
            f"nothing to do: fetch a set with set= ({', '.join(cfg.sets)}), or check a folder with check=PATH."
        )
    else:
        folder = Path(cfg.check)
    report = UnreadableReport(cfg.report or folder / "unreadable.txt")
    report.path.unlink(missing_ok=True)
    pictures = find_images(folder)
    unreadable = check_pictures(pictures, cfg.workers)
    for path, reason in unreadable.items():
        report.add(path, reason)
    parts = Counter(path.relative_to(folder).parts[0] if path.parent != folder else "." for path in pictures)
    for name, number in sorted(parts.items()):
        print(f"{number:8d}  {name}")
    print(f"{len(pictures)} pictures in {folder}, {len(unreadable)} of them unreadable", flush=True)
    if unreadable:
        print(f"listed in {report.path}; training passes over them", flush=True)
    return unreadable


def download(url: str, path: Path, md5: str | None = None) -> Path:
    """Fetch a file; what an earlier attempt fetched is kept, if the server can go on from there.

    The file appears under its name only when complete and checked. One that is there already is left as it is.

    Args:
        url: http, https or file.
        path: where to.
        md5: checksum in hexadecimal digits, if it is known. It guards against damage, not against forgery.

    Raises:
        UserError: no connection, a broken one, a wrong checksum, or a full disk.
    """
    if path.is_file():
        return path
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        have = partial.stat().st_size if partial.is_file() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            answer = urllib.request.urlopen(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # 416: nothing is left to fetch
                raise
        else:
            with answer, partial.open("ab" if getattr(answer, "status", None) == 206 else "wb") as file:
                _copy(answer, file, path.name)
    except urllib.error.URLError as error:
        raise UserError(f"cannot fetch {url}: {error.reason}; check the connection and try again.") from error
    except OSError as error:
        raise UserError(
            f"fetching {url} to {partial} broke off: {error.strerror or error}; the same command goes on from there."
        ) from error
    if md5 is not None and (found := _md5(partial)) != md5:
        partial.unlink()
        raise UserError(f"{url} arrived damaged: its MD5 is {found} instead of {md5}; it was removed, try again.")
    partial.replace(path)
    return path


def _copy(answer: HTTPResponse | addinfourl, file: BinaryIO, name: str) -> None:
    """Write what arrives; an answer that ends too soon is an error."""
    length = answer.headers.get("Content-Length")
    begun = file.tell()
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None if length is None else begun + int(length), completed=begun)
        while block := answer.read(BLOCK):
            file.write(block)
            bar.update(task, advance=len(block))
    if length is not None and file.tell() - begun != int(length):
        raise OSError(f"{file.tell() - begun} of {length} bytes arrived")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a ZIP file; files that are there in their full size are passed over, and each appears only when complete.

    Returns:
        The number of files unpacked now.

    Raises:
        UserError: the archive is damaged or leaves its folder, or the disk is full.
    """
    if archive.stat().st_size == 0:  # unpacked before
        return 0
    count = 0
    try:
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                target = folder / member.filename
                if not target.resolve().is_relative_to(folder.resolve()):
                    raise UserError(
                        f"{archive} would write {member.filename} outside of {folder}: it is not trustworthy."
                    )
                if member.is_dir() or (target.is_file() and target.stat().st_size == member.file_size):
                    continue
                with written_whole(target) as partial:
                    partial.write_bytes(file.read(member))  # checks the CRC
                count += 1
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive} is damaged ({error}): remove it and fetch it again.") from error
    except OSError as error:
        raise UserError(
            f"cannot unpack {archive}: {error.strerror or error}; check the folder and the disk."
        ) from error
    return count


def check_pictures(pictures: Sequence[Path], workers: int) -> dict[Path, str]:
    """Decode every picture; returns those that cannot be, and why, in order."""

    def problem(path: Path) -> str | None:
        try:
            read_reduced(path, 32)
        except UserError as error:
            return str(error)
        return None

    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
        ThreadPoolExecutor(max_workers=max(workers, 1)) as pool,
    ):
        problems = list(bar.track(pool.map(problem, pictures), total=len(pictures)))
    return {path: reason for path, reason in zip(pictures, problems, strict=True) if reason is not None}
