"""Writes tiny, deterministic model files that a real llama.cpp server loads.  Downloads nothing.

    python -m swapd.testing.tiny_models chat alpha.gguf --say "I am alpha."
    python -m swapd.testing.tiny_models embedding embed.gguf

It needs numpy and gguf, which the extra ``demo`` installs; they are imported when a file is made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

DEFAULT_SENTENCE = "Hello! I am a very tiny model and I am happy to help."


def write_chat(path: Path, *, say: str = DEFAULT_SENTENCE, name: str = "tiny-chat") -> None:
    """Write a chat model that answers ``say`` to everything and then stops.

    Raises:
      ValueError: ``say`` has no words, or does not split into pieces that all differ.
      ImportError: The extra ``demo`` is not installed.
    """
    from swapd.testing import tiny_chat

    pieces = tiny_chat.split_sentence(say)
    _whole_or_not_at_all(path, lambda part: tiny_chat.write(part, pieces, name))


def write_embedding(path: Path, *, name: str = "tiny-embedding") -> None:
    """Write an embedding model of 64 dimensions; alike texts get alike vectors.

    Raises:
      ImportError: The extra ``demo`` is not installed.
    """
    from swapd.testing import tiny_embedding

    _whole_or_not_at_all(path, lambda part: tiny_embedding.write(part, name))


def _whole_or_not_at_all(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file beside ``path``, then put it there in one step."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="tiny_models", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=["chat", "embedding"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--say", default=DEFAULT_SENTENCE, help="what a chat model says")
    parser.add_argument("--name", help="what the file says it is called")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one model; return the exit code."""
    options = parse(arguments)
    name = options.name or f"tiny-{options.kind}"
    try:
        if options.kind == "chat":
            write_chat(options.path, say=options.say, name=name)
        else:
            write_embedding(options.path, name=name)
    except ImportError as error:
        sys.stderr.write(f"{error}: install the extra, pip install 'swapd[demo]'\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot write {options.path}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
