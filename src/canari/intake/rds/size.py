"""How many bytes R objects hold: what a model drags along, often unseen, in the environment of its formula."""

import numpy as np

from canari.intake.rds.values import Environment, Promise, RObject


def size(*objects: RObject) -> int:
    """Bytes of the vectors in these objects with all that can be reached from them, environments too, each object once."""
    return _size(list(objects), set())


def sizes(environment: RObject) -> dict[str, int]:
    """Bytes of the vectors in each variable of an environment and of those around it, the largest first.

    A name stands for what is found first under it, from the inside out. What several variables hold is counted for the first
    of them alone, and no variable is counted for another variable of these environments: the sum is the size of all.
    """
    around = _with_enclosures(environment)
    seen = {id(found) for found in around}
    found: dict[str, int] = {}
    for one in around:
        for name, value in one.variables.items():
            found[name] = found.get(name, 0) + _size([value], seen)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _with_enclosures(environment: RObject) -> list[RObject]:
    around: list[RObject] = []
    seen: set[int] = set()
    one: RObject | None = environment
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        around.append(one)
        one = one.enclosure
    return around


def _size(objects: list[RObject], seen: set[int]) -> int:
    """Without recursion, for objects may be nested deep, and hold themselves."""
    total = 0
    while objects:
        found = objects.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        objects += found.attributes.values()
        match found.value:
            case np.ndarray() as array:
                total += array.nbytes
            case bytes() as raw:
                total += len(raw)
            case Environment() as environment:
                objects += environment.variables.values()
                objects += [environment.enclosure] if environment.enclosure is not None else []
            case Promise() as promise:
                objects += [part for part in (promise.expression, promise.value, promise.environment) if part is not None]
            case list() if found.type == "character":
                total += sum(len(text or "") + 8 for text in found.value)
            case list() if found.type in ("language", "pairlist"):
                objects += [part for _, part in found.value]
            case list() | tuple() as parts:
                objects += parts
    return total
