"""Who answered at the gateway, as a table; apart from `view`, because what it shows is slow to import."""

from rich.console import Group, RenderableType
from rich.text import Text

from canari.release.verifying import Verification
from canari.release.view import columns


def verification(found: Verification) -> RenderableType:
    """All that `canari release verify` shows."""
    table = columns("protocol", "version", "answers", "share", "weight", "")
    for answers in found.answers:
        for share in answers.shares:
            expected = "-" if share.expected is None else f"{share.expected:.1%}"
            right = Text("right", style="green") if share.within else Text("not as the weights ask", style="red")
            table.add_row(answers.protocol, share.version, str(share.answers), f"{share.share:.1%}", expected, right)
        table.add_row(answers.protocol, "errors", str(answers.errors), "", "", Text(answers.first_error, style="red"))
    parts: list[RenderableType] = [table]
    parts += [Text(f"{answers.protocol}: {answers.requests} requests to {answers.address}") for answers in found.answers]
    if found.moved:
        parts.append(Text("the weights changed meanwhile: ask again", style="yellow"))
    return Group(*parts)
