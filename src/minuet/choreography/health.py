"""What a choreography's manifest says is wrong with it, or worth knowing: pure questions."""

from collections.abc import Collection, Iterator

from minuet.choreography.manifest import Manifest, names
from minuet.ports.examined import Examined


def examine(manifest: Manifest) -> Iterator[Examined]:
    """Events that nobody takes or emits, and consumers that a contract expects and that do not react."""
    yield from missing_consumers(manifest)
    yield from unheard(manifest)
    yield from unsaid(manifest)


def missing_consumers(manifest: Manifest) -> Iterator[Examined]:
    """The consumers that a contract expects and that have no reaction to it."""
    for contract in manifest.contracts:
        there = {reaction.service for reaction in manifest.takers(contract.name)}
        for expected in contract.expected_consumers:
            if expected not in there:
                yield Examined(
                    subject="choreography.expected_consumer",
                    well=False,
                    found=f"{contract.type} ({contract.place}) expects {expected} to consume it, and {expected} has no "
                    "reaction to it.",
                    advice=f"Run {expected} here, or take it out of consumers=.",
                )


def unheard(manifest: Manifest) -> Iterator[Examined]:
    """Events that somebody may emit and nobody takes, unless they end a workflow or are expected elsewhere."""
    ends = names(end for workflow in manifest.workflows for end in workflow.ends)
    for contract in manifest.contracts:
        said = manifest.emitters(contract.name) or contract.owner is not None
        if (
            said
            and not manifest.takers(contract.name)
            and contract.name not in ends
            and not contract.expected_consumers
        ):
            yield Examined(
                subject="choreography.no_consumer",
                well=None,
                found=f"Nobody takes {contract.type} ({contract.place}), and it ends no workflow.",
                advice="If others consume it, name them in consumers=; if it ends a workflow, name it in ends=.",
            )


def unsaid(manifest: Manifest) -> Iterator[Examined]:
    """Events that somebody takes and nobody here owns or emits."""
    for contract in manifest.contracts:
        takers = [reaction.id for reaction in manifest.takers(contract.name)]
        if takers and contract.owner is None and not manifest.emitters(contract.name):
            yield Examined(
                subject="choreography.no_producer",
                well=None,
                found=f"{', '.join(takers)} take {contract.type} ({contract.place}), and nobody here owns or emits it.",
                advice="If it comes from elsewhere, name its owner in owner=.",
            )


def strangers(manifest: Manifest, groups: Collection[str]) -> tuple[str, ...]:
    """Which of these consumer groups belong to no service or reaction of the manifest."""
    known = {service.name for service in manifest.services} | {reaction.id for reaction in manifest.reactions}
    return tuple(group for group in groups if group not in known)
