"""Java programs, fetched by Maven from wherever this machine's Maven fetches, and kept for the next time."""

import os
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from tools.services.progress import Say, performed


def kept(pom: Path) -> Path:
    """The directory for the jars that a pom names, in the user's cache. Another pom has another directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "minuet" / f"{pom.stem}-{blake2b(pom.read_bytes(), digest_size=6).hexdigest()}"


def fetch(name: str, pom: Path, log: Path, say: Say) -> bool:
    """Copies what the pom names, and all that it needs, into its directory; whether it succeeded.

    The directory appears when all is in it. Maven's checksums are enforced.
    """
    target = kept(pom)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    command = (
        *("mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom)),
        *("dependency:copy-dependencies", f"-DoutputDirectory={fresh}", "-DincludeScope=runtime"),
    )
    say(name, "fetching the server with Maven, 43 MB")
    try:
        if not performed(command, about=(name, "fetching"), log=log, say=_counted(fresh, say)):
            return False
        if not target.exists():
            fresh.rename(target)
        return True
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _counted(directory: Path, say: Say) -> Callable[[str, str], None]:
    """Says beside what is being done how many files have arrived."""

    def counted(name: str, text: str) -> None:
        arrived = sum(1 for _ in directory.glob("*.jar"))
        say(name, f"{text}; {arrived} files in place")

    return counted
