"""The search for a Python that can make the virtual environment, and the list of targets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_process

ROOT = Path(__file__).parents[2]
WORKS = f'exec "{sys.executable}" "$@"'
#: A shim of a version manager that has no such Python.
BROKEN = "echo 'version not installed' >&2; exit 127"
#: Says no to whatever it is asked first, which is whether it is new enough.
OLD = "exit 1"
#: Has all but what Debian puts into a package of its own.
BARE = f'case "$2" in *ensurepip*) exit 1 ;; esac; {WORKS}'


def find(
    folder: Path, python: str | None = None, **scripts: str
) -> subprocess.CompletedProcess[str]:
    """Look for a Python on a PATH that has ``scripts`` alone."""
    for name, script in scripts.items():
        path = folder / name.replace("_", ".")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    env = {"PATH": os.fspath(folder), **({"PYTHON": python} if python else {})}
    command = [str(ROOT / ".ci" / "environment"), "find"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_newest_that_works_is_taken(tmp_path: Path) -> None:
    found = find(tmp_path, python3_13=BROKEN, python3_12=WORKS, python3_11=WORKS, python3=WORKS)
    assert (found.stdout, found.stderr) == ("python3.12\n", "")


def test_one_that_lacks_the_venv_module_is_passed_over(tmp_path: Path) -> None:
    assert find(tmp_path, python3_13=BARE, python3=WORKS).stdout == "python3\n"


def test_without_a_venv_module_the_package_is_named(tmp_path: Path) -> None:
    found = find(tmp_path, python3_13=BROKEN, python3=BARE)
    assert found.returncode == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt install python{version}-venv" in found.stderr


@pytest.mark.parametrize("scripts", [{}, {"python3": OLD}, {"python3_11": BROKEN}])
def test_without_a_new_enough_python_that_is_said(tmp_path: Path, scripts: dict[str, str]) -> None:
    found = find(tmp_path, **scripts)
    assert (found.returncode, found.stdout) == (1, "")
    assert "No working Python 3.11" in found.stderr


def test_a_named_python_is_the_only_one_that_counts(tmp_path: Path) -> None:
    other = tmp_path / "my python"
    other.symlink_to(sys.executable)
    assert find(tmp_path, python=str(other), python3=WORKS).stdout == f"{other}\n"
    found = find(tmp_path, python="/no/such/python", python3=WORKS)
    assert found.returncode == 1
    assert "PYTHON=/no/such/python is no working Python" in found.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    for target in ("run", "test", "test-slow", "check", "clean", "help"):
        assert f"  make {target} " in listed
