"""Kafka in KRaft mode: one node that is broker and controller."""

import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

from tools.services import debian, maven
from tools.services.ports import LOOPBACK
from tools.services.processes import Launch, run
from tools.services.progress import Say
from tools.services.server import Failed, Home, Missing

POM = Path(__file__).with_name("kafka.xml")
JAVA_LEAST = 17
_HOW = (
    f"Install Java {JAVA_LEAST} or later and Maven (Debian, Ubuntu: apt install default-jre-headless maven; Fedora: "
    "dnf install java-headless maven; macOS: brew install openjdk maven), or give the URL of a server of yours: "
    "MINUET_KAFKA_URL=kafka://host:9092"
)

# One node has nobody to replicate to. A group begins at once: there are no stragglers to wait for. Few partitions for
# the server's own topics: each costs files and time, at the first use and at every start. A broker that was killed is
# let in again when its session is over: after 3 seconds, not 9.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=CLIENT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENT://{host}:{client}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=5
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
"""

_LOGGING = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
"""

# The heap is bounded, so that it runs beside others; the rest is what Kafka's own start script says.
_JVM = ("-Xmx512m", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")


class Kafka:
    """The server `kafka`."""

    name = "kafka"
    port_names = ("client", "controller")
    stop_signal = signal.SIGTERM

    def install(self, log: Path, say: Say) -> None:
        have_jars = maven.kept(POM).exists()
        if _java_version() < JAVA_LEAST or not (have_jars or shutil.which("mvn")):
            if obstacle := debian.obstacle():
                raise Missing(self.name, f"Kafka needs Java {JAVA_LEAST} and Maven, and {obstacle}. {_HOW}")
            if not debian.install(self.name, ["default-jre-headless", "maven"], log, say):
                raise Missing(self.name, f"apt could not install Java and Maven; {log} has what it said. {_HOW}")
            if _java_version() < JAVA_LEAST:
                raise Missing(self.name, f"The Java that apt installs here is older than {JAVA_LEAST}. {_HOW}")
        if not have_jars and not maven.fetch(self.name, POM, log, say):
            raise Missing(self.name, f"Maven could not fetch Kafka; {log} has what it said. {_HOW}")

    def prepare(self, home: Home, say: Say) -> Launch:
        data = home.path / "data"
        properties, logging = home.path / "server.properties", home.path / "log4j2.properties"
        properties.write_text(_PROPERTIES.format(host=LOOPBACK, data=data, **home.ports), encoding="utf-8")
        logging.write_text(_LOGGING, encoding="utf-8")
        java = (_java(), f"-Dlog4j2.configurationFile={logging.as_uri()}", "-cp", f"{maven.kept(POM)}/*")
        if not (data / "meta.properties").exists():
            say(self.name, "formatting its storage")
            self._format((*java, "kafka.tools.StorageTool"), home, properties)
        return Launch((*java[:-2], *_JVM, *java[-2:], "kafka.Kafka", str(properties)), home.path)

    def _format(self, tool: tuple[str, ...], home: Home, properties: Path) -> None:
        cluster = f"m{secrets.token_urlsafe(16)[1:]}"  # 16 bytes in base64; it must not begin with a dash
        command = (*tool, "format", "--cluster-id", cluster, "--config", str(properties), "--ignore-formatted")
        if not run(Launch(command, home.path), home.log):
            raise Failed(self.name, f"Its storage could not be formatted; {home.log} has what it said.")

    def answers(self, home: Home) -> bool:
        """Asks which requests it knows (ApiVersions 0): it answers once the broker is in service."""
        request = struct.pack(">hhih", 18, 0, 1, -1)
        with socket.create_connection((LOOPBACK, home.ports["client"]), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                head = answer.read(10)
        return len(head) == 10 and struct.unpack(">iih", head)[1:] == (1, 0)

    def url(self, home: Home) -> str:
        return f"kafka://{LOOPBACK}:{home.ports['client']}"

    def tidy(self, home: Home) -> None:
        """It is one process, and leaves none."""


def _java() -> str:
    return shutil.which("java") or "java"


def _java_version() -> int:
    """The major version of the Java here, 0 if there is none."""
    if shutil.which("java") is None:
        return 0
    said = subprocess.run([_java(), "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    return int(match[1]) if match else 0
