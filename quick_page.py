"""The page in less time: compressed, and what it consists of compressed once for everybody and kept by each browser.

Knows: which of Gradio's answers are always the same. Does not know: what is on the page.
"""

from __future__ import annotations

import posixpath

from gradio.brotli_middleware import BrotliMiddleware
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUALITY = 5  # smaller than with Gradio's 4, and still quick: the page itself is compressed for each visitor
FOR_A_YEAR = (b"cache-control", b"public, max-age=31536000, immutable")  # what these files are in another version has another name


class QuickPage(BrotliMiddleware):
    """Compresses the page itself, half a megabyte, which Gradio does not.

    The eighty scripts and styles that it asks for, Gradio reads and compresses for each visitor again, while the same two cores decode
    somebody's speech. All that there are, in every encoding, take some 30 MB.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, quality=QUALITY)
        self.kept: dict[tuple[str, str], list[Message]] = {}  # by path and encoding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/":
            await super().__call__(scope, receive, send)
        elif path.startswith("/assets/"):
            await self.answer_from_memory(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def answer_from_memory(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = Headers(scope=scope).get("Accept-Encoding", "")
        key = scope["path"], next((encoding for encoding in ("br", "gzip") if encoding in accepted), "")
        answer = self.kept.get(key, [])
        if not answer:

            async def keep(message: Message) -> None:
                answer.append(message)

            await super().__call__(scope, receive, keep)
            # All of a file that there is, under its one name: there is no end to those with ".." in them.
            if answer[0]["status"] == 200 and posixpath.normpath(scope["path"]) == scope["path"]:
                answer[0]["headers"].append(FOR_A_YEAR)
                self.kept[key] = answer
        start, *body = answer
        await send({**start, "headers": [*start["headers"]]})  # to which others add theirs
        for message in body:
            await send(message)

    def _is_compressible_file_type(self, scope: Scope) -> bool:
        return scope["path"] == "/" or bool(super()._is_compressible_file_type(scope))
