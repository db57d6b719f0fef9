"""How the tests of the configuration read one, and its complaints."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from swapd.config.load import parse
from swapd.config.models import Model
from swapd.config.schema import Config
from swapd.errors import InvalidConfig
from swapd.ids import ModelId


def read(text: str, environ: Mapping[str, str] | None = None) -> Config:
    """Return what ``text`` comes to, with no environment but ``environ``."""
    return parse(text, "c.yaml", environ=environ or {})


def model(text: str, environ: Mapping[str, str] | None = None) -> Model:
    """Return the model ``m`` of ``text``."""
    return read(text, environ).models[ModelId("m")]


def complaints(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the problems of ``text``, without the name of the file."""
    with pytest.raises(InvalidConfig) as caught:
        read(text, environ)
    return [problem.removeprefix("c.yaml:") for problem in caught.value.problems]


def complaint(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the only problem of ``text``."""
    found = complaints(text, environ)
    assert len(found) == 1, found
    return found[0]
