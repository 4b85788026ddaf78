"""Whether a registry has an image, asked with the credentials that docker keeps for it."""

import ipaddress

import httpx
import requests
from oras.auth import AuthenticationException  # type: ignore[import-untyped]
from oras.container import Container  # type: ignore[import-untyped]
from oras.provider import Registry  # type: ignore[import-untyped]

from canari.errors import CanariError
from canari.release.overlay import Image

_SECONDS = 10.0
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


class RegistryUnreachableError(CanariError):
    """The registry cannot be asked from here; the cluster may reach it all the same."""


def check_image(image: Image, *, insecure: bool = False) -> None:
    """Return where the registry has the image.

    A registry is asked over plain HTTP only where HTTPS gives no answer, and its host is an address or `localhost` or `insecure`
    is set. Raises `CanariError` where the registry has no such digest or refuses the credentials, `RegistryUnreachableError`
    where it cannot be asked.
    """
    container = Container(str(image))
    scheme = _scheme(container.registry, plain_allowed=insecure or _is_local(container.registry))
    registry = Registry(hostname=container.registry, insecure=scheme == "http")
    registry.auth.load_configs(container)
    try:
        # Unwrapped: oras would ask five times, for two minutes, also where it has no credentials to answer with.
        ask = Registry.do_request.__wrapped__
        answer = ask(registry, f"{scheme}://{container.manifest_url()}", "HEAD", headers={"Accept": _MANIFESTS})
    except (AuthenticationException, ValueError):  # ValueError: oras has no credentials to answer with
        answer = None
    except requests.RequestException as error:
        raise RegistryUnreachableError(f"{container.registry}: {error}") from None
    if answer is None or answer.status_code in (401, 403):
        raise CanariError(
            f"{container.registry} does not let you see {container.api_prefix}: check the name, or `docker login "
            f"{container.registry}`"
        )
    if answer.status_code == 404:
        raise CanariError(f"{image} does not exist: the registry has no such digest; push it and name what the push prints")
    if answer.status_code != 200:
        raise RegistryUnreachableError(f"{container.registry} answers HTTP {answer.status_code}")


def _scheme(registry: str, *, plain_allowed: bool) -> str:
    """How the registry speaks; raises `RegistryUnreachableError` where it gives no answer."""
    problem: httpx.HTTPError | None = None
    for scheme in ("https", "http") if plain_allowed else ("https",):
        try:
            httpx.get(f"{scheme}://{registry}/v2/", timeout=_SECONDS)
        except httpx.HTTPError as error:
            problem = problem or error
        else:
            return scheme
    raise RegistryUnreachableError(f"{registry} gives no answer: {problem}")


def _is_local(registry: str) -> bool:
    host = registry.rpartition(":")[0] or registry
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    return True
