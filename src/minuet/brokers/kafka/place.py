"""Where a Kafka cluster is, how it lets us in, and what topics are made like: everything that its URL says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from minuet.contracts.duration import seconds
from minuet.errors import DeclarationError, StartupError
from minuet.ports.address import ENCODE, without_secrets

PORT = 9092
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PROTOCOLS = ("classic", "consumer")
OWNED = frozenset(
    (
        "acks", "auto.offset.reset", "bootstrap.servers", "delivery.report.only.error", "enable.auto.commit",
        "enable.auto.offset.store", "enable.idempotence", "enable.partition.eof", "group.id", "group.instance.id",
        "isolation.level", "message.timeout.ms", "partition.assignment.strategy", "partitioner",
        "request.required.acks", "transactional.id",
    )
)  # fmt: skip
"""What minuet's promises stand on, and no URL changes."""
NATIVE = "client."
_SECRET = re.compile(r"password|secret|pem|jaas|oauth|token", re.IGNORECASE)
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,100}").fullmatch


class KafkaPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka cluster as one app uses it."""

    servers: str
    """`host:port,host:port`."""
    prefix: str = ""
    """What the names of topics and groups begin with."""
    partitions: int | None = None
    """How many partitions a topic has at least; None leaves those that are there as they are."""
    replication: int | None = None
    """How many copies a new topic has; None for what the cluster does by itself."""
    retention_seconds: float | None = None
    """How long a new topic keeps its messages; infinite for `forever`, None for what the cluster does by itself."""
    create: bool = True
    """Whether a topic that is published to and does not exist is made, as it would be provisioned."""
    publish_seconds: float = 10.0
    """How long publishing waits for its acknowledgement."""
    session_seconds: float = 6.0
    """How soon a process that is silent loses its partitions."""
    handover_seconds: float = 5.0
    """How long a process that gives partitions away finishes what it has of them before the next one has them."""
    protocol: str = "classic"
    """Which of Kafka's two group protocols."""
    security: Mapping[str, str] = {}
    """librdkafka's properties that let us in. Some are secret."""
    native: Mapping[str, str] = {}
    """librdkafka's own properties, as the URL gives them."""

    @classmethod
    def from_url(cls, url: str) -> KafkaPlace:
        """Read `kafka://user:password@host:9092,host:9092/?partitions=6`. Raises StartupError, without its secrets."""
        shown = without_secrets(url)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise StartupError(
                f"{shown} is no URL. Write kafka://host:9092,host:9092/?option=value. {ENCODE}"
            ) from None
        if parts.path not in ("", "/") or parts.fragment:
            raise StartupError(
                f"{shown} has a path, and topics are named by their contracts. Write kafka://host:9092, with "
                "?prefix=shop. for names of topics and groups that begin so."
            )
        credentials, _, hosts = parts.netloc.rpartition("@")
        servers = ",".join(_with_port(host) for host in hosts.split(",") if host)
        if not servers:
            raise StartupError(f"{shown} names no server. Write kafka://host:9092,host:9092.")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        native = {name[len(NATIVE) :]: given.pop(name) for name in list(given) if name.startswith(NATIVE)}
        if owned := OWNED & native.keys():
            raise StartupError(
                f"{shown}: minuet sets librdkafka's {', '.join(sorted(owned))} itself, because its promises stand on "
                "it."
            )
        if unknown := given.keys() - OPTIONS.keys() - SECURITY.keys():
            known = ", ".join(sorted([*OPTIONS, *SECURITY]))
            raise StartupError(
                f"{shown}: unknown option {', '.join(sorted(unknown))}. There are {known}, and {NATIVE}NAME for any "
                "property of librdkafka."
            )
        values: dict[str, Any] = {}
        for name, text in given.items():
            if name in OPTIONS:
                field, read, expected = OPTIONS[name]
                try:
                    values[field] = read(text)
                except (ValueError, DeclarationError):
                    raise StartupError(f"{shown}: ?{name}={text} is not understood. Write {expected}.") from None
        return cls(servers=servers, security=_security(shown, credentials, given), native=native, **values)

    @property
    def shown(self) -> str:
        """The place without its credentials."""
        return f"kafka://{self.servers}" + (f"/?prefix={self.prefix}" if self.prefix else "")

    def __repr__(self) -> str:
        native = {name: "…" if _SECRET.search(name) else value for name, value in self.native.items()}
        return f"<KafkaPlace {self.shown}{f' {native}' if native else ''}>"

    def group_name(self, name: str) -> str:
        """The group.id of a group."""
        return self.prefix + name

    def client(self) -> dict[str, Any]:
        """What every client of this process is told."""
        return {
            "bootstrap.servers": self.servers,
            "client.id": "minuet",
            # A broker that was away is asked again each second, not each ten.
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.nagle.disable": True,
            "allow.auto.create.topics": False,
            **self.security,
            **self.native,
        }


def _with_port(host: str) -> str:
    return host if re.search(r":\d+$", host) else f"{host}:{PORT}"


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _some_seconds(text: str) -> float:
    length = seconds(text)
    if length <= 0:
        raise ValueError
    return length


def _retention(text: str) -> float:
    return float("inf") if text == "forever" else _some_seconds(text)


def _prefix(text: str) -> str:
    if not _PREFIX(text):
        raise ValueError
    return text


def _on_or_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError
    return text == "on"


def _protocol(text: str) -> str:
    if text not in PROTOCOLS:
        raise ValueError
    return text


OPTIONS: dict[str, tuple[str, Callable[[str], object], str]] = {
    "create": ("create", _on_or_off, "on or off"),
    "handover": ("handover_seconds", seconds, "a length of time, ?handover=5s"),
    "partitions": ("partitions", _number, "a number, ?partitions=6"),
    "prefix": ("prefix", _prefix, "letters, digits, '.', '_' and '-', ?prefix=shop."),
    "protocol": ("protocol", _protocol, f"one of {', '.join(PROTOCOLS)}"),
    "publish_within": ("publish_seconds", _some_seconds, "a length of time, ?publish_within=10s"),
    "replication": ("replication", _number, "a number, ?replication=3"),
    "retention": ("retention_seconds", _retention, "a length of time, ?retention=30d, or forever"),
    "session": ("session_seconds", _some_seconds, "a length of time, ?session=6s"),
}
"""Each option: the field, how it is read, and what is expected."""

SECURITY = {
    "tls": None,
    "mechanism": None,
    "verify": None,
    "ca": "ssl.ca.location",
    "certificate": "ssl.certificate.location",
    "key": "ssl.key.location",
    "key_password": "ssl.key.password",
}
"""Each option about TLS and SASL, and the property that it is where it is one."""


def _security(shown: str, credentials: str, given: Mapping[str, str]) -> dict[str, str]:
    """The properties of librdkafka for TLS and SASL."""
    found = {
        name_there: given[name] for name, name_there in SECURITY.items() if name_there is not None and name in given
    }
    for name in ("tls", "verify"):
        if given.get(name, "on") not in ("on", "off"):
            raise StartupError(f"{shown}: ?{name}={given[name]} is not understood. Write ?{name}=on or ?{name}=off.")
    tls = given.get("tls", "on" if found or "verify" in given else "off") == "on"
    if found and not tls:
        raise StartupError(f"{shown}: ?tls=off, and certificates too. Leave one of them out.")
    if given.get("verify") == "off":
        found["enable.ssl.certificate.verification"] = "false"
    user, colon, password = credentials.partition(":")
    if credentials:
        mechanism = given.get("mechanism", "PLAIN")
        if mechanism not in MECHANISMS:
            raise StartupError(
                f"{shown}: the mechanism {mechanism} is not known. There are {', '.join(MECHANISMS)}; others are "
                f"librdkafka's own, ?{NATIVE}sasl.mechanisms=."
            )
        if not (user and colon):
            raise StartupError(f"{shown}: a user needs a password. Write kafka://user:password@host, or ${{NAME}}.")
        found |= {
            "sasl.mechanisms": mechanism,
            "sasl.username": unquote(user),
            "sasl.password": unquote(password),
        }
    elif "mechanism" in given:
        raise StartupError(
            f"{shown}: ?mechanism= says how to log in, and nobody does. Write kafka://user:password@host."
        )
    if tls or credentials:
        found["security.protocol"] = f"{'SASL_' if credentials else ''}{'SSL' if tls else 'PLAINTEXT'}"
    return found
