"""Every test of the web floor that opens a socket runs on both transports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web import raw

#: What opens sockets, by where it is defined.
_OPENS = {"tests.web.raw", "tests.web.floor", "tests.web.opened"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a module that uses one of those once on each transport."""
    used = {getattr(value, "__module__", "") for value in vars(metafunc.module).values()}
    if used & _OPENS:
        metafunc.parametrize("transport", ("fast", "plain"), indirect=True)


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have everything served by one transport: the fast one, unless the test has them both.

    For every test, as pytest drops a fixture that a test neither asks for nor gets by itself.
    """
    chosen: str = getattr(request, "param", "fast")
    raw.is_fast = chosen == "fast"
    yield chosen
    raw.is_fast = True
