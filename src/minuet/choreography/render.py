"""The graph as text that other programs draw: Mermaid for documents, DOT for Graphviz.

Rounded nodes are events, boxes are reactions, a frame is a service. A solid arrow leads from a reaction
to what it always emits, a dashed one to what it may emit. An event that no reaction emits comes in through
its owner's `emit`. What starts a workflow and what ends one is coloured.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from minuet.choreography.manifest import Manifest, ReactionEntry, ServiceEntry

STARTS = "#d7f0dd"
ENDS = "#f6ddc9"
INK = "#1d1d1f"

# What Mermaid reads as a word of its own where an identifier could stand.
RESERVED = frozenset({"class", "classDef", "click", "default", "end", "flowchart", "graph", "style", "subgraph"})


class Arrow(NamedTuple):
    """From one node to another; `label` is the name of a predicate, empty for none."""

    source: str
    target: str
    certain: bool = True
    label: str = ""


def mermaid(manifest: Manifest) -> str:
    """A Mermaid flowchart, from left to right."""
    nodes = identifiers(manifest)
    lines = ["flowchart LR"]
    lines += [f'    {nodes[event]}(["{escaped_mermaid(event)}"])' for event in events(manifest)]
    for number, service in enumerate(manifest.services):
        lines.append(f'    subgraph service{number}["{escaped_mermaid(service.name)}"]')
        for node, title in inside(manifest, service):
            shape = f'{{{{"{title}"}}}}' if node == entry(service) else f'["{escaped_mermaid(title)}"]'
            lines.append(f"        {nodes[node]}{shape}")
        lines.append("    end")
    for arrow in arrows(manifest):
        line = "-->" if arrow.certain else "-.->"
        label = f'|"{escaped_mermaid(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {nodes[arrow.source]} {line}{label} {nodes[arrow.target]}")
    for name, colour, marked in (("starts", STARTS, starts(manifest)), ("ends", ENDS, ends(manifest))):
        if marked:
            lines.append(f"    classDef {name} fill:{colour},color:{INK}")
            lines.append(f"    class {','.join(nodes[event] for event in marked)} {name}")
    return "\n".join(lines) + "\n"


def dot(manifest: Manifest) -> str:
    """A Graphviz digraph, from left to right."""
    lines = ["digraph choreography {", "    rankdir=LR;", "    node [shape=box];"]
    colours = dict.fromkeys(ends(manifest), ENDS) | dict.fromkeys(starts(manifest), STARTS)
    for event in events(manifest):
        filled = f'style="rounded,filled", fillcolor="{colours[event]}"' if event in colours else "style=rounded"
        lines.append(f"    {quoted(event)} [{filled}];")
    for number, service in enumerate(manifest.services):
        lines.append(f"    subgraph cluster_{number} {{")
        lines.append(f"        label={quoted(service.name)};")
        for node, title in inside(manifest, service):
            shape = ", shape=hexagon" if node == entry(service) else ""
            lines.append(f"        {quoted(node)} [label={quoted(title)}{shape}];")
        lines.append("    }")
    for arrow in arrows(manifest):
        attributes = [] if arrow.certain else ["style=dashed"]
        attributes += [f"label={quoted(arrow.label)}"] if arrow.label else []
        told = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"    {quoted(arrow.source)} -> {quoted(arrow.target)}{told};")
    return "\n".join([*lines, "}"]) + "\n"


def events(manifest: Manifest) -> tuple[str, ...]:
    """The event types, one node each; a manifest of another's making may name some without a contract."""
    described = [contract.type for contract in manifest.contracts]
    owned = [event for service in manifest.services for event in service.owns]
    moved = [event for reaction in manifest.reactions for event in (*reaction.takes, *reaction.emits)]
    bounds = [event for workflow in manifest.workflows for event in (*workflow.starts, *workflow.ends)]
    return tuple(dict.fromkeys([*described, *owned, *moved, *bounds]))


def inside(manifest: Manifest, service: ServiceEntry) -> Iterator[tuple[str, str]]:
    """What stands in a service's frame: node and title of its way in, if it has one, and of each reaction."""
    if entered(manifest, service):
        yield entry(service), "emit"
    for reaction in service.reactions:
        yield reaction.id, reaction.name


def entry(service: ServiceEntry) -> str:
    """The node that stands for `service.emit`; no reaction's id begins with a parenthesis."""
    return f"(emit) {service.name}"


def entered(manifest: Manifest, service: ServiceEntry) -> tuple[str, ...]:
    """The events that the service owns and no reaction emits: they come from outside."""
    emitted = {event for reaction in manifest.reactions for event in reaction.emits}
    return tuple(event for event in service.owns if event not in emitted)


def arrows(manifest: Manifest) -> Iterator[Arrow]:
    """Every arrow: what comes in, what is taken, what is emitted."""
    for service in manifest.services:
        for event in entered(manifest, service):
            yield Arrow(entry(service), event)
        for reaction in service.reactions:
            for event in reaction.takes:
                yield Arrow(event, reaction.id, label=reaction.when or "")
            for event in dict.fromkeys(reaction.emits):
                yield Arrow(reaction.id, event, certain=always(reaction))


def always(reaction: ReactionEntry) -> bool:
    """Whether each event that the reaction may emit is emitted every time."""
    return reaction.shape == "all" or (reaction.shape == "one" and len(reaction.emits) == 1)


def starts(manifest: Manifest) -> tuple[str, ...]:
    """The events that start a workflow."""
    return tuple(dict.fromkeys(event for workflow in manifest.workflows for event in workflow.starts))


def ends(manifest: Manifest) -> tuple[str, ...]:
    """The events that end a workflow and start none."""
    starting = starts(manifest)
    ending = (event for workflow in manifest.workflows for event in workflow.ends)
    return tuple(dict.fromkeys(event for event in ending if event not in starting))


def identifiers(manifest: Manifest) -> dict[str, str]:
    """A Mermaid identifier for every node, readable, and no two alike."""
    nodes = [*events(manifest)]
    for service in manifest.services:
        nodes += [node for node, _ in inside(manifest, service)]
    return dict(distinct(nodes))


def distinct(nodes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each node with letters, digits and underscores only; a second of the same spelling is numbered."""
    taken = set(RESERVED)
    for node in nodes:
        plain = re.sub(r"\W+", "_", node, flags=re.ASCII).strip("_") or "node"
        spelling, number = plain, 1
        while spelling in taken:
            number += 1
            spelling = f"{plain}_{number}"
        taken.add(spelling)
        yield node, spelling


def escaped_mermaid(text: str) -> str:
    """Text between double quotes in Mermaid, which escapes by HTML's entities with `#` for `&`."""
    line = " ".join(text.split())
    return line.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def quoted(text: str) -> str:
    """A DOT string, on one line."""
    line = " ".join(text.split())
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
