"""A folder of somebody's models becomes a configuration."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
import yaml

from swapd.testing.demo_folder import CannotDemoError, configuration, find_models, find_server


def folder_of(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def ids(folder: Path) -> list[str]:
    return [model.id for model in find_models(folder)]


def test_each_file_is_a_model_named_after_it(tmp_path: Path) -> None:
    assert ids(folder_of(tmp_path, "b-7b.gguf", "a.Q4_K_M.gguf", "readme.md")) == [
        "a.Q4_K_M",
        "b-7b",
    ]


def test_shards_are_one_model_and_projectors_are_none(tmp_path: Path) -> None:
    names = ["big-00001-of-00003.gguf", "big-00002-of-00003.gguf", "big-00003-of-00003.gguf"]
    (model,) = find_models(folder_of(tmp_path, *names, "mmproj-f16.gguf"))
    assert (model.id, model.path.name) == ("big", names[0])


def test_models_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    assert ids(folder_of(tmp_path, "q4/model.gguf", "q8/model.gguf")) == ["model", "q8/model"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nomic-embed-text-v1.5.Q8_0", ("--embeddings",)),
        ("bge-m3-f16", ("--embeddings",)),
        ("all-MiniLM-L6-v2", ("--embeddings",)),
        ("multilingual-e5-small", ("--embeddings",)),
        ("bge-reranker-v2-m3", ("--reranking",)),
        ("Qwen3-8B-Q4_K_M", ()),
        ("gpt-oss-20b-mxfp4", ()),
    ],
)
def test_the_name_tells_what_kind_of_model_it_is(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    (model,) = find_models(folder_of(tmp_path, f"{name}.gguf"))
    assert model.options == options


def test_the_configuration_runs_each_file_whatever_its_path_is(tmp_path: Path) -> None:
    models = find_models(folder_of(tmp_path / "my models", "it's.gguf", "embed.gguf"))
    entries = yaml.safe_load(configuration(models, server="/opt/llama server"))["models"]
    assert list(entries) == ["embed", "it's"]
    server, *options = shlex.split(entries["it's"]["cmd"])
    assert server == "/opt/llama server"
    assert options[options.index("-m") + 1] == str(tmp_path / "my models" / "it's.gguf")
    assert options[options.index("--port") + 1] == "${PORT}"
    assert "--embeddings" in shlex.split(entries["embed"]["cmd"])


def test_a_folder_that_is_not_there_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotDemoError, match="no such folder"):
        find_models(tmp_path / "none")
    with pytest.raises(CannotDemoError, match="no model file"):
        find_models(tmp_path)


def test_without_llama_server_on_path_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(CannotDemoError, match="llama-server"):
        find_server()
