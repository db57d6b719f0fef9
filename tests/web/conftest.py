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
        metafunc.fixturenames.append("transport")
        metafunc.parametrize("transport", ("fast", "plain"), indirect=True)


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have everything served by one transport."""
    raw.is_fast = request.param == "fast"
    yield request.param
    raw.is_fast = True
