"""One worker's stream of a service's messages: its places in the service's queues, and the others' shares."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from minuet.brokers.rabbitmq.aside import HOLD_SECONDS, MOST_HELD, aside_of, set_aside
from minuet.brokers.rabbitmq.connection import Channel, Connection
from minuet.brokers.rabbitmq.lane import TAGS, Lane
from minuet.brokers.rabbitmq.membership import Members
from minuet.brokers.rabbitmq.sharing import Place, eligible, places
from minuet.brokers.rabbitmq.topology import Topology, members_of, queue_of
from minuet.errors import BrokerClosed, BrokerUnavailable
from minuet.ports.broker import Delivery, Group, never_provisioned


class RabbitSubscription:
    """One group's stream, as one worker sees it. It joins the others with its first `receive`."""

    def __init__(
        self,
        group: Group,
        exchange: str,
        topology: Topology,
        connect: Callable[[], Awaitable[Connection]],
        speaker: Callable[[], Awaitable[Channel]],
        closed: Callable[[RabbitSubscription], None],
    ) -> None:
        self.group = group
        self._exchange = exchange
        self._topology = topology
        self._connect = connect
        self._speaker = speaker
        self._told_closed = closed
        self._members = Members(members_of(exchange), group.name, frozenset(group.topics), speaker)
        self._topics = {topic.encode(): topic for topic in group.topics}
        self._lanes: dict[int, Lane] = {}
        """By the number of its queue."""
        self._serials = count(1)
        self._by_serial: dict[int, Lane] = {}
        self._queues = 0
        self._connection: Connection | None = None
        self._failed: BrokerUnavailable | None = None
        self._closed = False
        self._moving = asyncio.Lock()
        """Held while places are taken and given up."""
        self.left_unsettled = 0
        """How many deliveries it had not settled when its connection failed and it was closed."""
        self._turn = 0
        self._arrived = asyncio.Event()
        self._unbalanced = asyncio.Event()
        self._sharing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._lanes)} places in {self._queues} queues"
        return f"<RabbitSubscription {self.group.name}, {state}>"

    # -- what the port asks

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while not self._closed:
            if self._failed is not None:
                raise self._failed
            if self._sharing is None:
                self._sharing = asyncio.create_task(self._share(), name=f"minuet shares {self.group.name}")
            self._arrived.clear()
            if found := self._take(limit):
                return found
            await self._arrived.wait()
        raise BrokerClosed(f"The subscription of {self.group.name} is closed; nothing more will be received.")

    def _take(self, limit: int) -> list[Delivery]:
        """From each lane in turn; the next time another one is the first."""
        lanes = list(self._lanes.values())
        if not lanes:
            return []
        self._turn = (self._turn + 1) % len(lanes)
        found: list[Delivery] = []
        for lane in (*lanes[self._turn :], *lanes[: self._turn]):
            if lane.waiting:
                found += lane.take(limit - len(found))
                if len(found) == limit:
                    break
        return found

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if self._failed is not None:
            raise self._failed
        for lane, mine in self._of_lanes(deliveries):
            lane.send(lane.acknowledge([delivery.token % TAGS for delivery in mine]))
            self._look_at(lane)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        for lane, mine in self._of_lanes(deliveries):
            lane.release(mine)
            self._look_at(lane)
        self._arrived.set()

    def _of_lanes(self, deliveries: Sequence[Delivery]) -> list[tuple[Lane, list[Delivery]]]:
        """The deliveries of each lane that still has its place."""
        by_serial: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            by_serial.setdefault(delivery.token // TAGS, []).append(delivery)
        return [(self._by_serial[serial], mine) for serial, mine in by_serial.items() if serial in self._by_serial]

    def _look_at(self, lane: Lane) -> None:
        if lane.drained:
            self._unbalanced.set()

    async def unsettled(self) -> int:
        """How many deliveries it has been given and has not acknowledged, of all that the server had sent by now."""
        async with self._moving:
            lanes = list(self._lanes.values())
            if self._failed is None:
                for lane in lanes:
                    await lane.catch_up()
            return sum(lane.unsettled for lane in lanes) + self.left_unsettled

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._sharing is not None:
            self._sharing.cancel()
            await asyncio.wait([self._sharing])
        await self._members.leave()
        async with self._moving:
            lanes = list(self._lanes.values())
            self.left_unsettled = 0 if self._failed is None else sum(lane.unsettled for lane in lanes)
            for lane in lanes:
                await self._end(lane)
        await self._members.end()
        self._arrived.set()
        self._told_closed(self)

    # -- places

    async def _share(self) -> None:
        """Join the others and have a share of the queues, until closed."""
        try:
            await self._join()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if self._all_read() else HOLD_SECONDS / 10):
                        await self._unbalanced.wait()
                self._unbalanced.clear()
                await self._balance()
                await self._set_aside()
        except BrokerUnavailable as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # whoever receives is told
            self._fail(BrokerUnavailable(f"{self.group.name} could not share its queues: {error!r}"))

    async def _join(self) -> None:
        connection = self._connection = await self._connect()
        layout = await self._topology.layout(connection, self.group.name)
        if not layout.queues:
            raise never_provisioned(self.group, repr(connection))
        members = self._members
        self._queues = members.queues = layout.queues
        members.changed, members.heard = self._unbalanced.set, self._told_by
        depth = await self._topology.depth(connection, queue_of(self._exchange, self.group.name, 0))
        await members.join(connection, alone=depth is None or not depth.consumers, failed=self._fail)
        await self._balance()
        await members.settle()

    async def _balance(self) -> None:
        """Take the places that fall to this worker, and give up those that fall to others, once nothing is held."""
        await self._count_queues()
        members = self._members
        shares = places(eligible([members.myself(), *members.others()]), self._queues)
        async with self._moving:
            for number, place in enumerate(shares):
                await self._move(number, place)
        self._arrived.set()

    async def _move(self, number: int, place: Place) -> None:
        """Take the place in this queue or give it up, as it falls."""
        me, lane = self._members.me, self._lanes.get(number)
        wanted = me in (place.owner, place.standby)
        if lane is not None:
            if place.owner == me:
                lane.owner = me
                lane.stay()
            elif not wanted or lane.owner != place.owner:
                lane.leave()
            if not lane.drained:
                return
            await self._end(lane)
        if wanted:
            await self._begin(number, place.owner)

    async def _count_queues(self) -> None:
        """Whether another worker knows of more queues: they were made since this one came."""
        most = max((member.queues for member in self._members.known.values()), default=0)
        if most > self._queues and self._connection is not None:
            layout = await self._topology.layout(self._connection, self.group.name)
            self._queues = self._members.queues = max(self._queues, layout.queues)

    def _all_read(self) -> bool:
        return not any(lane.strange for lane in self._lanes.values())

    async def _set_aside(self) -> None:
        """What no worker reads that is there goes out of the way, in time."""
        read = frozenset[str]().union(*(member.topics for member in self._members.known.values()))
        before = asyncio.get_running_loop().time() - HOLD_SECONDS
        for lane in list(self._lanes.values()):
            nobodys = [one for one in lane.strange if one.topic not in read]
            for number, one in enumerate(nobodys):
                if len(nobodys) - number > MOST_HELD or one.since < before:
                    speaker = await self._speaker()
                    if speaker.connection.blocked is not None:
                        return
                    await set_aside(speaker.connection, aside_of(self._exchange, self.group.name), one)
                    lane.send(lane.dismiss(one))

    async def _begin(self, number: int, owner: str) -> None:
        assert self._connection is not None
        queue = queue_of(self._exchange, self.group.name, number)
        serial = next(self._serials)
        lane = await Lane.begin(self._connection, queue, serial, self._came, self._fail, self._topics)
        lane.owner = owner
        self._lanes[number] = self._by_serial[serial] = lane
        if lane.waiting:
            self._arrived.set()

    async def _end(self, lane: Lane) -> None:
        self._by_serial.pop(lane.serial, None)
        for number, each in list(self._lanes.items()):
            if each is lane:
                del self._lanes[number]
        await lane.end()

    def _came(self, lane: Lane) -> None:
        if lane.waiting:
            self._arrived.set()
        if len(lane.strange) > MOST_HELD:
            self._unbalanced.set()

    def _told_by(self, member: str) -> None:
        """One whose queue this worker has, as its standby, is there: it shall have it."""
        for lane in self._lanes.values():
            if lane.owner == member and lane.active:
                lane.leave()
                self._unbalanced.set()

    def _fail(self, error: BrokerUnavailable) -> None:
        if self._failed is None:
            self._failed = error
        self._arrived.set()
