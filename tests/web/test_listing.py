"""The list of models, entry by entry."""

from __future__ import annotations

import json

import pytest
from pydantic import JsonValue

from swapd.config.models import Capabilities, Model
from swapd.ids import ModelId
from swapd.web.listing import Entry, listing, models
from tests.config.reading import read


def configured(text: str) -> list[Model]:
    return [*read(text).models.values()]


def capable(text: str) -> Capabilities:
    (model,) = configured(f"models: {{m: {{cmd: 's ${{PORT}}', capabilities: {text}}}}}")
    return model.capabilities


def only(entry: Entry) -> dict[str, object]:
    data = listing([entry], now=7)["data"]
    assert isinstance(data, list)
    (shown,) = data
    assert isinstance(shown, dict)
    return shown


def test_an_entry_says_no_more_than_is_known() -> None:
    assert only(Entry("m", {"type": "model"}, name=" ", description="")) == {
        "id": "m",
        "object": "model",
        "created": 7,
        "owned_by": "swapd",
        "meta": {"llamaswap": {"type": "model"}},
        "status": {"value": "unloaded"},
    }


def test_the_members_of_an_entry_have_the_order_that_clients_know() -> None:
    every = capable("{in: [text], out: [text], tools: true, context: 5}")
    entry = Entry("m", {"type": "model"}, "Name", "words", every, {"x": 1}, loaded=True)
    assert [*only(entry)] == [
        *("id", "object", "created", "owned_by", "name", "description", "architecture"),
        *("capabilities", "supported_parameters", "context_length", "meta", "status"),
    ]
    assert json.dumps(only(entry)["meta"]) == (
        '{"llamaswap": {"x": 1, "type": "model"}, "n_ctx": 5}'
    )
    assert only(entry)["status"] == {"value": "loaded"}


@pytest.mark.parametrize(
    ("capabilities", "shown"),
    [
        ("{}", {}),
        (
            "{in: [text, image], out: [text, audio], tools: true, context: 100000}",
            {
                "architecture": {
                    "input_modalities": ["text", "image"],
                    "output_modalities": ["text", "audio"],
                    "modality": "text+image->text+audio",
                },
                "capabilities": {"vision": True, "audio_speech": True, "function_calling": True},
                "supported_parameters": ["tools", "tool_choice"],
                "context_length": 100000,
            },
        ),
        (
            "{in: [image]}",
            {
                "architecture": {"input_modalities": ["image"]},
                "capabilities": {"vision": True},
            },
        ),
        ("{out: [image]}", {"architecture": {"output_modalities": ["image"]}}),
        (
            "{tools: true}",
            {
                "capabilities": {"function_calling": True},
                "supported_parameters": ["tools", "tool_choice"],
            },
        ),
        ("{reranker: true}", {"capabilities": {"reranker": True}}),
        ("{context: 32768}", {"context_length": 32768}),
    ],
)
def test_what_a_model_can_do_is_shown(capabilities: str, shown: dict[str, object]) -> None:
    entry = only(Entry("m", {}, capabilities=capable(capabilities)))
    names = ("architecture", "capabilities", "supported_parameters", "context_length")
    assert {name: entry[name] for name in names if name in entry} == shown


@pytest.mark.parametrize(
    ("modalities", "ability"),
    [
        ("{in: [audio], out: [text]}", "audio_transcriptions"),
        ("{in: [text], out: [audio]}", "audio_speech"),
        ("{in: [text], out: [image]}", "image_generation"),
    ],
)
def test_what_goes_in_and_comes_out_says_what_a_model_does(modalities: str, ability: str) -> None:
    assert only(Entry("m", {}, capabilities=capable(modalities)))["capabilities"] == {ability: True}


def test_a_model_that_changes_images_sees_them_too() -> None:
    abilities = only(Entry("m", {}, capabilities=capable("{in: [image], out: [image]}")))
    assert abilities["capabilities"] == {"vision": True, "image_to_image": True}


def test_capabilities_go_before_metadata_of_the_same_name() -> None:
    metadata: dict[str, JsonValue] = {
        "capabilities": "many",
        "context_length": 1,
        "note": "x",
        "type": "mine",
    }
    plain = only(Entry("m", {"type": "model"}, metadata={**metadata}))
    assert plain["meta"] == {"llamaswap": {**metadata, "type": "model"}}
    said = Entry("m", {"type": "model"}, capabilities=capable("{tools: yes}"), metadata=metadata)
    assert only(said)["meta"] == {"llamaswap": {"note": "x", "type": "model"}}


ALIASES = """
models:
  b: {cmd: 's ${PORT}', aliases: [nick, ' c '], name: B, metadata: {x: 1},
      capabilities: {tools: true}, filters: {setParamsByID: {'b:high': {temperature: 1}}}}
"""


def test_aliases_are_told_with_their_model_and_listed_beside_it_on_demand() -> None:
    given = configured(ALIASES)
    (alone,) = models(given, loaded=lambda model: True, with_aliases=False)
    assert alone.about == {"type": "model", "aliases": ["nick", " c ", "b:high"]}
    entries = [*models(given, loaded=lambda model: model == "b", with_aliases=True)]
    assert [entry.id for entry in entries] == ["b", "nick", " c ", "b:high"]
    for entry in entries[1:]:
        assert entry.about == {"type": "alias", "modelID": "b"}
        assert (entry.name, entry.metadata, entry.loaded) == ("B", {"x": 1}, True)
        assert entry.capabilities.tools


def test_the_list_is_sorted_by_the_bytes_of_its_names() -> None:
    names = ["b", "ä", "B", "a/b", "\U0001f600", "\uffee"]
    data = listing([Entry(name, {}) for name in names], now=7)["data"]
    assert isinstance(data, list)
    assert [entry["id"] for entry in data] == ["B", "a/b", "b", "ä", "\uffee", "\U0001f600"]


def test_a_state_is_asked_of_each_model() -> None:
    given = configured("models: {a: {cmd: 's ${PORT}'}, b: {cmd: 's ${PORT}'}}")
    entries = models(given, loaded=lambda model: model == ModelId("a"), with_aliases=True)
    assert [entry.loaded for entry in entries] == [True, False]
