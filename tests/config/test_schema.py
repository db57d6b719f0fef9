"""What the settings say about themselves."""

from __future__ import annotations

import json

import pytest

from swapd.config.keys import NOT_YET_AT_TOP, NOT_YET_IN_MODEL
from swapd.config.models import ModelSettings
from swapd.config.schema import GroupSettings, Hooks, OnStartup, Server, Settings
from swapd.config.section import Section

SECTIONS: list[type[Section]] = [
    Settings,
    ModelSettings,
    GroupSettings,
    Hooks,
    OnStartup,
    Server,
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_says_what_it_is(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_editors_get_a_json_schema_with_the_keys_of_the_file() -> None:
    schema = Settings.model_json_schema()
    assert json.dumps(schema)
    assert "globalTTL" in schema["properties"]
    model = schema["$defs"]["ModelSettings"]
    assert "checkEndpoint" in model["properties"]
    assert model["additionalProperties"] is False
    assert model["properties"]["ttl"]["minimum"] == -1


def test_no_key_is_both_known_and_still_to_come() -> None:
    assert not NOT_YET_AT_TOP & set(Settings.known_keys())
    assert not NOT_YET_IN_MODEL & set(ModelSettings.known_keys())
