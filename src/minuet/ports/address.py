"""A URL as it may be shown: where something lies, and nothing of who comes there and how."""

from __future__ import annotations

import re

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
