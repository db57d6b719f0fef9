"""Real llama.cpp servers with tiny real models, where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from swapd.testing import demo_server, tiny_models
from swapd.testing.running import configuration

#: What embeds, beside those that chat.
EMBED = "embed"

MARKS = [
    pytest.mark.real_process,
    pytest.mark.real_llama,
    pytest.mark.skipif(demo_server.why_not_here() is not None, reason="no llama.cpp server here"),
]


def write_models(folder: Path, sentences: Mapping[str, str]) -> Path:
    """Write a model for each of ``sentences``, which says nothing else, and one that embeds."""
    for name, sentence in sentences.items():
        tiny_models.write_chat(folder / f"{name}.gguf", say=sentence, name=name)
    tiny_models.write_embedding(folder / f"{EMBED}.gguf")
    return folder


def serving(folder: Path, *names: str, **others: object) -> str:
    """Return a configuration of the models ``names`` in ``folder``, and of the one that embeds."""
    started = f"{demo_server.real_server()} --host 127.0.0.1 --port ${{PORT}}"
    commands = {name: f"{started} --alias {name} -m {folder / name}.gguf" for name in names}
    commands[EMBED] = f"{started} --alias {EMBED} -m {folder / EMBED}.gguf --embeddings"
    return configuration(commands, **others)
