"""The process of the real provider, and a disk cache for its slow answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import grpc

from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.wire import Message

SERVICE = "/tfplugin5.Provider/"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""The provider's schema alone is larger than grpc's default limit of 4 MiB."""

MAGIC_COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
"""go-plugin's "a plugin host starts you"; the same for every Terraform (internal/plugin/serve.go)."""

CACHED = frozenset({"GetSchema", "PrepareProviderConfig"})
"""RPCs that take 1 to 3 s and whose answers depend on nothing but the request and the provider."""

SEVERITY_ERROR = 1


class RealProvider:
    """The real provider as a child process: started when first needed, started again when it died."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._watchdog: asyncio.subprocess.Process | None = None
        self._channel: grpc.aio.Channel | None = None
        self._socket: Path | None = None
        self._configuration: bytes | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when the process is not running."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def call(self, method: str, request: bytes) -> bytes:
        """Sends one request.

        Args:
            method: the name of an RPC of the Provider service.
            request: its message.

        Returns:
            The response message.

        Raises:
            BridgeError: the provider could not be started.
            grpc.aio.AioRpcError: the provider failed, for example because it crashed during the call.
        """
        async with self._starting:
            if self.pid is None:
                await self.stop()
                try:
                    await self._start()
                except BaseException:
                    await self.stop()  # half started it would answer the next request, unconfigured
                    raise
        try:
            return await self._send(method, request)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:  # its socket is closed; asyncio may not know yet
                await self._end(self._process)
            raise

    async def configure(self, request: bytes) -> bytes:
        """Sends `Configure` and remembers it for the case that the provider must be started again."""
        response = await self.call("Configure", request)
        failed = any(Message(diagnostic).number(1) == SEVERITY_ERROR for diagnostic in Message(response).all(1))
        self._configuration = None if failed else request
        return response

    async def stop(self) -> None:
        """Ends the process, if it runs, and removes what it left behind."""
        await self._end(self._watchdog)
        await self._end(self._process)
        if self._channel:
            await self._channel.close()
            self._channel = None
        if self._socket:
            self._socket.unlink(missing_ok=True)
            self._socket = None

    async def _send(self, method: str, request: bytes) -> bytes:
        assert self._channel is not None  # noqa: S101 - set by _start, which every caller has awaited
        response: bytes = await self._channel.unary_unary(SERVICE + method)(request)
        return response

    async def _start(self) -> None:
        cookie, secret = MAGIC_COOKIE
        # Without the variables of Terraform's own handshake the child speaks plain gRPC on its socket.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUGIN_")}
        environment |= {cookie: secret, "PLUGIN_PROTOCOL_VERSIONS": "5"}
        self._process = process = await asyncio.create_subprocess_exec(
            self._binary, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        self._watchdog = await _watch(process.pid)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = (await process.stdout.readline()).decode(errors="replace").strip()
        fields = line.split("|")  # core version | protocol | network | address | grpc | certificate
        if fields[:3] != ["1", "5", "unix"]:
            raise BridgeError(
                f"{self._binary} did not start as a Terraform provider of protocol 5; it said {line!r}. "
                "Run it by hand: it should answer that it is a plugin."
            )
        self._socket = Path(fields[3])
        self._channel = grpc.aio.insecure_channel(f"unix:{self._socket}", options=UNLIMITED)
        if self._configuration is not None:
            await self._send("Configure", self._configuration)

    async def _end(self, process: asyncio.subprocess.Process | None) -> None:
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _watch(pid: int) -> asyncio.subprocess.Process:
    """Starts a process that ends process `pid` when this one dies, however it dies.

    It waits for the end of its standard input, whose other end only this process has. Linux could do without
    (PR_SET_PDEATHSIG); this works on macOS too. It has its own session, so that Ctrl-C does not reach it.
    """
    return await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f"read -r _; kill -TERM {pid}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


class Cache:
    """Answers of the RPCs in `CACHED`, kept in files that only their owner can read.

    They hold provider configurations, and these may hold credentials.
    """

    def __init__(self, provider: RealProvider, binary: Path, directory: Path) -> None:
        status = binary.stat()
        self._provider = provider
        self._salt = f"{binary} {status.st_size} {status.st_mtime_ns} "
        self._directory = directory

    async def call(self, method: str, request: bytes) -> bytes:
        """Answers from the cache, else from the provider."""
        key = hashlib.sha256(f"{self._salt}{method} ".encode() + request).hexdigest()
        file = self._directory / key
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes()
        response = await self._provider.call(method, request)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_bytes(response)
        part.replace(file)
        return response
