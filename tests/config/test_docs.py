"""The document of the configuration says what the settings say."""

from __future__ import annotations

import re

from swapd.config.load import parse
from swapd.config.server import DEFAULT_IGNORE_PATH
from tests.config.key_tables import DOCUMENT, every_section, marked, rewritten

#: Sections that are told where their twins are.
TWINS = {
    "routing.router.settings.groups.<name>": "groups.<name>",
    "routing.router.settings.matrix": "matrix",
}


def test_the_tables_are_those_of_the_settings() -> None:
    """When this fails: python -m tests.config.key_tables."""
    document = DOCUMENT.read_text()
    assert rewritten(document) == document


def test_no_section_is_left_out() -> None:
    expected = {TWINS.get(path, path) for path in every_section()}
    assert marked(DOCUMENT.read_text()) == expected | {"own"}


def test_the_pieces_of_yaml_are_configurations() -> None:
    pieces = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    models = "".join(f"  {name}: {{cmd: 'x ${{PORT}}'}}\n" for name in ("gemma", "qwen", "voxtral"))
    models += "  llama-70b: {cmd: 'x ${PORT}'}\n"
    assert len(pieces) == 4
    for piece in pieces:
        rest = "" if "models:" in piece else f"models:\n{models}"
        assert parse(piece + rest, "c.yaml").warnings == ()


def test_the_default_of_ignored_paths_is_as_told() -> None:
    assert re.search(DEFAULT_IGNORE_PATH, "/a.js")
    assert re.search(DEFAULT_IGNORE_PATH, "/a.png")
