"""How fast models are, by the answers that are over."""

from __future__ import annotations

import pytest

from swapd.cli.cells import speed
from swapd.cli.speeds import Speeds
from tests.cli.telling import NOW, finished


def test_the_answers_of_a_minute_count_by_their_tokens() -> None:
    speeds = Speeds()
    speeds.note(finished("a", 1000, 10.0, ago=61))
    assert speeds.of("a", NOW - 61) == pytest.approx(10)
    speeds.note(finished("a", 100, 100.0, ago=59))
    speeds.note(finished("a", 100, 50.0))
    assert speeds.of("a", NOW) == pytest.approx(200 / 3)
    assert speeds.of("b", NOW) is None


def test_after_a_minute_without_an_answer_the_last_one_counts() -> None:
    speeds = Speeds()
    speeds.note(finished("a", 100, 10.0, ago=400))
    speeds.note(finished("a", 100, 20.0, ago=350))
    assert speeds.of("a", NOW) == pytest.approx(20)


def test_where_the_server_tells_no_speed_what_it_took_counts_without_the_wait() -> None:
    speeds = Speeds()
    speeds.note(finished("a", 100, took=4.0))
    assert speeds.of("a", NOW) == pytest.approx(25)


@pytest.mark.parametrize(("tokens", "took"), [(None, 1.0), (0, 1.0), (5, 0.0), (5, -1.0)])
def test_what_says_nothing_of_speed_does_not_count(tokens: int | None, took: float) -> None:
    speeds = Speeds()
    speeds.note(finished("a", tokens, took=took))
    assert speeds.of("a", NOW) is None


@pytest.mark.parametrize(
    ("known", "told"),
    [(None, "-"), (0.04, "0.0"), (45.26, "45.3"), (99.94, "99.9"), (1234.5, "1234")],
)
def test_a_speed_is_as_exact_as_anybody_wants_it(known: float | None, told: str) -> None:
    assert speed(known) == told
