"""What all commands have in common: their help, and that docs/cli.md knows them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from swapd.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

COMMANDS = sorted(main.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_plain_text_of_some_80_columns(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: main {name}")
    assert "\\" not in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    options = [each for each in main.commands[name].params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_the_page_of_commands_has_a_row_for_each() -> None:
    named = re.findall(r"^\| `swapd (\w+)", PAGE.read_text(), re.MULTILINE)
    assert sorted({*named}) == COMMANDS


@pytest.mark.real_process
def test_swapd_is_a_module_that_can_be_run() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "swapd", "nonsense"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("Usage: swapd ")
