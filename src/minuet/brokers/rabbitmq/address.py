"""Where a RabbitMQ server is and how it is used, as its URL says: `rabbitmq://user:password@host:5672/vhost?queues=8`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from minuet.errors import StartupError
from minuet.ports.address import ENCODE

OPTIONS = {
    "exchange": "the exchange that events are published to",
    "queues": "how many queues a service has, and so how many workers share its work",
    "heartbeat": "after how many seconds of silence, twice, a connection counts as dead",
    "tls": "on, for a server that speaks TLS",
    "ca": "a file with the certificates to trust",
    "cert": "a file with the client's own certificate",
    "key": "a file with the key to it",
}
PORT, TLS_PORT = 5672, 5671
MOST_QUEUES = 256


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A server, a virtual host in it, who asks, and the names that minuet uses there."""

    host: str
    port: int
    vhost: str
    user: str
    password: str
    exchange: str = "minuet"
    queues: int | None = None
    """How many the URL asks for; None for as many as there are, and 8 for a new service."""
    heartbeat_seconds: int = 10
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        return f"<Address {self.shown}>"

    @property
    def shown(self) -> str:
        """The place in a message, without credentials."""
        return f"{self.host}:{self.port}/{'' if self.vhost == '/' else self.vhost}"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `rabbitmq://user:password@host:port/vhost?options`. Raises StartupError, which shows no password."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(options) - set(OPTIONS)):
            known = "; ".join(f"{name} ({what})" for name, what in OPTIONS.items())
            raise StartupError(f"A rabbitmq:// URL has no option {unknown[0]!r}. There are: {known}.")
        tls = options.get("tls", "on" if options.keys() & {"ca", "cert", "key"} else "off")
        if tls not in ("on", "off"):
            raise StartupError(f"tls={tls} in a rabbitmq:// URL: write tls=on, or leave it out.")
        try:
            port = parts.port or (TLS_PORT if tls == "on" else PORT)
        except ValueError:
            raise StartupError(f"The port in a rabbitmq:// URL is no number from 1 to 65535. {ENCODE}") from None
        queues = options.get("queues")
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            vhost=unquote(parts.path.removeprefix("/")) or "/",
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            exchange=_exchange(options),
            queues=None if queues is None else _number(options, "queues", 1, MOST_QUEUES),
            heartbeat_seconds=_number(options, "heartbeat", 1, 600) if "heartbeat" in options else 10,
            tls=tls == "on",
            ca=options.get("ca"),
            cert=options.get("cert"),
            key=options.get("key"),
        )

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs, None without it. Raises StartupError for a file that cannot be read."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(f"{name}={value}" for name in ("ca", "cert", "key") if (value := getattr(self, name)))
            raise StartupError(f"TLS to {self.shown} cannot be prepared with {files}: {error}.") from error
        return context


def _exchange(options: Mapping[str, str]) -> str:
    name = options.get("exchange", "minuet")
    if not name or len(name.encode()) > 60 or name.startswith("amq."):
        raise StartupError(
            f"exchange={name} in a rabbitmq:// URL: a name has 1 to 60 bytes and does not begin with 'amq.', which "
            "belongs to the server."
        )
    return name


def _number(options: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = options[name]
    if not text.isdecimal() or not least <= int(text) <= most:
        raise StartupError(f"{name}={text} in a rabbitmq:// URL is no whole number from {least} to {most}.")
    return int(text)
