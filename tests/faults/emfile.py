"""No file descriptors left: changes are refused or wait, and once there are some again all goes on, without a restart and with nothing lost."""
import random
import socket
import time
from collections import Counter

from check import Seen, check, refusals
from client import BROKEN, Client
from kill import plant
from server import Server
from workload import ACCOUNT, PASSWORD, Cut, Site

LIMIT = 64
HOGS = 100
HEALS = 3.0


def run(bench):
    rounds, seen, findings, refused, slowest = bench.count(5, 20), Seen(), [], 0, 0.0
    moments = random.Random(bench.seed)
    with bench.using(Server(bench.binary, bench.folder())) as server:
        server.prefix = ["prlimit", f"--nofile={LIMIT}:{LIMIT}"]
        site = Site(server, bench.seed)
        for n in range(rounds):
            bench.in_time()
            hogs = Hogs(server.port)
            site.strike(moments.uniform(0.4, 0.8), Cut(acks_after_count=True), hogs.let_go_and_wait, beside=hogs.take)
            slowest = max(slowest, hogs.healed)
            found = refusals(site)
            refused += len(found)
            findings += [f"round {n}: {f}" for f in hogs.findings + [f for f in found if not is_clean(f)] + check(site, seen)]
        findings += plant(site)
    if not refused:
        findings.append("blind: nothing was ever refused")
    return (f"{rounds} times with {LIMIT} descriptors, {site.counts.total()} changes acknowledged, {refused} refused, "
            f"goes on after {slowest:.2f} s, slowest start {seen.slowest:.2f} s"), findings, site.counts + Counter(strikes=rounds)


def is_clean(found):
    """503 says to come again; a command says that it could not."""
    return "-> 503" in found or "-> 429" in found or found.startswith("refused: user ")


class Hogs:
    """Connections that only take descriptors, some time after the workload has begun."""

    def __init__(self, port):
        self.port, self.open, self.findings, self.healed = port, [], [], 0.0

    def take(self):
        time.sleep(0.1)
        for _ in range(HOGS):
            try:
                self.open.append(socket.create_connection(("127.0.0.1", self.port), timeout=1))
            except OSError:
                return

    def let_go_and_wait(self):
        """The server must take changes again by itself."""
        for connection in self.open:
            connection.close()
        began, status = time.monotonic(), None
        while time.monotonic() < began + HEALS:
            client = Client(self.port, ACCOUNT, PASSWORD, timeout=HEALS)
            try:
                status = client.put("healed.bin", b"healed")
            except BROKEN as broken:
                status = str(broken)
            finally:
                client.close()
            if status in (201, 204):
                self.healed = time.monotonic() - began
                return
            time.sleep(0.02)
        self.findings.append(f"descriptors came back and PUT still -> {status}")
