"""What is installed: the lock file says it exactly, its hashes hold, and nothing in it is known to be vulnerable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

LOCK = ROOT / "requirements.lock"


def required(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("  #")[0]) for line in lines if line and not line.startswith(("#", "-r"))]


def locked() -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+) \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("requirement", required("requirements.txt") + required("requirements-embedded.txt"), ids=lambda each: each.name)
def test_the_lock_answers_every_requirement(requirement: Requirement) -> None:
    version = locked()[requirement.name.replace("_", "-")]
    assert requirement.specifier.contains(version), f"{requirement} but {version} is locked; the lock's first lines say how it is made"


def test_everything_in_the_lock_has_a_hash() -> None:
    entries = re.split(r"\n(?=[\w.-]+==)", LOCK.read_text(encoding="utf-8"))[1:]
    assert len(entries) == len(locked())
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.slow
def test_what_can_be_had_is_what_was_locked(tmp_path: Path) -> None:
    """pip downloads each, and refuses what has another hash."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-d", str(tmp_path), "-r", str(LOCK)]
    subprocess.run(command, check=True, timeout=900)
    assert len(list(tmp_path.iterdir())) == len(locked())


@pytest.mark.slow
def test_nothing_in_the_lock_is_known_to_be_vulnerable() -> None:
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--no-deps", "--disable-pip", "-f", "json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False, timeout=600).stdout)["dependencies"]
    audited = [each for each in found if "vulns" in each]
    if not audited:
        pytest.skip("no advisory database can be reached")
    assert {each["name"]: each["vulns"] for each in audited if each["vulns"]} == {}
