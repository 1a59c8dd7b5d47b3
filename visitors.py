"""What each visitor has said, and for how long it is kept.

Knows: a visitor's streams, runs and files; who left and when.
Does not know: the page, Gradio, what a stream holds, how anything is decoded.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from checkpoints import Settings
from errors import RefusalError
from streams import Stream

S = TypeVar("S", bound=Stream)

GRACE_SECONDS = 60.0  # a phone that sleeps, or a network that blinks, is not a visitor who left
IDLE_SECONDS = 3600.0  # a program that opened a session and never closed it
UNCLAIMED_SECONDS = 3600.0  # an upload that nothing was done with; of several large files, the first waits long for the last


class Told(TypedDict):
    """What a page tells of a recording."""

    take: int  # which of its recordings
    chunks: int  # how many chunks of it were sent, this one included


Sent = Told | None  # None: a page without its script


class LimitError(RefusalError):
    """More than whoever runs the app allows; the message names the limit and what would fit."""


def delete_upload(upload: Path) -> None:
    """With its folder: each upload has one of its own."""
    upload.unlink(missing_ok=True)
    with suppress(OSError):
        upload.parent.rmdir()


@dataclass(eq=False)
class Visitor:
    """One browser tab's, or one API client's, streams by name, and the files made for it."""

    streams: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, threading.Event] = field(default_factory=dict)  # what is under way by name; set once nobody wants it any more
    takes: dict[str, int] = field(default_factory=dict)  # which recording of the page each stream is
    factors: dict[str, float] = field(default_factory=dict)  # of the last run of each model: s of computing per s of audio
    changing: threading.Lock = field(default_factory=threading.Lock)  # held for an assignment
    decoding: threading.Lock = field(default_factory=threading.Lock)  # held for a decode
    n_running: int = 0
    last_seen: float = field(default_factory=time.monotonic)
    left: bool = False
    is_gone: bool = False  # and nothing of theirs is worth a computation
    _asked: dict[str, list[threading.Event]] = field(default_factory=dict)  # runs that wait for their turn, by name; set once cancelled
    _uploads: set[Path] = field(default_factory=set)
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def is_served(self) -> bool:
        """Whether they have said something, or have something made. Who only looks at the page costs nothing."""
        return bool(self.streams or self.n_running)

    @contextmanager
    def running(self, max_runs: int) -> Iterator[None]:
        """Counts a run while it lasts.

        Raises:
            LimitError: this visitor has as many under way already.
        """
        with self.changing:
            if self.n_running >= max_runs:
                raise LimitError(f"You have {max_runs} runs under way already. Wait for one to end, or cancel it.")
            self.n_running += 1
        try:
            yield
        finally:
            with self.changing:
                self.n_running -= 1

    def ask(self, name: str) -> None:
        """A run of this name will begin when its turn comes. Until then it can be cancelled, too."""
        with self.changing:
            self._asked[name] = [*(run for run in self._asked.get(name, ()) if not run.is_set()), threading.Event()]

    @contextmanager
    def cancellable(self, name: str) -> Iterator[threading.Event]:
        """A run by name, while it lasts. A second of this name takes its place: the first is cancelled, and no longer `is_current`."""
        with self.changing:
            asked = self._asked.get(name)
            mine = asked.pop(0) if asked else threading.Event()
            if name in self.runs:
                self.runs[name].set()
            self.runs[name] = mine
        try:
            yield mine
        finally:
            with self.changing:
                if self.runs.get(name) is mine:
                    del self.runs[name]

    def is_current(self, name: str, run: threading.Event) -> bool:
        return self.runs.get(name) is run

    def cancel(self, name: str) -> bool:
        """Ends what has this name, or waits for its turn; False where nothing does."""
        with self.changing:
            runs = [*self._asked.get(name, ()), *([self.runs[name]] if name in self.runs else ())]
            for run in runs:
                run.set()
        return bool(runs)

    def begin(self, name: str, stream: Stream, sent: Sent = None) -> None:
        """A new recording takes the place of the last one."""
        with self.changing:
            self.streams[name], self.takes[name] = stream, sent["take"] if sent else 0

    def stream(self, name: str, sent: Sent = None) -> Any:
        """The stream of this name; None if there is none, or if the page speaks of another recording than it is of."""
        with self.changing:
            return self.streams.get(name) if sent is None or sent["take"] == self.takes.get(name) else None

    def heard_all(self, name: str, sent: Sent, patience: float) -> bool:
        """After Stop, waits for the chunks that are still on their way; False where a new recording has begun meanwhile."""
        until = time.monotonic() + patience
        while (stream := self.stream(name, sent)) is not None:
            if stream.recording.n_chunks >= (sent["chunks"] if sent else 0) or time.monotonic() > until:
                stream.recording.finish()
                return True
            time.sleep(0.02)
        return name not in self.streams  # nothing was begun, so that there is nothing to spoil

    def advance(self, name: str, decode: Callable[[S], S], sent: Sent = None) -> S | None:
        """Decodes what was said since the last time; None where there is nothing, or a new recording has begun meanwhile.

        Args:
            sent: of which recording, where only that one is meant.
        """
        with self.decoding:
            before = self.stream(name, sent)
            if before is None:
                return None
            try:
                after = decode(before)
            except Exception:
                if self.streams.get(name) is not before:  # what is wrong with the last recording is no matter of the new one's
                    return None
                raise
            with self.changing:
                if self.streams.get(name) is not before:
                    return None
                self.streams[name] = after
            return after

    def folder(self, parent: Path) -> Path:
        """A folder of this visitor's own, whose name nobody can guess, deleted when they are gone.

        Args:
            parent: where it is made; the page can hand out what is there.
        """
        with self.changing:
            if self._folder is None:
                parent.mkdir(parents=True, exist_ok=True)
                self._folder = tempfile.TemporaryDirectory(prefix=secrets.token_urlsafe(16), dir=parent, ignore_cleanup_errors=True)
            return Path(self._folder.name)

    def new_folder(self, parent: Path) -> Path:
        """One within it, for files that take the place of others on the page: browsers keep what they got by its name."""
        return Path(tempfile.mkdtemp(dir=self.folder(parent)))

    def write(self, parent: Path, name: str, text: str) -> Path | None:
        """A file in such a folder; None where the disk is full: what is on the page must not be lost for want of a file."""
        try:
            path = self.new_folder(parent) / name
            path.write_text(text, encoding="utf-8")
        except OSError:
            return None
        return path

    def own(self, upload: Path) -> None:
        """A file that they have uploaded, to be deleted when they are gone."""
        with self.changing:
            self._uploads.add(upload)

    def places(self) -> set[Path]:
        """The folders of what is theirs."""
        with self.changing:
            folders = {upload.parent for upload in self._uploads}
        return folders | ({Path(self._folder.name)} if self._folder is not None else set())

    def free(self) -> None:
        self.is_gone = True
        for name in (*self.runs, *self._asked):
            self.cancel(name)
        self.streams.clear()
        with self.changing:
            uploads, self._uploads = self._uploads, set()
        for upload in uploads:
            delete_upload(upload)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class Visitors:
    """Everyone's streams, each under the session that Gradio gave its page; freed when the page is closed."""

    def __init__(self, max_visitors: int = Settings().max_visitors) -> None:
        self.max_visitors = max_visitors
        self._visitors: dict[str, Visitor] = {}
        self._waiting: threading.Timer | None = None  # until those who left are forgotten
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._visitors)

    def of(self, session: str | None, to_begin: bool = False) -> Visitor:
        """Whoever has this session; None is a call without one, as of an MCP tool: somebody new.

        Args:
            to_begin: something is about to be made for them.

        Raises:
            LimitError: there are too many others.
        """
        session = session or secrets.token_urlsafe(16)
        with self._lock:
            self._free_idle()
            visitor = self._visitors.get(session)
            if (visitor is None or (to_begin and not visitor.is_served)) and self._n_served() >= self.max_visitors:
                self._free(lambda visitor: visitor.left)  # within their grace: whoever is here goes first
                if self._n_served() >= self.max_visitors:
                    raise LimitError(
                        f"{self.max_visitors} visitors are here already, as many as this machine can serve. Try again in a few minutes."
                    )
            visitor = self._visitors.setdefault(session, Visitor())
            visitor.last_seen, visitor.left = time.monotonic(), False
            return visitor

    def _n_served(self) -> int:
        return sum(visitor.is_served for visitor in self._visitors.values())

    def leave(self, session: str | None) -> None:
        """The page was closed; a visitor who is not back after a grace is forgotten."""
        visitor = self._visitors.get(session or "")
        if visitor is not None:
            visitor.last_seen, visitor.left = time.monotonic(), True
            with self._lock:
                self._wait()

    def free(self) -> None:
        """Forgets everyone: the app is being stopped."""
        self._free(lambda visitor: True)

    def sweep(self, folder: Path) -> None:
        """Deletes of what lies in the folder, once it is an hour old, what is nobody's who is here: uploads that nothing was done with."""
        with self._lock:
            self._free_idle()
            kept = {place for visitor in self._visitors.values() for place in visitor.places()}
        for place in folder.glob("*"):  # of which there are none where something else has deleted the folder
            with suppress(OSError):  # it went meanwhile
                newest = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
                if place not in kept and time.time() - newest > UNCLAIMED_SECONDS:
                    if place.is_dir():
                        shutil.rmtree(place)
                    else:
                        place.unlink()

    def _free_idle(self) -> None:
        self._free(lambda visitor: not visitor.n_running and time.monotonic() - visitor.last_seen > IDLE_SECONDS)

    def _wait(self) -> None:
        """For the end of the first grace: one thread, however many leave at once."""
        left = [visitor.last_seen for visitor in self._visitors.values() if visitor.left]
        if left and self._waiting is None:
            self._waiting = threading.Timer(max(0.0, min(left) + GRACE_SECONDS - time.monotonic()), self._forget_those_who_left)
            self._waiting.daemon = True
            self._waiting.start()

    def _forget_those_who_left(self) -> None:
        with self._lock:
            self._free(lambda visitor: visitor.left and time.monotonic() - visitor.last_seen >= GRACE_SECONDS)
            self._waiting = None
            self._wait()

    def _free(self, gone: Callable[[Visitor], bool]) -> None:
        for session in [session for session, visitor in [*self._visitors.items()] if gone(visitor)]:
            self._visitors.pop(session).free()
