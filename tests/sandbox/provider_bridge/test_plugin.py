"""The bridge's processes, with a small program in the place of hashicorp/aws."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.plugin import IDENTITY, SHUTDOWN
from sandbox.provider_bridge.real_provider import MAGIC_COOKIE, SERVICE, Cache, RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[3]

PROVIDER = """\
import asyncio, os, sys
sys.path.insert(0, {repository!r})
from sandbox.provider_bridge.plugin import serve

async def dispatch(method, request):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{method}} {{request.decode()}}\\n")
    if method == "Crash":
        os._exit(1)
    return b"" if method == "Configure" else method.encode() + b":" + request

asyncio.run(serve(dispatch, ""))
"""
PLUGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sandbox.provider_bridge.plugin import main; main()"


@dataclass(frozen=True)
class FakeProvider:
    """A program that speaks the plugin protocol and writes down every call."""

    binary: Path
    log: Path

    def calls(self) -> list[tuple[str, str, str]]:
        """Process id, method and request of each call."""
        rows = (line.split(" ", 2) for line in self.log.read_text().splitlines()) if self.log.exists() else ()
        return [(pid, method, request) for pid, method, request in rows]


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Makes an executable of a Python text."""

    def make(text: str) -> Path:
        source, binary = tmp_path / "provider.py", tmp_path / "provider"
        source.write_text(text)
        binary.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(source))}\n")
        binary.chmod(0o700)
        return binary

    return make


@pytest.fixture
def fake(script: Callable[[str], Path], tmp_path: Path) -> FakeProvider:
    log = tmp_path / "calls"
    return FakeProvider(script(PROVIDER.format(repository=str(REPOSITORY), log=str(log))), log)


@contextmanager
def running_plugin(fake: FakeProvider, directory: Path) -> Iterator[tuple[subprocess.Popen[str], grpc.Channel]]:
    """The plugin as Terraform starts it (without TLS), and a channel to it."""
    (directory / IDENTITY).touch()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PLUGIN_")} | dict([MAGIC_COOKIE])
    command = [sys.executable, "-c", PLUGIN, str(REPOSITORY), str(fake.binary), str(directory)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        handshake = process.stdout.readline().split("|")
        assert (handshake[:3], handshake[4]) == (["1", "5", "unix"], "grpc")
        try:
            with grpc.insecure_channel(f"unix:{handshake[3]}") as channel:
                yield process, channel
        finally:
            process.kill()


def test_a_crashed_provider_is_started_again_with_its_configuration(fake: FakeProvider) -> None:
    async def scenario() -> None:
        provider = RealProvider(fake.binary)
        try:
            await provider.configure(b"")
            with pytest.raises(grpc.aio.AioRpcError):
                await provider.call("Crash", b"")
            assert await provider.call("ReadResource", b"x") == b"ReadResource:x"
        finally:
            await provider.stop()
        assert provider.pid is None

    asyncio.run(scenario())
    first, second = dict.fromkeys(pid for pid, _, _ in fake.calls())
    assert [(pid, method) for pid, method, _ in fake.calls()] == [
        (first, "Configure"),
        (first, "Crash"),
        (second, "Configure"),
        (second, "ReadResource"),
    ]


def test_calls_that_come_together_start_one_provider(fake: FakeProvider) -> None:
    async def scenario() -> list[bytes]:
        provider = RealProvider(fake.binary)
        try:
            return await asyncio.gather(*(provider.call("ReadResource", str(i).encode()) for i in range(5)))
        finally:
            await provider.stop()

    assert asyncio.run(scenario()) == [f"ReadResource:{i}".encode() for i in range(5)]
    assert len({pid for pid, _, _ in fake.calls()}) == 1


def test_a_program_that_is_no_provider_is_refused_with_its_own_words_and_ended(script: Callable[[str], Path]) -> None:
    async def scenario() -> None:
        words = "import time; print('This binary is a plugin.', flush=True); time.sleep(600)"
        provider = RealProvider(script(words))
        for _ in range(2):
            with pytest.raises(BridgeError, match=r"it said 'This binary is a plugin\.'"):
                await provider.call("GetSchema", b"")
            assert provider.pid is None

    asyncio.run(scenario())


def test_slow_answers_are_kept_per_request_in_files_for_their_owner_only(fake: FakeProvider, tmp_path: Path) -> None:
    directory = tmp_path / "cache"

    async def scenario() -> list[bytes]:
        provider = RealProvider(fake.binary)
        try:
            cache = Cache(provider, fake.binary, directory)
            return [await cache.call("PrepareProviderConfig", request) for request in (b"1", b"2", b"1")]
        finally:
            await provider.stop()

    for _ in range(2):
        answers = asyncio.run(scenario())
        assert answers == [b"PrepareProviderConfig:1", b"PrepareProviderConfig:2", b"PrepareProviderConfig:1"]
    assert [request for _, _, request in fake.calls()] == ["1", "2"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert len(list(directory.iterdir())) == 2


def test_another_provider_does_not_get_the_cached_answers(fake: FakeProvider, tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = RealProvider(fake.binary)
        try:
            await Cache(provider, fake.binary, tmp_path / "cache").call("PrepareProviderConfig", b"1")
        finally:
            await provider.stop()

    asyncio.run(scenario())
    os.utime(fake.binary, ns=(1, 1))
    asyncio.run(scenario())
    assert len(fake.calls()) == 2


def test_the_plugin_passes_on_what_is_not_about_the_block_and_ends_when_asked(
    fake: FakeProvider, tmp_path: Path
) -> None:
    with running_plugin(fake, tmp_path) as (process, channel):
        answer = channel.unary_unary(f"{SERVICE}ReadDataSource")(b"\x0a\x01x", timeout=30)
        assert answer == b"ReadDataSource:\x0a\x01x"
        channel.unary_unary(SHUTDOWN)(b"", timeout=30)
        assert process.wait(timeout=30) == 0


def test_ctrl_c_is_left_to_terraform(fake: FakeProvider, tmp_path: Path) -> None:
    with running_plugin(fake, tmp_path) as (process, channel):
        process.send_signal(signal.SIGINT)
        assert channel.unary_unary(f"{SERVICE}ReadDataSource")(b"", timeout=30) == b"ReadDataSource:"


def test_stopping_before_the_provider_runs_does_not_start_it(fake: FakeProvider, tmp_path: Path) -> None:
    with running_plugin(fake, tmp_path) as (_, channel):
        assert channel.unary_unary(f"{SERVICE}Stop")(b"", timeout=30) == b""
    assert fake.calls() == []


def test_a_crash_of_the_provider_is_told_to_terraform(fake: FakeProvider, tmp_path: Path) -> None:
    with running_plugin(fake, tmp_path) as (_, channel):
        with pytest.raises(grpc.RpcError) as failure:
            channel.unary_unary(f"{SERVICE}Crash")(b"", timeout=30)
        assert failure.value.details().startswith("real provider: ")


def test_a_missing_provider_is_told_to_terraform(tmp_path: Path, script: Callable[[str], Path]) -> None:
    silent = FakeProvider(script(""), tmp_path / "calls")
    with running_plugin(silent, tmp_path) as (_, channel):
        with pytest.raises(grpc.RpcError) as failure:
            channel.unary_unary(f"{SERVICE}GetSchema")(b"", timeout=30)
        assert "provider bridge: " in failure.value.details()
        assert "did not start as a Terraform provider" in failure.value.details()


def test_the_provider_does_not_outlive_a_killed_plugin(fake: FakeProvider, tmp_path: Path) -> None:
    with running_plugin(fake, tmp_path) as (process, channel):
        channel.unary_unary(f"{SERVICE}ReadDataSource")(b"", timeout=30)
        process.kill()
        assert process.stderr
        assert process.stderr.read() == ""  # its end comes when the provider, which inherited it, has ended too


def test_the_plugin_started_by_hand_says_what_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLUGIN, str(REPOSITORY), "provider", str(tmp_path)],
        env={k: v for k, v in os.environ.items() if k != MAGIC_COOKIE[0]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "this is a Terraform provider plugin; Terraform starts it" in done.stderr
