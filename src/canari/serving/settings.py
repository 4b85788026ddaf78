"""What an operator may set of a server: in the environment as CANARI_MAX_BODY, on the command line as --max-body, and so on."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from canari.errors import UsageError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits, and what is switched on."""

    max_body: Annotated[int, Meta(ge=1024)] = 8 * 2**20  # bytes of one request
    max_rows: Annotated[int, Meta(ge=1)] = 10_000  # of one request
    read_timeout: Annotated[float, Meta(gt=0)] = 10.0  # seconds from a request's first byte to its last
    answer_timeout: Annotated[float, Meta(gt=0)] = 30.0  # seconds from then to the answer, of a model that takes its time
    page: bool = True  # whether / is a page to try the model
    access_log: Annotated[float, Meta(ge=0, le=1)] = 0.01  # share of requests with a line, failures always; 0 is off

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The defaults, changed by the environment; raises `UsageError` for a value that a setting cannot have."""
        names = {f"CANARI_{field.upper()}": field for field in cls.__struct_fields__}
        return cls().changed({names[key]: text for key, text in environment.items() if key in names and text}, "CANARI_")

    def changed(self, texts: Mapping[str, str], prefix: str) -> Self:
        """With other values, each as text; raises `UsageError` that names the setting as the prefix says: "--" or "CANARI_"."""
        values = {}
        types = {field.name: field.type for field in msgspec.structs.fields(self)}
        for name, text in texts.items():
            try:
                values[name] = msgspec.convert(text.lower(), types[name], strict=False)
            except msgspec.ValidationError as error:
                shown = f"--{name.replace('_', '-')}" if prefix == "--" else f"{prefix}{name.upper()}"
                raise UsageError(f"{shown} {text!r}: {_in_words(str(error))}") from None
        return msgspec.structs.replace(self, **values)


def _in_words(message: str) -> str:
    for python, words in (("`int`", "a whole number"), ("`float`", "a number"), ("`bool`", "true or false"), (", got `str`", "")):
        message = message.replace(python, words)
    return message[0].lower() + message[1:]
