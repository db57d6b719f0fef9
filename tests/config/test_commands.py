"""How commands are cut into arguments."""

from __future__ import annotations

import pytest

from swapd.config.commands import UnterminatedQuote, split, without_comments

SAME_AS_A_PEER = [
    ("a \\\n b", ("a", "b")),
    ("a\\\nb", ("a", "b")),
    ("a\\  \nb", ("a", "b")),
    ("a # b", ("a", "#", "b")),
    ("a \\\n# c \\\nb", ("a", "b")),
    ("a \"b c\" 'd e'", ("a", "b c", "d e")),
    ('a "b\\"c" \'d\\e\'', ("a", 'b"c', "d\\e")),
    ('a b\\ c \\"q\\"', ("a", "b c", '"q"')),
    ('a "$X \\$Y \\n"', ("a", "$X $Y \\n")),
    ('a "\\`\\\\\\x"', ("a", "`\\\\x")),
    ('a ""', ("a", "")),
    ("a '' b", ("a", "", "b")),
    ("a\"b\"'c'd", ("abcd",)),
    ("a b\\", ("a", "b")),
    ("a b\\\\", ("a", "b ")),
    ("a\tb\rc", ("a", "b\rc")),
    ("a --x='{\"k\": 1}'", ("a", '--x={"k": 1}')),
    ("C:\\foo\\bar.exe -m C:\\x y", ("C:foobar.exe", "-m", "C:x", "y")),
    ('a "b""c" d', ("a", "bc", "d")),
    ("a '\"device=2,3\"'", ("a", '"device=2,3"')),
    ("a | b > c && d; e &", ("a", "|", "b", ">", "c", "&&", "d;", "e", "&")),
    ("a $HOME ~ * `x`", ("a", "$HOME", "~", "*", "`x`")),
    ("", ()),
    (" \n\t ", ()),
    ("# only", ()),
    ("\\", ()),
]


@pytest.mark.parametrize(("command", "arguments"), SAME_AS_A_PEER)
def test_a_command_is_cut_as_everyone_expects(command: str, arguments: tuple[str, ...]) -> None:
    assert split(command) == arguments


LINES_INSIDE_QUOTES = [
    ("a 'multi\n# no\nline'", ("a", "multi\n# no\nline")),
    ("a 'multi\\\nline'", ("a", "multi\\\nline")),
    ('a "multi\\\nline"', ("a", "multiline")),
    ('a "multi\n# no\\"\nline" \\\n# yes "\nb', ("a", 'multi\n# no"\nline', "b")),
    ("a '  \\\n  ' \\\n b", ("a", "  \\\n  ", "b")),
]


@pytest.mark.parametrize(("command", "arguments"), LINES_INSIDE_QUOTES)
def test_lines_inside_quotes_are_kept(command: str, arguments: tuple[str, ...]) -> None:
    assert split(command) == arguments


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ('a "unterminated x', 0),
        ("a\n'b", 1),
        ("a\n# it's\n'b' \\\n  c 'd\ne", 3),
        ('a "b\\"', 0),
        ("a don't", 0),
    ],
)
def test_a_quote_that_never_closes_is_a_problem_with_its_line(command: str, line: int) -> None:
    with pytest.raises(UnterminatedQuote) as caught:
        split(command)
    assert caught.value.line == line
    assert f"in line {line + 1}" in str(caught.value)


def test_a_long_command_with_comments_quotes_and_continuations() -> None:
    command = """
    python model1.py \\
        -a "double quotes" \\
        --arg2 'single quotes'
        -s
        # comment 1
        --arg3 123 \\

        # comment 2
        --arg4 '"string in string"'
        -c "'single quoted'"
    """
    assert split(command) == (
        *("python", "model1.py", "-a", "double quotes", "--arg2", "single quotes", "-s"),
        *("--arg3", "123", "--arg4", '"string in string"', "-c", "'single quoted'"),
    )


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("a\nb", "a\nb"),
        ("a\n# x\nb", "a\nb"),
        ("# x\na\n   # y\nb # z\n#", "a\nb # z"),
        ("a\n\nb", "a\n\nb"),
        ("# x\n# y", ""),
        ("", ""),
        ("a '\n# no\n'", "a '\n# no\n'"),
    ],
)
def test_comment_lines_go_and_nothing_else(command: str, kept: str) -> None:
    assert without_comments(command) == kept
