"""Regular expressions that were written for RE2 mean the same here, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.patterns import compiled
from swapd.config.server import DEFAULT_IGNORE_PATH
from tests.config.reading import complaint, read


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        (
            DEFAULT_IGNORE_PATH,
            ["/foo.js", "/static/img.png", "/favicon.ico"],
            ["/v1/models", "/js"],
        ),
        ("^/a", ["/ab"], ["/b/a"]),
        ("", ["", "/x"], []),
        ("(?i)ABC", ["xabcx"], ["ab"]),
        ("a(?i:B)c", ["abc", "aBc"], ["abC"]),
        ("(?<name>a)b", ["ab"], ["b"]),
        ("(?P<name>a)b", ["ab"], ["b"]),
        (r"x\z", ["x"], ["x\n"]),
        (r"\Aa", ["ab"], ["ba"]),
        ("[[:alpha:]]+[[:digit:]]", ["ab1"], ["1", "-1"]),
        ("[^[:space:]x]", ["a"], [" ", "x"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[[&~|]x", ["[x", "&x"], ["ax"]),
        (r"\Qa.b\Ec", ["a.bc"], ["axbc"]),
        (r"\Qa.b", ["a.b"], ["axb"]),
        (r"\x{2f}x", ["/x"], ["x"]),
        ("a+?b*?", ["a"], ["b"]),
        (r"\d", ["1"], ["\u0661"]),
    ],
)
def test_patterns_find_what_they_find_elsewhere(
    pattern: str, found: list[str], missed: list[str]
) -> None:
    expression = compiled(pattern)
    assert all(expression.search(text) for text in found)
    assert not any(expression.search(text) for text in missed)


@pytest.mark.parametrize(
    "pattern",
    [
        *("[invalid(", "(", "a)", "*", "a**", "a++", "a?+", "a{2,1}", "(?P<n>a)(?P<n>b)"),
        *("(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?P=n)", "(?>a)", "(?#a)", "(?x)a"),
        *(r"\pL", r"\p{Greek}", r"\Z", r"\k<a>", "[[:nope:]]", "[[:^alpha:]]", "\\", r"\x{110000}"),
        *("(?(1)a)", "(?P>n)"),
    ],
)
def test_patterns_that_would_mean_something_else_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression: "):
        compiled(pattern)


@given(st.text("ab\\[](){}?*+^$|.:<>=!P#pQEzx1-,&~", max_size=12))
def test_no_pattern_is_a_crash(pattern: str) -> None:
    error = ""
    try:
        compiled(pattern)
    except ValueError as refused:
        error = str(refused)
    assert not error or error.startswith("is no regular expression: ")


@pytest.mark.parametrize("section", ["~", "{}", "{ignorePaths: []}", "{ignorePaths: [~]}"])
def test_without_a_word_files_of_pages_load_no_model(section: str) -> None:
    (pattern,) = read(f"upstream: {section}").ignore_paths
    assert pattern.pattern == DEFAULT_IGNORE_PATH


def test_patterns_of_the_file_take_the_place_of_the_default() -> None:
    found = read(r"upstream: {ignorePaths: ['^/static/', '\.map$']}").ignore_paths
    assert [bool(pattern.search("/x.map")) for pattern in found] == [False, True]


def test_a_pattern_that_is_none_is_told_with_its_place() -> None:
    assert complaint("upstream: {ignorePaths: [a, '[invalid(']}").startswith(
        "1:29: upstream.ignorePaths[1]: is no regular expression: "
    )
