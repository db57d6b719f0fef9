"""Asks other programs of the system; each has a few seconds."""

from __future__ import annotations

import shutil
import subprocess

#: Seconds that a program may take.
PATIENCE = 5.0


def is_there(program: str) -> bool:
    """Tell whether ``program`` is on PATH."""
    return shutil.which(program) is not None


def output_of(*command: str, patience: float = PATIENCE) -> bytes:
    """Return what ``command`` writes to its standard output; blocks for ``patience`` seconds.

    Raises:
      OSError: It cannot be run, takes too long, or fails.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience, check=True, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} does not answer within {patience:g} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-200:]
        raise OSError(f"{command[0]} exited with code {error.returncode}: {said}") from None
    return done.stdout
