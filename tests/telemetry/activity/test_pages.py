"""Every page holds what a plain list of rows, filtered and sorted, would hold there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from hypothesis import example, given
from hypothesis import strategies as st

from swapd.telemetry.activity.keeping import Retention
from swapd.telemetry.activity.pages import Page, SortBy, Wanted, find_page
from swapd.telemetry.activity.row import Row
from swapd.telemetry.activity.store import Store
from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import Usage
from tests.telemetry.activity.finished import NOW, finished

T = TypeVar("T")

KEYS: dict[SortBy, Callable[[Row], str | float]] = {
    SortBy.ID: lambda row: row.id,
    SortBy.TIME: lambda row: row.created,
    SortBy.MODEL: lambda row: row.model,
    SortBy.PATH: lambda row: row.path,
    SortBy.STATUS: lambda row: row.status,
    SortBy.CONTENT_TYPE: lambda row: row.content_type,
    SortBy.CACHED: lambda row: row.cached,
    SortBy.PROMPT: lambda row: row.prompt,
    SortBy.GENERATED: lambda row: row.generated,
    SortBy.DRAFTED: lambda row: row.drafted,
    SortBy.PROMPT_SPEED: lambda row: row.prompt_per_second,
    SortBy.GENERATION_SPEED: lambda row: row.generated_per_second,
    SortBy.DURATION: lambda row: row.duration_ms,
}

small = st.none() | st.integers(0, 3)
speeds = st.none() | st.sampled_from([0.5, 1.5, 2.5])
requests = st.builds(
    finished,
    model=st.sampled_from(["a", "b", "c"]),
    path=st.sampled_from(["/x", "/y"]),
    status=st.sampled_from([200, 404, 503]),
    content_type=st.sampled_from(["", "text/plain"]),
    time=st.integers(1000, 1005).map(lambda seconds: seconds + 0.75),
    duration=st.integers(0, 3).map(float),
    usage=st.builds(Usage, small, small, small, small, small, speeds, speeds),
)


def rarely(wish: st.SearchStrategy[T], otherwise: T) -> st.SearchStrategy[T]:
    """Return what is ``wish`` one time in five: most pages would be empty if all of them were."""
    return st.integers(1, 5).flatmap(lambda die: wish if die == 1 else st.just(otherwise))


wishes = st.builds(
    Wanted,
    models=rarely(st.lists(st.sampled_from(["a", "b", "none"]), max_size=2).map(tuple), ()),
    start=rarely(st.integers(999, 1006), None),
    end=rarely(st.integers(999, 1006), None),
    min_id=rarely(st.integers(1, 12), None),
    max_id=rarely(st.integers(1, 12), None),
    limit=st.integers(1, 12),
    page=rarely(st.integers(1, 4), 1),
    sort=st.sampled_from(SortBy),
    ascending=st.booleans(),
)


def page_of(rows: list[Row], wanted: Wanted) -> Page:
    """Return what is wanted of ``rows``, in the plainest way."""
    found = [
        row
        for row in rows
        if (not wanted.models or row.model in wanted.models)
        and (wanted.start is None or row.created >= wanted.start)
        and (wanted.end is None or row.created <= wanted.end)
        and (wanted.min_id is None or row.id >= wanted.min_id)
        and (wanted.max_id is None or row.id <= wanted.max_id)
    ]
    key = KEYS[wanted.sort]
    found.sort(key=lambda row: (key(row), row.id), reverse=not wanted.ascending)
    first = (wanted.page - 1) * wanted.limit
    return Page(found[first : first + wanted.limit], len(found))


@given(st.lists(requests, min_size=4, max_size=12), wishes)
@example([], Wanted())
def test_a_page_is_what_a_list_would_give(told: list[Finished], wanted: Wanted) -> None:
    with closing(Store(None)) as store:
        rows = [*store.work(told, Retention(), NOW).rows]
        with store.reading() as connection:
            assert find_page(connection, wanted) == page_of(rows, wanted)


def test_everything_can_be_sorted_by() -> None:
    assert set(KEYS) == set(SortBy)


def test_a_page_that_no_store_reaches_is_empty() -> None:
    with closing(Store(None)) as store:
        store.work([finished()], Retention(), NOW)
        with store.reading() as connection:
            found = find_page(connection, Wanted(page=10**18, limit=999))
            assert found == Page([], 1)
