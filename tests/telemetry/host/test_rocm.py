"""AMD's cards by AMD's program."""

from __future__ import annotations

from pathlib import Path

import pytest

from swapd.telemetry.host.cards import SourceFailed
from swapd.telemetry.host.figures import Gpu
from swapd.telemetry.host.rocm import Rocm, parsed
from tests.telemetry.host.test_drm import RX, sys_of

TABLE = """WARNING: AMD GPU device(s) is/are in a low-power state.

device,Device Name,GUID,Temperature (Sensor edge) (C),Temperature (Sensor memory) (C),\
Average Graphics Package Power (W),Fan speed (%),GPU use (%),VRAM Total Memory (B),\
VRAM Total Used Memory (B),Card Series,GFX Version
card0,Navi 31,41922,54.0,72.0,213.0,40.0,83,25753026560,12876513280,Radeon RX 7900 XTX,gfx1100
card1,Navi 33,41923,N/A,,N/A,N/A,4,8573157376,0,,gfx1102
"""


def test_columns_are_known_by_their_names() -> None:
    assert parsed(TABLE) == [
        Gpu(
            *(0, "Radeon RX 7900 XTX", "41922", 54.0, 72.0),
            *(83.0, 12876513280, 25753026560, 40.0, 213.0),
        ),
        Gpu(*(1, "Navi 33", "41923", None, None), *(4.0, 0, 8573157376, None, None)),
    ]


@pytest.mark.parametrize("text", ["", "nothing here\n", "device,GUID\n"])
def test_no_table_is_no_card(text: str) -> None:
    assert parsed(text) == []


def test_the_program_is_asked_only_where_the_kernel_shows_no_card(tmp_path: Path) -> None:
    def asked(*_: str) -> bytes:
        return TABLE.encode()

    shows = sys_of(tmp_path, {"0000:03:00.0": RX})
    assert Rocm(shows, lambda _: True, asked).read() == []
    assert len(Rocm(tmp_path / "none", lambda _: True, asked).read()) == 2
    assert Rocm(tmp_path / "none", lambda _: False, asked).read() == []


def test_a_program_that_fails_is_told_of(tmp_path: Path) -> None:
    def fails(*_: str) -> bytes:
        raise OSError("rocm-smi does not answer within 5 s")

    with pytest.raises(SourceFailed, match="within 5 s"):
        Rocm(tmp_path, lambda _: True, fails).read()


def test_cards_are_described_by_what_they_are_called(tmp_path: Path) -> None:
    one, _ = Rocm(tmp_path, lambda _: True, lambda *_: TABLE.encode()).describe()
    assert (one.card.vendor, one.card.model) == ("AMD", "Radeon RX 7900 XTX")
    assert (one.card.memory_kind, one.card.memory_bytes) == ("dedicated", 25753026560)
