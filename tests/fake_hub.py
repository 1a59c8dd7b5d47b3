"""A small HTTP server that stands in for the Hugging Face Hub, because none can be reached where these tests run.

It speaks as much of the Hub's API as `huggingface_hub.snapshot_download` and `datasets.load_dataset(streaming=True)` ask
for, and both run against it unmodified with HF_ENDPOINT set: lists of repositories, information about one, its tree, paths-info, and
resolve with ETag, X-Repo-Commit and Range. Large files are redirected to a content address, as the Hub redirects them to
its CDN. It knows no Xet, no tokens and no gated repositories.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_FILES = (".safetensors", ".bin", ".model", ".parquet")  # what .gitattributes on the Hub gives to LFS


@dataclass
class Repository:
    """The files of a folder, at one commit."""

    folder: Path
    commit: str
    revisions: set[str]  # names besides the commit's own: "main", "refs/convert/parquet"

    def files(self) -> dict[str, Path]:
        return {file.relative_to(self.folder).as_posix(): file for file in sorted(self.folder.rglob("*")) if file.is_file()}


@dataclass
class FakeHub:
    """`with FakeHub() as hub: hub.add(...)`; then HF_ENDPOINT is `hub.url`."""

    url: str = ""
    cdn: str = ""
    requests: list[str] = field(default_factory=list)  # "GET /api/models/...", in the order they came
    ranges: list[str] = field(default_factory=list)  # Range headers of GET requests
    break_off: dict[str, int] = field(default_factory=dict)  # file -> bytes after which its next transfer breaks off, once
    refuse: set[str] = field(default_factory=set)  # files that are answered with 403
    _repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)  # ("models", "openai/whisper-base")

    def add(self, name: str, folder: Path, *, kind: str = "models", commit: str | None = None, revision: str = "main") -> str:
        """Hosts a folder's files under a name; returns the commit."""
        commit = commit or hashlib.sha1(name.encode()).hexdigest()
        self._repositories[kind, name] = Repository(folder, commit, {revision})
        return commit

    def __enter__(self) -> FakeHub:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.cdn = f"http://localhost:{self._server.server_port}/cdn"  # a host of another name, whose redirects are not followed blindly
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Refused(Exception):  # noqa: N818  # an HTTP answer rather than an error of this program
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Stays quiet; the requests are in `hub.requests`."""

    def _serve(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._answer(urlsplit(self.path).path, body)
        except _Refused as refused:
            self._send(refused.status, b"", {"X-Error-Code": refused.code, "X-Error-Message": refused.code})

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815  # named by http.server

    def _answer(self, path: str, body: bytes) -> None:
        if path == "/":
            return self._send(200, b"the fake Hub")
        if path.startswith("/cdn/"):
            return self._content(path.removeprefix("/cdn/"))
        if path.startswith("/api/"):
            return self._api(path.removeprefix("/api/"), body)
        kind = "datasets" if path.startswith("/datasets/") else "models"
        owner, name, resolve, *rest = path.removeprefix("/datasets").strip("/").split("/")
        if resolve != "resolve":
            raise _Refused(404, "EntryNotFound")
        return self._resolve(*self._repository(kind, f"{owner}/{name}", rest))

    def _api(self, path: str, body: bytes) -> None:
        """`models?author=&search=`, or `models/{owner}/{name}`, then nothing, `revision/{revision}`, `tree/{revision}/{path}` or
        `paths-info/{revision}`."""
        if path == "models":
            asked = {name: value for name, [value] in parse_qs(urlsplit(self.path).query).items()}
            names = [name for kind, name in self.hub._repositories if kind == "models"]
            return self._send_json([{"id": name} for name in names if name.startswith(f"{asked['author']}/") and asked["search"] in name])
        kind, owner, name, *rest = [*path.split("/"), "", ""][: max(3, path.count("/") + 1)]
        what, rest = (rest[0], rest[1:]) if rest else ("", [])
        repository, under = self._repository(kind, f"{owner}/{name}", rest or ["main"])
        entries = [self._entry(file, repository.folder / file) for file in repository.files()]
        if what in ("", "revision"):
            siblings = [{"rfilename": file} for file in repository.files()]
            info = {"id": f"{owner}/{name}", "sha": repository.commit, "siblings": siblings, "private": False, "tags": []}
            return self._send_json(info)
        folders = {"/".join(entry["path"].split("/")[:depth]) for entry in entries for depth in range(1, entry["path"].count("/") + 1)}
        entries += [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder} for folder in sorted(folders)]
        if what == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            return self._send_json([entry for entry in entries if entry["path"] in asked])
        if what == "tree":
            recursive = "recursive=true" in self.path.lower()
            inside = [entry for entry in entries if not under or entry["path"].startswith(f"{under}/")]
            depth = under.count("/") + 1 if under else 0
            return self._send_json([entry for entry in inside if recursive or entry["path"].count("/") == depth])
        raise _Refused(404, "EntryNotFound")

    def _repository(self, kind: str, name: str, rest: list[str]) -> tuple[Repository, str]:
        """The repository, and the path inside it. A revision's slashes come quoted, a path's do not."""
        repository = self.hub._repositories.get((kind, name))
        if repository is None:
            raise _Refused(404, "RepoNotFound")
        revision, path = unquote(rest[0]), unquote("/".join(rest[1:]))
        if revision != repository.commit and revision not in repository.revisions:
            raise _Refused(404, "RevisionNotFound")
        return repository, path

    def _entry(self, path: str, file: Path) -> dict[str, Any]:
        content = file.read_bytes()
        entry = {"type": "file", "oid": _git_blob(content), "size": len(content), "path": path}
        if path.endswith(LARGE_FILES):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry

    def _resolve(self, repository: Repository, path: str) -> None:
        file = repository.files().get(path)
        if file is None:
            raise _Refused(404, "EntryNotFound")
        if path in self.hub.refuse:
            raise _Refused(403, "Forbidden")
        content, headers = file.read_bytes(), {"X-Repo-Commit": repository.commit}
        if not path.endswith(LARGE_FILES):
            return self._send_range(content, {**headers, "ETag": f'"{_git_blob(content)}"'})
        sha256 = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content)), "Location": f"{self.hub.cdn}/{sha256}"}
        return self._send(302, b"", headers)

    def _content(self, sha256: str) -> None:
        for repository in self.hub._repositories.values():
            for path, file in repository.files().items():
                content = file.read_bytes()
                if path.endswith(LARGE_FILES) and hashlib.sha256(content).hexdigest() == sha256:
                    limit = self.hub.break_off.pop(path, None) if self.command == "GET" else None
                    return self._send_range(content, {"ETag": f'"{sha256}"'}, limit)
        raise _Refused(404, "EntryNotFound")

    def _send_range(self, content: bytes, headers: dict[str, str], break_off_after: int | None = None) -> None:
        """All of it, or the one range that was asked for."""
        asked = self.headers.get("Range") if self.command == "GET" else None
        headers = {**headers, "Accept-Ranges": "bytes"}
        if asked is None:
            return self._send(200, content, headers, break_off_after)
        self.hub.ranges.append(asked)
        first, last = asked.removeprefix("bytes=").split("-")
        start = int(first) if first else len(content) - int(last)
        end = min(int(last), len(content) - 1) if first and last else len(content) - 1
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._send(206, content[start : end + 1], headers, break_off_after)

    def _send_json(self, answer: Any) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None, break_off_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:break_off_after])
        if break_off_after is not None:
            self.wfile.flush()
            self.close_connection = True


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
