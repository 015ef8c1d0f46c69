"""The web page: its answers, what keeps it on its machine, and the page as a browser sees it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from nst import Stylizer, UserError
from nst.checkpoints import save_model
from nst.networks import build as build_network
from nst.page import build, launch
from nst.page_privacy import POLICY, StaysHere
from nst.painter import Painter

pytest.importorskip("gradio")

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "data" / "samples"


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "configs" / "inference"), version_base="1.3"):
        return compose("demo", list(overrides))


@pytest.fixture
def answers(tiny_config: dict[str, Any], tmp_path: Path) -> Any:
    from nst.page_answers import Answers

    painter = Painter({"fast": Stylizer(build_network(tiny_config), precision="float32")})
    return Answers(painter, tmp_path / "results", live_seconds=1.0)


@pytest.fixture
def values(write_pictures: Callable[..., list[Path]]) -> list[Any]:
    """What the page sends: photograph, styles, weights, model, alpha, style size, colours, strokes, elsewhere."""
    photo, style = (str(path) for path in write_pictures("photo.png", "style.png"))
    return [photo, style, None, None, 1, 1, 1, "fast", 0.5, 512, "of the painting", None, "the photograph"]


def skipped(value: Any) -> bool:
    return isinstance(value, dict) and value == {"__type__": "update"}


def test_a_click_gives_time_before_after_and_a_download(answers: Any, values: list[Any]) -> None:
    status, (before, after), download = answers.paint(*values)
    assert re.fullmatch(r"<p>\d+\.\d\d s with fast, 40 × 32 pixels</p>", status)
    assert Image.open(before).size == Image.open(after).size == (40, 32)
    assert Path(after).name == "photo-painted.jpg" and download.value is not None and download.interactive
    expected = answers.painter.models["fast"](values[0], values[1], 0.5)
    assert np.abs(np.asarray(Image.open(after), float) - np.asarray(expected)).mean() < 4  # of JPEG


def test_a_mistake_is_a_line_that_leaves_the_last_result(answers: Any, values: list[Any], tmp_path: Path) -> None:
    (tmp_path / "<b>.jpg").write_text("no picture")
    status, *others = answers.paint(str(tmp_path / "<b>.jpg"), *values[1:])
    assert status.startswith('<p class="error" role="alert">cannot read &lt;b&gt;.jpg: no picture of a known format')
    assert all(skipped(other) for other in others)


def test_controls_are_followed_by_a_model_that_is_quick(answers: Any, values: list[Any]) -> None:
    assert all(skipped(answer) for answer in answers.follow(*values))  # how quick it is, nobody knows yet
    answers.paint(*values)
    answers.painter.seconds["fast"] = 0.9
    assert "with fast" in answers.follow(*values)[0]
    assert all(skipped(answer) for answer in answers.follow(None, *values[1:]))  # there is nothing to paint
    answers.painter.seconds["fast"] = 1.1
    assert all(skipped(answer) for answer in answers.follow(*values))


def test_a_dropped_file_lies_under_the_brush_or_is_refused_at_once(
    answers: Any, values: list[Any], tmp_path: Path
) -> None:
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "large.png")
    kept, canvas, strokes, status = answers.receive(str(tmp_path / "large.png"))
    assert skipped(kept) and skipped(status) and strokes is None
    assert canvas.size == (512, 256)

    (tmp_path / "notes.jpg").write_text("no picture")
    emptied, canvas, strokes, status = answers.receive(str(tmp_path / "notes.jpg"))
    assert emptied is None and canvas is None and strokes is None and "cannot read notes.jpg" in status
    emptied, status = answers.check(str(tmp_path / "notes.jpg"))
    assert emptied is None and "cannot read notes.jpg" in status
    assert all(skipped(answer) for answer in answers.check(values[1]))


def test_strokes_are_the_layer_of_the_editor() -> None:
    from nst.page_answers import last_layer

    layer = np.zeros((4, 5, 4), dtype=np.uint8)
    assert last_layer({"background": None, "layers": [layer], "composite": None}) is layer
    assert last_layer(None) is None and last_layer({"background": None, "layers": [], "composite": None}) is None


def test_a_picture_s_address_is_not_fetched() -> None:
    import gradio as gr

    from nst.page_privacy import files_only

    image = files_only(gr.Image(type="filepath"))
    with pytest.raises(UserError, match="give a picture file, not an address"):
        asyncio.run(image.async_move_resource_to_block_cache("http://127.0.0.1:9/picture.jpg"))


def test_every_answer_carries_the_policy_and_no_address_is_passed_on() -> None:
    reached = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})

    def ask(path: str) -> dict[str, Any]:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(StaysHere(application)({"type": "http", "path": path}, None, send))  # type: ignore[arg-type]
        return sent[0]

    for path, status in (
        ("/", 200),
        ("/gradio_api/file=https://host/a.jpg", 403),
        ("/gradio_api/proxy=HTTP://host", 403),
    ):
        answer = ask(path)
        assert answer["status"] == status
        assert dict(answer["headers"])[b"content-security-policy"] == POLICY.encode()
    assert reached == ["/"]


@pytest.fixture
def small_page(tiny_config: dict[str, Any], tmp_path: Path) -> Iterator[Any]:
    """A served page with a tiny model."""
    state = build_network(tiny_config).own_state_dict()
    save_model(tiny_config, state, tmp_path / "tiny.safetensors")
    cfg = config(f"ckpt={tmp_path / 'tiny.safetensors'}", "port=null", "max_upload_mb=1")
    with pytest.MonkeyPatch.context() as patch:  # build sets variables of the environment
        patch.setenv("GRADIO_TEMP_DIR", "")
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "")
        page = build(cfg, tmp_path / "folder")
        launch(page, cfg)
        yield page
        page.close(verbose=False)


def test_a_served_page_names_no_other_host_and_refuses_large_files(small_page: Any) -> None:
    url = small_page.local_url
    assert urlsplit(url).hostname == "127.0.0.1"
    for part in ("", "theme.css"):
        with urllib.request.urlopen(url + part) as answer:
            text = answer.read().decode()
            assert answer.headers["content-security-policy"] == POLICY
        loaded = re.findall(r"""(?:src|href)=["'](https?:[^"']+)|url\(["']?(https?:[^"')]+)""", text)
        assert loaded == []

    def upload(size: int) -> int:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
            + bytes(size)
            + b"\r\n--x--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        try:
            return urllib.request.urlopen(urllib.request.Request(url + "gradio_api/upload", body, headers)).status
        except urllib.error.HTTPError as error:
            return error.code

    assert upload(100_000) == 200 and upload(2_000_000) == 413


@pytest.mark.parametrize("port", ["-1", "abc", "70000"])
def test_a_port_that_cannot_be_is_one_line(port: str) -> None:
    with pytest.raises(UserError, match=rf"port={port}: give a number"):
        launch(None, config(f"port={port}"))


def test_a_port_in_use_is_one_line() -> None:
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as page, socket.create_server(("127.0.0.1", 0)) as taken:
        cfg = config(f"port={taken.getsockname()[1]}")
        with pytest.raises(UserError, match=rf"cannot listen on 127.0.0.1:{cfg.port}: give another port"):
            launch(page, cfg)


# From here on a browser.

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HOSTS_REACHED = """
import os, sys
def note(event, values):
    if event == "socket.getaddrinfo":
        host = values[0]
    elif event == "socket.connect" and isinstance(values[1], tuple):
        host = values[1][0]
    else:
        return
    with open(os.environ["HOSTS_REACHED"], "a") as file:
        file.write(f"{host}\\n")
sys.addaudithook(note)
"""


class Browser:
    """The page in headless Chromium, and the server behind it."""

    def __init__(self, folder: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        (folder / "sitecustomize.py").write_text(HOSTS_REACHED)
        self.hosts = folder / "hosts.txt"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": str(folder), "HOSTS_REACHED": str(self.hosts)}
        command = [sys.executable, str(ROOT / "scripts" / "demo.py"), f"port={self.port}", "live_seconds=30"]
        self.server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout is not None
        first = self.server.stdout.readline()
        assert first.startswith(f"http://127.0.0.1:{self.port}/"), first
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",  # inside containers
            "--disable-dev-shm-usage",
            "--disable-background-networking",  # of the browser itself
            "--disable-component-update",
            "--enable-unsafe-swiftshader",  # the canvas draws with WebGL
            "--window-size=1280,1000",
        ):
            options.add_argument(argument)
        self.downloads = folder / "downloads"
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(DRIVER))
        self.driver.get(f"http://127.0.0.1:{self.port}/")
        self.until(lambda: self.driver.find_elements("id", "paint"), "the page")

    def until(self, done: Callable[[], Any], what: str, seconds: float = 90) -> Any:
        end = time.monotonic() + seconds
        while not (found := done()):
            assert time.monotonic() < end, f"waited {seconds} s for {what}; status: {self.status}"
            time.sleep(0.1)
        return found

    def find(self, selector: str) -> Any:
        return self.until(lambda: self.driver.find_elements("css selector", selector), selector)[0]

    @property
    def status(self) -> str:
        return self.driver.find_element("id", "status").text

    def drop(self, where: str, file: Path) -> None:
        self.find(f"#{where} input[type=file]").send_keys(str(file))

    def addresses(self) -> list[str]:
        return [image.get_attribute("src") for image in self.driver.find_elements("css selector", "#result img")]

    def painted(self, act: Callable[[], Any]) -> np.ndarray:
        """The new result after ``act``, ``(H, W, 3)``, once no newer one comes."""
        before = self.addresses()
        act()
        self.until(lambda: len(self.addresses()) == 2 and self.addresses() != before, "a picture")
        last: list[str] = []
        while last != self.addresses():
            last = self.addresses()
            time.sleep(2)
        with urllib.request.urlopen(last[1]) as answer:
            return np.asarray(Image.open(BytesIO(answer.read())).convert("RGB"), dtype=float)

    def move_alpha(self, key: str) -> None:
        self.find("#alpha input[type=range]").send_keys(key)

    def console_errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def close(self) -> None:
        self.driver.quit()
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(30)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    pytest.importorskip("selenium", reason="selenium drives the browser")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    browser = Browser(tmp_path)
    yield browser
    browser.close()


@pytest.mark.slow
def test_a_visitor_paints_a_photograph(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    photo, style = tmp_path / "cup.png", tmp_path / "wave.png"
    Image.open(SAMPLES / "content" / "coffee.jpg").resize((240, 160)).save(photo)
    Image.open(SAMPLES / "style" / "ukiyo_e" / "great_wave.jpg").resize((200, 160)).save(style)
    content = np.asarray(Image.open(photo), dtype=float)
    notes = tmp_path / "notes.jpg"
    notes.write_text("this is no picture")

    def distance(picture: np.ndarray) -> float:
        return float(np.abs(picture - content).mean())

    # A text file is refused by the one line, and the page goes on.
    browser.drop("photograph", notes)
    browser.until(lambda: browser.status.startswith("cannot read notes.jpg: no picture of a known format"), "the error")

    # A photograph and a painting: what the library makes of them.
    browser.until(
        lambda: browser.driver.find_elements("css selector", "#photograph input[type=file]"), "a place for it"
    )
    browser.drop("photograph", photo)
    browser.drop("style1", style)
    browser.until(
        lambda: len(browser.driver.find_elements("css selector", "#photograph img, #style1 img")) == 2, "both"
    )
    full = browser.painted(browser.find("#paint").click)
    assert re.fullmatch(r"\d+\.\d\d s with fast, 240 × 160 pixels", browser.status)
    stylizer = Stylizer.from_pretrained("fast")
    expected = np.asarray(stylizer(photo, style), dtype=float)
    assert np.abs(full - expected).mean() < 3 < distance(full)

    browser.find("#download").click()
    file = browser.downloads / "cup-painted.jpg"
    browser.until(file.is_file, "the download")
    assert np.array_equal(np.asarray(Image.open(file), dtype=float), full)

    # Alpha is followed without a click: from the style towards the photograph, and as the library has it.
    none = browser.painted(lambda: browser.move_alpha(Keys.HOME))
    half = browser.painted(lambda: [browser.move_alpha(Keys.ARROW_RIGHT) for _ in range(25)])
    assert distance(none) < distance(half) < distance(full) and distance(none) < 0.5 * distance(full)
    assert np.abs(half - np.asarray(stylizer(photo, style, alpha=0.5), dtype=float)).mean() < 3
    assert browser.painted(lambda: browser.move_alpha(Keys.END)).shape == full.shape

    # A stroke keeps the style where it is.
    browser.find("#brush > button").click()
    canvas = browser.find("#canvas canvas")
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    time.sleep(3)  # until the canvas has drawn the photograph and stands still

    def stroke() -> None:
        pen = ActionChains(browser.driver).move_to_element(canvas).click_and_hold()
        pen.move_by_offset(-40, 0).move_by_offset(80, 0).release().perform()

    brushed = np.abs(browser.painted(stroke) - content).mean(axis=2)
    assert brushed[70:90, 100:140].mean() > 3 * brushed[:20, :40].mean()

    # Nothing on a telephone is wider than its screen.
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    time.sleep(1)
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    folder = Path(re.search(r"file=(/.*?nst-page-[^/]+)", browser.addresses()[1])[1])  # type: ignore[index]
    assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0

    assert browser.console_errors() == []
    asked = {url for url in browser.requests() if not url.startswith(("data:", "blob:"))}
    assert {urlsplit(url).netloc for url in asked} == {f"127.0.0.1:{browser.port}"} and len(asked) > 50
    browser.close()
    assert "127.0.0.1" in (reached := set(browser.hosts.read_text().split())) and reached <= {"127.0.0.1", "localhost"}
    assert not folder.exists()


@pytest.mark.slow
def test_an_example_is_painted_at_a_click(browser: Browser) -> None:
    def click() -> None:
        chips = browser.driver.find_elements("css selector", "#examples button, .examples button, .gallery-item")
        next(chip for chip in chips if chip.text.strip() == "cat, circles").click()

    example = browser.painted(click)
    assert example.shape == (300, 451, 3)
    expected = Stylizer.from_pretrained("fast")(
        SAMPLES / "content" / "chelsea.jpg", SAMPLES / "style" / "abstract" / "circles_in_squares.jpg"
    )
    assert np.abs(example - np.asarray(expected)).mean() < 3
    shown = browser.find("#style1 img").get_attribute("src")
    browser.find("#samples1 button.thumbnail-item").click()
    browser.until(lambda: browser.find("#style1 img").get_attribute("src") != shown, "the sample")
    sample = browser.painted(browser.find("#paint").click)
    assert np.abs(sample - example).mean() > 3
    assert browser.console_errors() == []
