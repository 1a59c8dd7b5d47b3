"""`import gradio` in two thirds of its time; whoever wants the page soon imports this first.

For editors, Gradio writes a type stub beside each of its components, which its package carries already, and looks through their
sources for that whenever it is imported. It leaves out what has no source file (`gradio.component_meta.create_or_modify_pyi`), so for
the time of the import no class has one.
"""

from __future__ import annotations

from unittest.mock import patch


def _no_source_file(_: object) -> str:
    raise FileNotFoundError


with patch("inspect.getfile", _no_source_file):
    import gradio  # noqa: F401  what is imported once is imported for all
