"""That both transports pass on what is sent, all of it and in order, whatever a client does."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests.web.conversing import agree


@pytest.mark.parametrize("first", [0, 40, 80, 120])
async def test_a_conversation_is_the_same_on_both_transports(first: int, tmp_path: Path) -> None:
    """Each seed is one; the others of the test are had at the same time."""
    whole = await agree(range(first, first + 40), authority=trustme.CA(), folder=tmp_path)
    assert whole > 20
