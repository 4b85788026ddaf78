"""Everything that the manifests can be made into: each overlay, plain, with each component, and with all."""

from pathlib import Path

import pytest

from tests.k8s.rendering import CHOICES, OVERLAYS, Object, overlay


@pytest.fixture(
    scope="session", params=[(o, c) for o in OVERLAYS for c in CHOICES], ids=lambda p: f"{p[0]}+{'+'.join(p[1]) or 'nothing'}"
)
def choice(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    chosen: tuple[str, tuple[str, ...]] = request.param
    return chosen


@pytest.fixture(scope="session")
def objects(choice: tuple[str, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The objects of one overlay with some components, its installation's first."""
    return overlay(*choice, tmp_path_factory.mktemp("overlay"))


@pytest.fixture
def plain(tmp_path: Path) -> list[Object]:
    """The production overlay and its installation, without components."""
    return overlay("production", (), tmp_path)
