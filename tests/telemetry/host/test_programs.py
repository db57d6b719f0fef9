"""Other programs of the system are asked, and not waited for."""

from __future__ import annotations

import sys

import pytest

from swapd.telemetry.host.programs import is_there, output_of

pytestmark = pytest.mark.real_process


def python(code: str, *, patience: float = 20) -> bytes:
    return output_of(sys.executable, "-c", code, patience=patience)


def test_what_a_program_says_is_returned() -> None:
    assert python("print('hi')") == b"hi\n"


def test_what_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(OSError, match=r"exited with code 3: no card$"):
        python("import sys; sys.exit(sys.stderr.write('no card') and 3)")


def test_what_hangs_is_given_up() -> None:
    with pytest.raises(OSError, match=r"does not answer within 0\.2 s"):
        python("import threading; threading.Event().wait()", patience=0.2)


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match="no-such-program"):
        output_of("no-such-program")
    assert not is_there("no-such-program")
    assert is_there("sh")


def test_a_program_is_not_waited_for_by_what_it_might_read() -> None:
    assert python("import sys; print(len(sys.stdin.read()))") == b"0\n"
