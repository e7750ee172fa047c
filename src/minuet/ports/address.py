"""A URL as it may be shown: where something lies, and nothing of who comes there and how."""

from __future__ import annotations

import re

ENCODE = (
    "Write special characters of user, password and options in percent-encoding, %40 for @, %23 for #, or the value as "
    "${NAME}."
)
"""What to do with a URL that cannot be read."""
_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:(\d*|\$\{\w+\}))?")


def without_secrets(url: str) -> str:
    """Scheme, host and path of a URL; user, password and options are left out.

    A password that was not percent-encoded may have moved its own end into the host, the path or the options. What
    cannot be told from such a piece is shown as `…`.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    head, *options = re.split(r"[?#]", rest, maxsplit=1)
    if any("@" in each for each in options) and not head.startswith("/"):
        return f"{scheme}{separator}…"
    if head.startswith("/"):
        return f"{scheme}{separator}{head}"
    host, slash, path = head.rpartition("@")[2].partition("/")
    hosts = ",".join(each if _HOST.fullmatch(each) else f"{each.partition(':')[0]}:…" for each in host.split(","))
    return f"{scheme}{separator}{hosts}{slash}{path}"


def is_cut_short(url: str) -> bool:
    """Whether a `#`, `?` or `/` of a password seems to have ended the host, so that what follows it has the `@`."""
    rest = url.partition("://")[2]
    if rest.startswith("/"):
        return False
    before, _, fragment = rest.partition("#")
    place, _, options = before.partition("?")
    if "@" in fragment or any("@" in option.partition("=")[0] for option in options.split("&")):
        return True
    host, _, path = place.partition("/")
    return "@" in path and "@" not in host and _HOST.fullmatch(host.partition(",")[0]) is None
