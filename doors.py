"""What a visitor cannot make the server do, beside what Gradio forbids by itself.

Knows: the two places where Gradio would fetch an address that a visitor names. Does not know: anything else; SECURITY.md has the rest,
with the test behind every promise.
"""

from __future__ import annotations

import gradio as gr
from gradio import processing_utils

from telling import say


def close() -> None:
    """Addresses are not fetched, whoever names them: in a call of the API or of an MCP tool a file comes by itself, uploaded or as data."""
    processing_utils.async_ssrf_protected_download = _refuse_later
    processing_utils.save_url_to_cache = _refuse


async def _refuse_later(url: str, cache_dir: str) -> str:
    return _refuse(url, cache_dir)


def _refuse(url: str, cache_dir: str) -> str:
    raise gr.Error(say("No address is fetched here. Upload the file itself."), print_exception=False, title="")
