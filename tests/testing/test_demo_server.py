"""Which model server the demo takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swapd.testing import demo_server


def test_the_cpus_flags_are_read_from_the_kernel(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\n")
    assert demo_server.cpu_flags(cpuinfo) == {"fpu", "avx2", "fma"}
    assert demo_server.cpu_flags(tmp_path / "none") == frozenset()


def test_a_machine_without_what_the_wheel_needs_is_told_so(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: fpu sse2\n")
    reason = demo_server.why_not_here(cpuinfo)
    assert reason is not None
    assert "no build for" in reason or "needs a CPU with avx2" in reason


@pytest.mark.real_process
def test_a_server_that_exits_at_once_is_found_out(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("raise SystemExit(132)")
    reason = demo_server.why_it_fails(broken, tmp_path / "no.gguf", tmp_path / "log")
    assert reason is not None
    assert "exit code 132" in reason


@pytest.mark.real_process
def test_a_server_that_gets_healthy_will_do(tmp_path: Path) -> None:
    working = tmp_path / "working"
    working.write_text("from swapd.testing.fake_server import main; main()")
    assert demo_server.why_it_fails(working, tmp_path / "no.gguf", tmp_path / "log") is None


@pytest.mark.real_process
def test_the_stand_in_becomes_a_command_that_passes_its_options_on(tmp_path: Path) -> None:
    command = tmp_path / "llama-server"
    demo_server.place_stand_in(command)
    options = ["-m", "a model.gguf", "--exit-after", "0", "--last-words", "one two"]
    run = subprocess.run([str(command), *options], capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("one two\n", 1)


def test_the_real_server_is_run_by_this_environments_python(tmp_path: Path) -> None:
    command = tmp_path / "llama-server"
    demo_server.place_real(command)
    assert f"{sys.executable} {demo_server.real_server()}" in command.read_text()
