"""What keeps the web page on its machine: no address is fetched by the server, none by the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nst.errors import UserError

# The browser may load from this server alone. gradio's frontend needs inline scripts and styles, and blobs for its workers.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class StaysHere:
    """ASGI middleware: adds :data:`POLICY` to every answer, and refuses requests to pass on another server's file.

    gradio's routes ``/file=URL`` and ``/proxy=URL`` would make this server fetch any address that a visitor names.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        if scope["type"] == "http" and "=http" in scope["path"].lower():
            await send_with_policy({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"this page fetches nothing from elsewhere"})
        else:
            await self.application(scope, receive, send_with_policy)


def files_only(component: Any) -> Any:
    """Make a gradio component for pictures take uploaded files alone, and leave it to nst to open them.

    gradio would download a picture given as an address, and try every decoder that Pillow has on a file. Its methods are
    replaced on the object: for a subclass gradio would write a stub file beside this one.
    """
    to_cache = component.async_move_resource_to_block_cache

    async def file_to_cache(where: Any) -> str | None:
        if "://" in str(where):
            raise UserError("give a picture file, not an address.")
        path: str | None = await to_cache(where)
        return path

    component.async_move_resource_to_block_cache = file_to_cache
    if component.type == "filepath":
        component.preprocess = lambda payload: None if payload is None else payload.path
    return component
