"""MCP, a reverse proxy, Docker and a Space: the ways in that are not a browser at the app's own address."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.conftest import ROOT, free_port, start_app
from tests.sounds import QUICK_BROWN_FOX

FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def mcp_url() -> Iterator[str]:
    process, url = start_app("--mcp")
    yield url
    process.terminate()
    process.wait(timeout=30)


@pytest.mark.slow
def test_an_mcp_client_finds_the_tools_with_their_descriptions_and_calls_them(mcp_url: str) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    sound = f"data:audio/wav;base64,{base64.b64encode(QUICK_BROWN_FOX.read_bytes()).decode()}"

    async def talk() -> tuple[dict[str, Any], Any, Any]:
        async with streamablehttp_client(f"{mcp_url}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            heard = await session.call_tool("transcribe", {"audio": sound, "language": "english"})
            spoken = await session.call_tool("synthesise", {"text": FOX, "voice": "embedded"})
            return tools, heard, spoken

    tools, heard, spoken = asyncio.run(talk())
    ours = {name for name in tools if not name.startswith("upload")}
    assert ours == {"transcribe", "translate", "synthesise", "speech_to_speech_translation"}, "streams forget between two calls"
    assert "in the language that is spoken" in tools["transcribe"].description
    assert "English as it is written" in json.dumps(tools["synthesise"].inputSchema)
    assert not heard.isError
    assert "fox" in heard.content[0].text.lower()
    assert not spoken.isError
    assert ".wav" in str(spoken.content)


class _Proxy(BaseHTTPRequestHandler):
    """A reverse proxy that puts the app under a path."""

    target = ""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _pass_on(self) -> None:
        assert self.path.startswith("/speech")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        path = self.path.removeprefix("/speech") or "/"
        with httpx.stream(self.command, self.target + path.lstrip("/"), headers=headers, content=body, timeout=60) as answer:
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "content-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            for piece in answer.iter_bytes():
                self.wfile.write(piece)
                self.wfile.flush()
        self.close_connection = True

    do_GET = do_POST = do_HEAD = _pass_on  # noqa: N815  # named by http.server


@pytest.mark.slow
def test_behind_a_reverse_proxy_under_a_path() -> None:
    port = free_port()
    process, url = start_app("--root-path", f"http://127.0.0.1:{port}/speech")
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Proxy", (_Proxy,), {"target": url}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/speech/").text
        assert f'"root":"http://127.0.0.1:{port}/speech"' in page.replace(" ", "")
        client = Client(f"http://127.0.0.1:{port}/speech", verbose=False)
        assert "fox" in client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe").lower()
    finally:
        server.shutdown()
        process.terminate()
        process.wait(timeout=30)


def test_nobody_is_counted(app_url: str) -> None:
    page = httpx.get(app_url).text
    assert re.search(r'"analytics_enabled":\s*false', page)


def dockerfile() -> dict[str, list[str]]:
    instructions: dict[str, list[str]] = {}
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            instructions.setdefault(word, []).append(rest)
    return instructions


def test_the_dockerfile_copies_what_the_app_reads_and_runs_as_nobody_special() -> None:
    """There is no Docker here: what it copies, its command and its health check are looked at, or run by themselves."""
    file = dockerfile()
    copied = [pattern for line in file["COPY"] for pattern in shlex.split(line)[:-1] if not pattern.startswith("--")]
    assert all(any(ROOT.glob(pattern)) for pattern in copied)
    for path in re.findall(r'HERE / "([\w.]+)"', (ROOT / "app.py").read_text(encoding="utf-8")):
        assert any((ROOT / path).match(pattern) or pattern.startswith(path) for pattern in copied), path
    assert file["USER"] == ["speech"]
    assert "HF_HOME=/weights" in file["ENV"][0]
    assert file["VOLUME"] == ["/weights"]
    assert json.loads(file["CMD"][0])[:2] == ["python", "app.py"]


def test_its_health_check_tells_an_app_that_answers_from_one_that_does_not(app_url: str) -> None:
    command = json.loads(dockerfile()["HEALTHCHECK"][0].partition("CMD ")[2])
    for url, code in ((app_url, 0), (f"http://127.0.0.1:{free_port()}/", 1)):
        script = command[2].replace("http://127.0.0.1:7860/", url)
        assert subprocess.run([sys.executable, command[1], script], capture_output=True, check=False).returncode == code


@pytest.mark.slow
def test_a_space_is_built_from_the_header_and_the_lean_requirements(tmp_path: Path) -> None:
    """As the platform builds it: Python and Gradio as the header says, then requirements.txt; then `python app.py`."""
    header = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    version = re.search(r"sdk_version: (\S+)", header)
    assert version is not None
    assert (ROOT / "packages.txt").read_text(encoding="utf-8").split() == ["ffmpeg"]
    space = tmp_path / "space"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(space)], check=True)
    venv.create(space / ".venv", with_pip=True)
    python = str(space / ".venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, f"gradio[oauth,mcp]=={version[1]}", "-r", "requirements.txt"], cwd=space, check=True)
    port = free_port()
    environment = {**os.environ, "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(port), "SPACE_ID": "somebody/speech"}
    with subprocess.Popen([python, "app.py"], cwd=space, env=environment) as process:
        try:
            for _ in range(600):
                try:
                    page = httpx.get(f"http://127.0.0.1:{port}/", timeout=5).text
                    break
                except httpx.HTTPError:
                    assert process.poll() is None
                    threading.Event().wait(0.2)
            assert "Speech" in page
            names = Client(f"http://127.0.0.1:{port}/", verbose=False).view_api(return_format="dict", print_info=False)
            assert "/transcribe" in names["named_endpoints"]
        finally:
            process.terminate()
