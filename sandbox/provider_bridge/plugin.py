"""The plugin that Terraform starts in the place of hashicorp/aws.

Terraform --(unix socket, TLS)--> this process --(unix socket)--> the real provider

It makes go-plugin's handshake, answers the schema with `durable_config` in it, rewrites the requests about
`aws_lambda_function` and passes everything else through as bytes. The real provider is started by the first request
that needs it, with Terraform's own working directory and environment.

Handshake: https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import signal
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

from sandbox.provider_bridge import durable_config
from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.real_provider import CACHED, MAGIC_COOKIE, SERVICE, UNLIMITED, Cache, RealProvider
from sandbox.provider_bridge.wire import Message

SHUTDOWN = "/plugin.GRPCController/Shutdown"
IDENTITY = "tls.pem"
BEGIN_KEY = "-----BEGIN PRIVATE KEY-----"
GRACE_SECONDS = 0.2
"""How long answers that are under way may take after a shutdown; Terraform kills a plugin after 2 s."""

Dispatch = Callable[[str, bytes], Awaitable[bytes]]


class Bridge:
    """Decides for each RPC of the Provider service who answers it."""

    def __init__(self, provider: RealProvider, cache: Cache) -> None:
        self._provider = provider
        self._cache = cache

    async def answer(self, method: str, request: bytes) -> bytes:
        """Answers one RPC.

        Args:
            method: its name, without the service's.
            request: its message.

        Returns:
            The response message.
        """
        if method == "Configure":
            return await self._provider.configure(request)
        if method == "Stop" and self._provider.pid is None:
            return b""
        if method in CACHED:
            response = await self._cache.call(method, request)
            return durable_config.extend_schema(response) if method == "GetSchema" else response
        if not durable_config.concerns(method, request):
            return await self._provider.call(method, request)

        async def forward(message: Message) -> Message:
            return Message(await self._provider.call(method, bytes(message)))

        return await durable_config.rewrite(method, request, forward)


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Routes the RPCs of a plugin: the Provider service to `dispatch`, the host's shutdown to an event."""

    def __init__(self, dispatch: Dispatch, done: asyncio.Event) -> None:
        self._dispatch = dispatch
        self._done = done

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Returns the handler of one RPC, None for those of go-plugin's optional services."""
        if details.method == SHUTDOWN:
            return grpc.unary_unary_rpc_method_handler(self._shutdown)
        if not details.method.startswith(SERVICE):
            return None
        method = details.method.removeprefix(SERVICE)

        async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            try:
                return await self._dispatch(method, request)
            except BridgeError as error:
                await context.abort(grpc.StatusCode.INTERNAL, f"provider bridge: {error}")
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), f"real provider: {error.details()}")
            raise AssertionError("abort() raises")

        return grpc.unary_unary_rpc_method_handler(unary)

    async def _shutdown(self, _request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        self._done.set()
        return b""


async def serve(dispatch: Dispatch, identity: str) -> None:
    """Serves a provider until the plugin host asks for the end.

    Args:
        dispatch: answers the RPCs of the Provider service.
        identity: the TLS server's certificate, valid for `localhost`, followed by its private key (PEM). The host
            pins the certificate.
    """
    done = asyncio.Event()
    server = grpc.aio.server(options=UNLIMITED)
    server.add_generic_rpc_handlers((Service(dispatch, done),))
    with tempfile.TemporaryDirectory(prefix="bridge") as directory:
        address = f"unix:{directory}/socket"
        encoded = ""
        if os.environ.get("PLUGIN_CLIENT_CERT"):  # the host wants TLS; its own certificate is not checked
            certificate, begin, key = identity.partition(BEGIN_KEY)
            credentials = grpc.ssl_server_credentials([((begin + key).encode(), certificate.encode())])
            server.add_secure_port(address, credentials)
            encoded = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode().rstrip("=")
        else:
            server.add_insecure_port(address)
        await server.start()
        network, path = address.split(":", 1)
        print(f"1|5|{network}|{path}|grpc|{encoded}", flush=True)  # noqa: T201 - the handshake
        await done.wait()
        await server.stop(GRACE_SECONDS)


async def run(binary: Path, directory: Path, identity: str) -> None:
    """Runs the bridge around a provider.

    Args:
        binary: the real provider.
        directory: the folder of its cached answers.
        identity: see `serve`.
    """
    provider = RealProvider(binary)
    bridge = Bridge(provider, Cache(provider, binary, directory))
    try:
        await serve(bridge.answer, identity)
    finally:
        await provider.stop()


def main() -> None:
    """Entry point of the file in the mirror."""
    parser = argparse.ArgumentParser(description="A Terraform provider plugin; Terraform starts it.")
    parser.add_argument("binary", type=Path, help="the real provider")
    parser.add_argument("directory", type=Path, help="the folder of the mirror")
    arguments = parser.parse_args()
    cookie, secret = MAGIC_COOKIE
    if os.environ.get(cookie) != secret:
        parser.error("this is a Terraform provider plugin; Terraform starts it")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; Terraform decides
    identity = (arguments.directory / IDENTITY).read_text()
    asyncio.run(run(arguments.binary, arguments.directory / "cache", identity))
