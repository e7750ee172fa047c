"""One manifest out of several: each service keeps its own, and the choreography is all of them."""

from collections.abc import Iterable

from minuet.choreography.manifest import ContractEntry, Manifest, ServiceEntry, WorkflowEntry


def merged(manifests: Iterable[Manifest]) -> Manifest:
    """The whole that these are parts of. Of what several describe, the first with the most to say is kept.

    A contract that only one service owns has no owner in the others' manifests: the one with an owner counts.
    """
    services: dict[str, ServiceEntry] = {}
    contracts: dict[str, ContractEntry] = {}
    workflows: dict[str, WorkflowEntry] = {}
    for manifest in manifests:
        for service in manifest.services:
            services.setdefault(service.name, service)
        for workflow in manifest.workflows:
            workflows.setdefault(workflow.name, workflow)
        for contract in manifest.contracts:
            known = contracts.get(contract.type)
            if known is None or (known.owner is None and contract.owner is not None):
                contracts[contract.type] = contract
    return Manifest(
        services=tuple(services.values()),
        contracts=tuple(sorted(contracts.values(), key=lambda contract: (contract.name, contract.version))),
        workflows=tuple(workflows.values()),
    )
