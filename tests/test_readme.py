"""What the README says is so."""

from __future__ import annotations

import ast
import re

import app
import checkpoints
import commandline
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(mark: str) -> list[str]:
    return re.findall(rf"^```{mark}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_its_python_snippets_name_what_is_there() -> None:
    for snippet in blocks("python"):
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.ImportFrom):
                module = __import__(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_every_function_and_test_of_the_table_exists() -> None:
    for module, function in re.findall(r"\| `(asr|stst|tts)\.(\w+)` \|", README):
        assert callable(getattr(__import__(module), function))
    for path in re.findall(r"`(tests/\w+\.py)`", README):
        assert (ROOT / path).is_file()


def test_every_flag_it_names_is_one_and_has_the_default_it_says() -> None:
    flags = set(re.findall(r"--[a-z][a-z-]+", "".join(re.findall(r"^\| `--.*$", README, re.MULTILINE))))
    assert flags == {"--" + name.replace("_", "-") for name in [*commandline.HELP, "host", "port", "share", "auth", "max_upload"]}
    settings = checkpoints.Settings()
    assert f"| `--asr-checkpoint` | `{settings.asr_checkpoint}` |" in README
    assert f"| `--translation-checkpoint` | `{settings.translation_checkpoint}` |" in README
    assert f"{settings.max_minutes:g}, {settings.max_characters}, `200mb`" in README


def test_the_flags_of_its_example_are_understood() -> None:
    command = next(line for block in blocks("sh") for line in block.splitlines() if "--asr-checkpoint" in line)
    settings, options = app.parse(command.split()[2:])
    assert (settings.asr_checkpoint, settings.device, options.host, options.port) == ("./large-v3", "cuda", "0.0.0.0", 11147)


def test_the_space_header_names_this_app_and_the_pinned_gradio() -> None:
    header = README.split("---")[1]
    assert "app_file: app.py" in header
    version = re.search(r"sdk_version: (\S+)", header)
    assert version is not None
    assert f"gradio=={version[1]}" in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name in re.findall(r"^  - (\S+)$", header, re.MULTILINE):
        assert name in vars(checkpoints.Settings()).values()
