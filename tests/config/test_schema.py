"""What the settings say about themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from swapd.config.schema import Settings
from swapd.config.section import Section, sections_below


def every_section() -> Iterator[type[Section]]:
    yield Settings
    yield from (section for _, section in sections_below(Settings))


@pytest.mark.parametrize("section", dict.fromkeys(every_section()))
def test_every_key_says_what_it_is_and_what_holds_without_it(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        words = field.description or ""
        assert words.endswith("."), name
        is_section = isinstance(field.default, Section)
        assert is_section or "Default: " in words or words.endswith("Required."), name
