"""What a visitor cannot make the server do, beside what Gradio forbids by itself.

Knows: where Gradio would fetch an address that a visitor names, and where it would leave files behind. Does not know: anything else;
SECURITY.md has the rest, with the test behind every promise.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils, route_utils
from gradio.data_classes import FileData
from gradio.route_utils import GradioMultiPartParser, GradioUploadFile
from starlette.datastructures import FormData

from telling import say

_parse_upload = GradioMultiPartParser.parse


def close() -> None:
    """Addresses are not fetched, whoever names them: in a call of the API or of an MCP tool a file comes by itself, uploaded or as data.

    Nor is anything left that Gradio would never delete: half of an upload whose browser was closed or that the disk had no room for, and
    an empty file for each that was chosen. Each upload lies in a folder of its own, even where two people upload the same: what is of one
    can be deleted without the other.
    """
    processing_utils.async_ssrf_protected_download = _refuse_later
    processing_utils.save_url_to_cache = _refuse
    route_utils.GradioUploadFile = _Upload  # type: ignore[misc]
    GradioMultiPartParser.parse = _parse_whole_upload  # type: ignore[method-assign,assignment]
    gr.File._process_single_file = gr.UploadButton._process_single_file = _path_of  # type: ignore[method-assign,assignment]


class _Upload(GradioUploadFile):
    """Its folder is called after this hash, of its content and something that nobody can guess."""

    def __init__(self, *file: Any, **described: Any) -> None:
        super().__init__(*file, **described)
        self.sha.update(secrets.token_bytes(16))


async def _refuse_later(url: str, cache_dir: str) -> str:
    return _refuse(url, cache_dir)


def _refuse(url: str, cache_dir: str) -> str:
    raise gr.Error(say("No address is fetched here. Upload the file itself."), print_exception=False, title="")


async def _parse_whole_upload(parser: GradioMultiPartParser) -> FormData:
    try:
        return await _parse_upload(parser)
    except BaseException:
        for file in parser._files_to_close_on_error:
            Path(file.name).unlink(missing_ok=True)
            with suppress(OSError):  # the disk has no room for what it still holds
                file.close()
        raise


def _path_of(_: gr.File | gr.UploadButton, file: FileData) -> str:
    return file.path
