"""One process that serves one model: uvicorn and gRPC in one event loop, from the first port to the last answer."""

import asyncio
import contextlib
import ctypes
import errno
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import uvicorn
import uvloop

from canari.errors import CanariError
from canari.serving.app import App
from canari.serving.oip_grpc import GrpcServer
from canari.serving.protocol import ModelProtocol
from canari.serving.settings import Settings

# After SIGTERM the server goes on answering for this long, asking each caller to close the connection: one that was about
# to send on a connection kept alive is answered, too. Longer waits (until a load balancer knows) are the surroundings' work.
_DRAIN_SECONDS = 1.0

# What is still being answered then has this long; Kubernetes kills 30 s after SIGTERM.
_GRACE_SECONDS = 20

_SWEEP_SECONDS = 1.0

_M_ARENA_MAX = -8  # of malloc.h

# Longer than proxies keep an idle connection, so that none sends on one which the server is closing.
_KEEP_ALIVE_SECONDS = 620


def serve(
    load: Callable[[], App],
    settings: Settings,
    host: str,
    http_port: int,
    grpc_port: int,
    announce: Callable[[App, str, str], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    The ports are taken first (0 is a free one), then `load` makes the application, and when it answers, `announce` is called
    with it, the HTTP URL and the gRPC address. Raises `CanariError` where a port is in use, and what `load` raises.
    """
    _keep_memory_together()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(load, settings, host, http_port, grpc_port, announce))


def uvicorn_settings() -> dict[str, Any]:
    """How uvicorn is run: the quickest parser, no logging of requests, nothing that is not used."""
    return {
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
    }


def _keep_memory_together() -> None:
    """Let threads share what glibc's malloc takes from the system: apart, large requests in turn leave much of it behind."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: `_serve` handles them, for gRPC as well."""
        yield


async def _serve(
    load: Callable[[], App],
    settings: Settings,
    host: str,
    http_port: int,
    grpc_port: int,
    announce: Callable[[App, str, str], None],
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        http_socket = stack.enter_context(_listen(host, http_port, "--http-port"))
        # gRPC takes its port itself, but says less clearly why it cannot.
        _listen(host, grpc_port, "--grpc-port").close()
        grpc_server = GrpcServer(_address(host, grpc_port), settings)
        stack.push_async_callback(grpc_server.stop, 0)
        app = load()
        stack.callback(app.close)
        http_server = _Uvicorn(uvicorn.Config(app, **(uvicorn_settings() | {"http": ModelProtocol})))
        sweeping = asyncio.create_task(_sweep(http_server))
        stack.callback(sweeping.cancel)
        stop = _on_signal(http_server)
        # What was loaded lives as long as the process: the collector need not look at it again while callers wait.
        gc.collect()
        gc.freeze()
        await grpc_server.start(app)
        serving = asyncio.create_task(http_server.serve([http_socket]))
        while not http_server.started and not serving.done():
            await asyncio.sleep(0.01)
        if not http_server.started:
            await serving
            raise CanariError("the service did not start; the lines above say why")
        announce(app, f"http://{_address(host, http_socket.getsockname()[1])}", _address(host, grpc_server.port))
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        app.drain()
        await grpc_server.drain()
        await _drained(http_server)
        http_server.should_exit = True
        await asyncio.gather(serving, grpc_server.stop(_GRACE_SECONDS))


def _on_signal(http_server: uvicorn.Server) -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; at a second one the server no longer waits for anybody."""
    stop = asyncio.Event()

    def handle() -> None:
        http_server.force_exit = stop.is_set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handle)
    return stop


async def _sweep(http_server: uvicorn.Server) -> None:
    """Look about once a second for connections on which nothing moves any more."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = perf_counter()
        for connection in list(http_server.server_state.connections):
            connection.sweep(now)  # type: ignore[union-attr]


async def _drained(http_server: uvicorn.Server) -> None:
    """Wait as long as the drain lasts: callers may have gone, and a load balancer that does not know yet send new ones."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _DRAIN_SECONDS
    while loop.time() < end and not http_server.force_exit:
        await asyncio.sleep(0.05)


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        about_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        way_out = f"{option} chooses another port" if about_port else "--host takes an address of this machine"
        raise CanariError(f"cannot listen on {_address(host, port)}: {why}; {way_out}") from None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
