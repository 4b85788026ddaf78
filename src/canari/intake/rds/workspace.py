"""Which of the objects in a file is meant: an `.rds` holds one, an R workspace (.RData) any number, each with a name."""

from collections.abc import Callable, Mapping

from canari.errors import IntakeError
from canari.intake.rds.reader import read_content
from canari.intake.rds.values import RObject

_MOST_LISTED = 20


def read_object(
    data: bytes, name: str | None = None, is_model: Callable[[RObject], bool] = lambda _: False
) -> tuple[RObject, str]:
    """Read the object that is meant in an `.rds` or `.RData` file, and the version of R that wrote it, such as "4.2.2".

    Of a workspace that is the object called `name`; without a name the only object, else the only one that `is_model`. Raises
    `IntakeError` where that does not decide, with the names and classes of the objects that are there, and as `read_content`.
    """
    content = read_content(data)
    if content.root is not None:
        if name is not None:
            raise IntakeError(f"this is an .rds file: it holds one object, without a name; leave out --object {name}")
        return content.root, content.r_version
    return _chosen(content.objects or {}, name, is_model), content.r_version


def _chosen(objects: Mapping[str, RObject], name: str | None, is_model: Callable[[RObject], bool]) -> RObject:
    if not objects:
        raise IntakeError("the R workspace (.RData) holds no objects")
    if name is not None:
        if name not in objects:
            raise IntakeError(f"the R workspace (.RData) has no object {name!r}; it has {_listed(objects)}")
        return _value(name, objects[name])
    if len(objects) == 1:
        return _value(*next(iter(objects.items())))
    models = [found for found in objects.values() if is_model(found)]
    if len(models) != 1:
        raise IntakeError(
            f"the R workspace (.RData) has {len(objects)} objects, of which {len(models) or 'none'} are models that can be read; "
            f"choose one with --object NAME: it has {_listed(objects)}"
        )
    return models[0]


def _value(name: str, found: RObject) -> RObject:
    """An object of a workspace may be one that R was to compute when it is first used."""
    while found.type == "promise":
        if found.value.value is None:
            raise IntakeError(
                f"the object {name!r} of the R workspace (.RData) was never evaluated: its value is not in the file"
            )
        found = found.value.value
    return found


def _listed(objects: Mapping[str, RObject]) -> str:
    listed = [
        f"{name[:60]} ({'/'.join(found.classes)[:60] or found.type})" for name, found in list(objects.items())[:_MOST_LISTED]
    ]
    rest = len(objects) - len(listed)
    return ", ".join(listed) + (f" and {rest} others" if rest else "")
