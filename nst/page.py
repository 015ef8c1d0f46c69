"""serve(cfg): the web page. Its parts: page_layout (what stands where), page_answers (what happens), painter (the work)."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nst.checkpoints import bundled_models
from nst.errors import UserError
from nst.evaluation_rows import named_models
from nst.painter import Painter
from nst.samples import SAMPLES
from nst.stylizer import Stylizer


def serve(cfg: DictConfig) -> None:
    """Show the page that ``configs/inference/demo.yaml`` describes until it is interrupted.

    Raises:
        UserError: gradio is not installed, a model is wrong, or the port is taken.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # by which gradio asks its own server whether it is up
    folder = Path(tempfile.mkdtemp(prefix="nst-page-"))  # only its owner may look into it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl+C does, so that the folder goes
    page = build(cfg, folder)
    launch(page, cfg)
    print(f"{page.local_url}  (Ctrl+C ends it)", flush=True)
    page.block_thread()


def build(cfg: DictConfig, folder: Path) -> Any:
    """The page as a ``gradio.Blocks`` that is not served yet.

    Args:
        cfg: ``configs/inference/demo.yaml``.
        folder: where visitors' pictures and results go.

    Raises:
        UserError: gradio is not installed, or a model is wrong.
    """
    # Read by gradio, when it is imported and when components are made.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        import gradio as gr
    except ImportError:
        raise UserError('the page needs gradio: pip install -e ".[demo]".') from None
    from nst.page_answers import Answers, connect
    from nst.page_layout import TITLE, lay_out

    models = {
        name: Stylizer.from_checkpoint(source, device=cfg.device, precision=cfg.precision)
        for name, source in named_models(list(bundled_models()) if cfg.ckpt is None else cfg.ckpt).items()
    }
    if not models:
        raise UserError("ckpt names no model: give one, as in ckpt=fast.")
    answers = Answers(Painter(models, cfg.max_size, cfg.max_pixels), folder, cfg.live_seconds)
    keep = round(60 * cfg.keep_minutes)  # seconds
    look = min(keep, 60)  # seconds between looks at what is that old
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(look, keep)) as page:
        connect(lay_out(list(models)), answers)
    return page.queue(max_size=cfg.max_queue, default_concurrency_limit=1, api_open=False)


def launch(page: Any, cfg: DictConfig) -> None:
    """Start serving, in a thread of its own.

    Raises:
        UserError: host or port cannot be used.
    """
    import gradio as gr
    from starlette.middleware import Middleware  # of gradio's server

    from nst.page_layout import STYLESHEET
    from nst.page_privacy import StaysHere

    if cfg.port is not None and not (isinstance(cfg.port, int) and 0 < cfg.port < 65536):
        raise UserError(f"port={cfg.port}: give a number from 1 to 65535, or null for a free one.")
    try:
        page.launch(
            server_name=cfg.host,
            server_port=cfg.port,
            root_path=cfg.root_path,
            max_file_size=f"{cfg.max_upload_mb}mb",
            allowed_paths=[str(SAMPLES)],
            share=False,
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            footer_links=[],
            state_session_capacity=1000,
            app_kwargs={
                "middleware": [Middleware(StaysHere)],
                "docs_url": None,
                "redoc_url": None,
                "openapi_url": None,
            },
            css=STYLESHEET,
            # Fonts of the visitor's system: none is fetched.
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        place = f"{cfg.host}:{cfg.port or 7860}"
        raise UserError(f"cannot listen on {place}: give another port, as in port=8000, or host. ({error})") from None
