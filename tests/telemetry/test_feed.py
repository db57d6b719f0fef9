"""Telling whoever listens."""

from __future__ import annotations

from swapd.telemetry.feed import Feed


def test_whoever_listens_is_told_and_nobody_else() -> None:
    feed: Feed[int] = Feed()
    first, second = list[int](), list[int]()
    assert not feed
    feed.tell(1)
    with feed.listen(first.append):
        assert feed
        feed.tell(2)
        with feed.listen(second.append):
            feed.tell(3)
        feed.tell(4)
    feed.tell(5)
    assert not feed
    assert (first, second) == ([2, 3, 4], [3])


def test_who_listens_twice_is_told_twice_until_it_leaves_once() -> None:
    feed: Feed[int] = Feed()
    heard = list[int]()
    with feed.listen(heard.append):
        with feed.listen(heard.append):
            feed.tell(1)
        feed.tell(2)
    assert heard == [1, 1, 2]


def test_who_leaves_or_comes_while_news_are_told_harms_nobody() -> None:
    feed: Feed[int] = Feed()
    heard = list[int]()
    leaving = feed.listen(heard.append)

    def leave(_: int) -> None:
        leaving.__exit__(None, None, None)

    with feed.listen(leave):
        leaving.__enter__()
        feed.tell(1)
        feed_is_left = [*heard]
    assert feed_is_left == [1], "what was on its way still comes"
    feed.tell(2)
    assert heard == [1]
