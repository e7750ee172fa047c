"""The peers' environment: what we are measured beside, installed apart, at pinned versions with hashes.

Peers never become dependencies: nothing of theirs is importable from the project's own environment.
"""

import hashlib
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".bench-venv"
PINS = ROOT / "requirements" / "bench-peers.txt"


class PeersMissing(Exception):
    """The peers' environment could not be made."""


def python() -> Path:
    """The peers' interpreter. Makes the environment when it is missing or was made from other pins."""
    interpreter = ENVIRONMENT / "bin" / "python"
    mark = ENVIRONMENT / "installed"
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return interpreter
    venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(ENVIRONMENT)
    (ENVIRONMENT / ".gitignore").write_text("*\n")
    pip = [
        str(interpreter),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]
    installed = subprocess.run([*pip, "-r", str(PINS)], capture_output=True, text=True, check=False)
    if installed.returncode:
        raise PeersMissing(
            f"The peers in {PINS.relative_to(ROOT)} could not be installed into {ENVIRONMENT.name}:\n"
            f"{installed.stderr.strip()}\n"
            "Mend what pip reports, or measure without them: --without dbos --without faststream, and so on."
        )
    mark.write_text(wanted)
    return interpreter


def versions() -> dict[str, str]:
    """The pinned version of each peer by name; what peers depend on is left out."""
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)", PINS.with_suffix(".in").read_text(), re.MULTILINE))


def main() -> None:
    """`python -m benchmarks.peers` makes the environment and says where it is."""
    sys.stdout.write(f"{python()}\n")


if __name__ == "__main__":
    main()
