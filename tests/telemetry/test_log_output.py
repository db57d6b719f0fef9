"""What is logged reaches its descriptor, and nobody waits for that."""

from __future__ import annotations

import array
import fcntl
import os
import termios
import threading

import pytest

from swapd.telemetry.log_output import Output


def test_all_is_written_in_order_and_before_the_end() -> None:
    reading, writing = os.pipe()
    with Output(writing) as output:
        for number in range(100):
            output.write(b"%d\n" % number)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().split() == [b"%d" % number for number in range(100)]


def test_a_line_is_written_without_another_one_behind_it() -> None:
    reading, writing = os.pipe()
    with Output(writing) as output, open(reading, "rb", buffering=0) as pipe:
        output.write(b"one\n")
        assert pipe.read(100) == b"one\n"
        output.write(b"two\n")
        assert pipe.read(100) == b"two\n"
    os.close(writing)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_nobody_reads_delays_nobody_and_what_it_missed_is_counted(
    *, blocking: bool
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    read = []
    with Output(writing) as output:
        output.write(b"x" * 1_000_000)
        for _ in range(40):
            output.write(b"y" * 99_999 + b"\n")  # far more than may wait

        def drain() -> None:
            with open(reading, "rb") as pipe:
                read.append(pipe.read())

        reader = threading.Thread(target=drain)
        reader.start()
    os.close(writing)
    reader.join()
    (said,) = read
    before, _, rest = said.partition("— ".encode())
    missed, _, after = rest.partition(" bytes dropped —\n".encode())
    assert len(before) - 1 + int(missed) + len(after) == 1_000_000 + 40 * 100_000
    assert len(after) <= 1024 * 1024


def until_full(pipe: int) -> None:
    held = array.array("i", [0])
    while held[0] < 60_000:
        fcntl.ioctl(pipe, termios.FIONREAD, held)


def test_of_what_waits_only_a_piece_at_a_time_is_taken() -> None:
    reading, writing = os.pipe()
    line = b"x" * 999 + b"\n"
    read = []

    def drain() -> None:
        with open(reading, "rb") as pipe:
            read.append(pipe.read())

    reader = threading.Thread(target=drain)
    with Output(writing) as output:
        for _ in range(900):
            output.write(line)
        until_full(reading)
        for _ in range(3000):  # far more than may wait
            output.write(line)
        reader.start()
    os.close(writing)
    reader.join()
    in_pipe_and_piece = 2 * 65536
    assert read[0].count(line) * len(line) <= 1024 * 1024 + in_pipe_and_piece


def test_nothing_is_waited_for_long_at_the_end() -> None:
    reading, writing = os.pipe()
    with Output(writing) as output:
        output.write(b"x" * 1_000_000)
    os.close(reading)
    os.close(writing)


def test_one_who_reads_no_more_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Output(writing) as output:
        for _ in range(3):
            output.write(b"x")
    os.close(writing)


def test_nobody_writes_on_to_one_who_reads_no_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Output(writing) as output:
        (writer,) = [each for each in threading.enumerate() if each.name == "log output"]
        output.write(b"x")
        writer.join(30)
        assert not writer.is_alive()
        output.write(b"y" * 2 * 1024 * 1024)  # which neither waits nor fails
    os.close(writing)
