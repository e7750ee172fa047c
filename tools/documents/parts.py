"""The generated parts of documents: tables made of facts that stand elsewhere in the repository.

A part is what stands between the lines `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points

import msgspec

from benchmarks import report, tables
from tools.documents import clauses, reference, verbs

Capability = bool | int | str | tuple[str, ...]

_PART = re.compile(r"(?ms)^(?P<begin><!-- (?P<name>[\w-]+):begin -->\n).*?(?P<end>^<!-- (?P=name):end -->$)")


def brokers() -> str:
    """What each broker that ships here can do, as its adapter declares it."""
    return capabilities("minuet.brokers")


def stores() -> str:
    """What each store that ships here can do, as its adapter declares it."""
    return capabilities("minuet.stores")


def speed() -> str:
    """What the benchmarks found, and where."""
    return tables.speed(report.read())


PARTS: Mapping[str, Callable[[], str]] = {
    "app-settings": reference.app_settings,
    "broker-capabilities": clauses.broker_capabilities,
    "broker-clauses": clauses.broker_clauses,
    "brokers": brokers,
    "contract-keywords": reference.contract_keywords,
    "dead-letter-reasons": reference.dead_letter_reasons,
    "observer-points": reference.observer_points,
    "outcomes": reference.outcomes,
    "reaction-keywords": reference.reaction_keywords,
    "refusals": reference.refusals,
    "speed": speed,
    "store-capabilities": clauses.store_capabilities,
    "store-clauses": clauses.store_clauses,
    "stores": stores,
    "turn-facts": reference.turn_facts,
    "verbs": verbs.verbs,
}


def filled(document: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """The document with its generated parts made anew. Raises ValueError for a part that nothing makes."""

    def fill(part: re.Match[str]) -> str:
        if part["name"] not in parts:
            known = ", ".join(sorted(parts))
            raise ValueError(f"a document asks for the generated part `{part['name']}`; there are: {known}")
        return f"{part['begin']}\n{parts[part['name']]()}\n\n{part['end']}"

    return _PART.sub(fill, document)


def capabilities(group: str) -> str:
    """A table of a group of entry points: a column for each adapter of ours, a line for each capability."""
    # An adapter with two schemes has its column under the first.
    points = {point.value: point for point in sorted(entry_points(group=group), reverse=True)}
    declared: dict[str, dict[str, Capability]] = {
        point.name: msgspec.structs.asdict(point.load().capabilities)
        for point in sorted(points.values())
        if point.value.startswith("minuet.")
    }
    return "\n".join(_lines(declared))


def _lines(declared: Mapping[str, Mapping[str, Capability]]) -> Iterator[str]:
    yield "| | " + " | ".join(f"`{adapter}`" for adapter in declared) + " |"
    yield "|---|" + "---|" * len(declared)
    for name in next(iter(declared.values())):
        words = " | ".join(_word(values[name]) for values in declared.values())
        yield f"| {name.replace('_', ' ')} | {words} |"


def _word(value: Capability) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case tuple():
            return ", ".join(f"`{each}`" for each in value)
        case str():
            return value
