"""Packages of Debian and its kin."""

import contextlib
import os
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path

from tools.services.progress import Say, performed

# While this file ends with 101, a package that brings a server does not start it.
POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# Put here while packages are installed: their servers are not started.\nexit 101\n"

# A package manager that runs already is waited for; two minutes are more than it usually takes.
_APT = ("apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")


def obstacle() -> str | None:
    """Why no package can be installed here, in a clause; None if one can."""
    if shutil.which("apt-get") is None:
        return "this system has no apt to install it with"
    if os.geteuid() != 0:
        return "installing it with apt takes root"
    return None


def install(name: str, packages: Sequence[str], log: Path, say: Say) -> bool:
    """Installs packages for the server `name`, without starting what they bring; whether it succeeded.

    The lists of packages are brought up to date only if it does not succeed with those at hand.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = (*_APT, "install", "--no-install-recommends", *packages)
    doing = f"installing {' '.join(packages)}"
    say(name, doing)
    with _no_starts():
        if performed(command, about=(name, doing), log=log, say=say, environment=environment):
            return True
        say(name, "bringing the lists of packages up to date")
        performed((*_APT, "update"), about=(name, "updating lists"), log=log, say=say, environment=environment)
        return performed(command, about=(name, doing), log=log, say=say, environment=environment)


@contextlib.contextmanager
def _no_starts() -> Generator[None]:
    """Keeps packages from starting servers; a policy that this machine has already is its own, and stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(_POLICY_TEXT, encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
