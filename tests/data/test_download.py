"""Fetching, unpacking and checking data sets, from a server of this test."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from nst.data.download import check_pictures, download, prepare_data, unpack
from nst.errors import UserError

ROOT = Path(__file__).parent.parent.parent
CONTENT = bytes(range(256)) * 5000


class Server(ThreadingHTTPServer):
    """Serves one file; breaks off after ``breaks_after`` bytes, once; notes what was asked for."""

    content, breaks_after, resumes = CONTENT, None, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/set.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.resumes else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        body = self.server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])
        self.server.breaks_after = None

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    server.breaks_after = 300_000
    with pytest.raises(UserError, match="goes on from there"):
        download(server.url, path, md5(CONTENT))
    assert not path.exists()
    assert download(server.url, path, md5(CONTENT)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]
    download(server.url, path, md5(CONTENT))
    assert len(server.asked) == 2  # there already: nothing is asked


def test_a_server_that_cannot_go_on_sends_all_of_it_again(server: Server, tmp_path: Path) -> None:
    server.resumes = False
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1000])
    assert download(server.url, tmp_path / "set.zip", md5(CONTENT)).read_bytes() == CONTENT


def test_a_download_that_only_lacked_its_check_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "set.zip", md5(CONTENT)).read_bytes() == CONTENT


def test_a_wrong_checksum_is_told_and_the_file_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="arrived damaged"):
        download(server.url, tmp_path / "set.zip", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_no_connection_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="check the connection"):
        download("http://127.0.0.1:1/set.zip", tmp_path / "set.zip")
    with pytest.raises(UserError, match="cannot fetch"):
        download((tmp_path / "missing.zip").as_uri(), tmp_path / "set.zip")


@pytest.fixture
def archive(write_pictures: Callable[..., list[Path]], tmp_path: Path) -> Path:
    """Two movements of pictures; one file is none."""
    write_pictures("wikiart/Cubism/a.png", "wikiart/Cubism/b.png", "wikiart/Ukiyo_e/c.jpg")
    (tmp_path / "wikiart" / "Ukiyo_e" / "bad.jpg").write_text("no picture")
    path = tmp_path / "source" / "wikiart.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        for picture in sorted((tmp_path / "wikiart").rglob("*.*")):
            file.write(picture, picture.relative_to(tmp_path))
    return path


def test_unpacking_goes_on_where_it_stopped(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sets"
    assert unpack(archive, folder) == 4
    cut = folder / "wikiart" / "Cubism" / "b.png"
    cut.write_bytes(cut.read_bytes()[:20])
    assert unpack(archive, folder) == 1
    assert cut.read_bytes() == (tmp_path / "wikiart" / "Cubism" / "b.png").read_bytes()


def test_an_archive_that_leaves_its_folder_or_is_damaged_is_refused(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../outside.txt", "here")
    with pytest.raises(UserError, match="not trustworthy"):
        unpack(tmp_path / "evil.zip", tmp_path / "sets")
    assert not (tmp_path / "outside.txt").exists()
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF  # within the first picture
    archive.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        unpack(archive, tmp_path / "sets")


def test_the_check_names_every_unreadable_picture(write_pictures: Callable[..., list[Path]], tmp_path: Path) -> None:
    pictures = write_pictures("a.png", "b.jpg", "c.jpg")
    whole = pictures[1].read_bytes()
    pictures[1].write_bytes(whole[: len(whole) // 2])
    assert list(check_pictures(pictures, workers=2)) == [pictures[1]]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "configs" / "inference"), version_base="1.3"):
        return compose("prepare_data", list(overrides))


def test_a_set_is_fetched_unpacked_and_checked(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["set=wikiart", f"sets.wikiart.url={archive.as_uri()}", f"output_dir={tmp_path}/sets"]
    found = prepare_data(composed(*arguments))
    said = capsys.readouterr().out
    bad = tmp_path / "sets" / "wikiart" / "Ukiyo_e" / "bad.jpg"
    assert list(found) == [bad]
    assert "non-commercial" in said and "4 pictures in" in said and "1 of them unreadable" in said
    assert (tmp_path / "sets" / "wikiart" / "unreadable.txt").read_text().startswith(f"{bad}\t")

    bad.unlink()
    archive.unlink()  # a second run neither fetches nor unpacks: only the check is made again
    assert prepare_data(composed(*arguments)) == {}
    assert prepare_data(composed(f"check={tmp_path}/sets/wikiart")) == {}
    assert "       2  Cubism" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [(["set=imagenet"], "coco_train2017"), ([], "nothing to do")])
def test_a_mistake_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepare_data(composed(*arguments))
