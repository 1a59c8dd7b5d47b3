"""How far a text is from what was said, how much a process computes, and what it holds."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import jiwer


def words(text: str) -> str:
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substitutions, deletions and insertions per word of the reference; letter case and punctuation do not count."""
    return float(jiwer.wer(words(reference), words(hypothesis) or "*"))


def seconds_of_computing(process: subprocess.Popen[bytes]) -> float:
    """What it has computed until now."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def megabytes_held(process: int | str = "self", field: str = "VmRSS") -> float:
    """What it has in memory now, Linux; by "VmHWM" the most that it ever had."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{field}:"))
