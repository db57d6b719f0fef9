"""Writes a configuration for a folder of somebody's own model files.  Starts nothing."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

#: Real models take their time, above all when they are read for the first time.
HEALTH_CHECK_SECONDS = 600

FIRST_SHARD = re.compile(r"-00001-of-\d{5}$")
LATER_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
EMBEDS = re.compile(r"embed|minilm|(?<![a-z])(bge|gte|e5)(?![a-z0-9])", re.IGNORECASE)
RERANKS = re.compile(r"rerank", re.IGNORECASE)


class CannotDemoError(Exception):
    """The demo cannot be served; its text says why and what to do."""


class OwnModel(NamedTuple):
    """One model file, and the options its kind needs beyond those of a chat model."""

    id: str
    path: Path
    options: tuple[str, ...]


def find_models(folder: Path) -> list[OwnModel]:
    """Return the models in ``folder`` and below, by name.

    Raises:
      CannotDemoError: There is no such folder, or no model in it.
    """
    if not folder.is_dir():
        raise CannotDemoError(f"MODELS={folder}: there is no such folder")
    models: dict[str, OwnModel] = {}
    for path in sorted(folder.resolve().rglob("*.gguf")):
        if (name := model_name(path)) is None:
            continue
        if name in models:  # of two alike, the second is told by where it lies
            name = f"{path.parent.name}/{name}"
        models[name] = OwnModel(name, path, kind_options(name))
    if not models:
        raise CannotDemoError(f"MODELS={folder}: no model file (*.gguf) is in it")
    return [models[name] for name in sorted(models)]


def model_name(path: Path) -> str | None:
    """Return what the model in ``path`` is called, or None if the file is but a part of one."""
    name = FIRST_SHARD.sub("", path.stem)
    if LATER_SHARD.search(name) or name.lower().startswith("mmproj"):
        return None
    return name


def kind_options(name: str) -> tuple[str, ...]:
    """Return the options of llama-server that a model of this name seems to need."""
    if RERANKS.search(name):
        return ("--reranking",)
    return ("--embeddings",) if EMBEDS.search(name) else ()


def find_server() -> str:
    """Return the path of llama-server.

    Raises:
      CannotDemoError: It is not on PATH.
    """
    if (found := shutil.which("llama-server")) is None:
        raise CannotDemoError(
            "MODELS= needs llama-server on PATH, and it is not there: install llama.cpp, "
            "or run the demo's own models with a plain make run"
        )
    return found


def configuration(models: Sequence[OwnModel], *, server: str) -> str:
    """Return a configuration in YAML that runs ``models``, one at a time."""
    entries = {model.id: {"cmd": _command(model, server)} for model in models}
    return "# Written by `make run MODELS=…`, anew each time.\n" + yaml.safe_dump(
        {"healthCheckTimeout": HEALTH_CHECK_SECONDS, "models": entries},
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )


def _command(model: OwnModel, server: str) -> str:
    fixed = [shlex.quote(server), "--host 127.0.0.1 --port ${PORT}", *model.options]
    return " ".join([*fixed, "--alias", shlex.quote(model.id), "-m", shlex.quote(str(model.path))])
