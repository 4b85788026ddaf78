"""A group of commands whose modules are imported only when they run: an image needs only its own commands' extras."""

import importlib
from collections.abc import Mapping
from typing import Any, cast

import click

from canari.errors import CanariError


class LazyGroup(click.Group):
    """Commands by name; each is `module:attribute`."""

    def __init__(self, *arguments: Any, members: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._members = members

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(self._members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; raises `CanariError` where it needs a package that is not installed."""
        if cmd_name not in self._members:
            return None
        module, _, attribute = self._members[cmd_name].partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.split(".")[0] == "canari":
                raise
            raise CanariError(
                f"`{ctx.command_path} {cmd_name}` needs {error.name!r}, which is not installed: pip install 'canari-serving[all]'"
            ) from None
        return cast(click.Command, command)
