"""SIGTERM under load: requests in flight end within the grace, what was acknowledged is there, and the program ends with 0."""
import random
import socket
import time
from collections import Counter

from check import Seen, check
from client import Client, digest, url
from kill import plant
from server import Server
from workload import ACCOUNT, PASSWORD, Cut, Site

ROUNDS_PER_FOLDER = 10
GRACE = 3
SLOW = 200_000


def run(bench):
    rounds, seen, findings, acknowledged, done, slowest, answered = bench.count(5, 50), Seen(), [], Counter(), 0, 0.0, 0
    moments = random.Random(bench.seed)
    while done < rounds:
        with bench.using(Server(bench.binary, bench.folder(), server=f"shutdown_grace = {GRACE}\n")) as server:
            site = Site(server, bench.seed + done)
            for _ in range(min(ROUNDS_PER_FOLDER, rounds - done)):
                bench.in_time()
                stop = Stop(server, stuck=done % 5 == 4)
                site.strike(moments.uniform(0.05, 0.3), Cut(acks_after_count=True), stop.strike)
                slowest, answered = max(slowest, stop.took), answered + (stop.upload.status == 201)
                findings += [f"SIGTERM {done}: {f}" for f in stop.findings() + check(site, seen) + stop.kept()]
                done += 1
            acknowledged += site.counts
            if done >= rounds:
                findings += plant(site)
    return (f"{done} times, {acknowledged.total()} changes acknowledged, {answered} slow uploads finished meanwhile, "
            f"ended after at most {slowest:.1f} s (grace {GRACE} s)"), findings, acknowledged + Counter(strikes=done)


class Stop:
    """One SIGTERM with a slow upload in flight, which then ends in time or, when `stuck`, not at all."""

    def __init__(self, server, stuck):
        self.server, self.stuck, self.took, self.code = server, stuck, 0.0, None
        self.upload = Upload()

    def strike(self):
        self.upload.begin(self.server.port)
        began = time.monotonic()
        self.server.process.terminate()
        if not self.stuck:
            time.sleep(0.1)
            self.upload.end()
        self.code = self.server.process.wait(GRACE + 20)
        self.took = time.monotonic() - began
        self.upload.close()

    def findings(self):
        found = [] if self.code == 0 else [f"exit code {self.code}"]
        found += [] if self.took < GRACE + 1.5 else [f"took {self.took:.1f} s"]
        return found + ([] if self.stuck or self.upload.status == 201 else [f"the upload in flight got {self.upload.status}"])

    def kept(self):
        """After the restart: the slow upload is there, or nothing of it."""
        client = Client(self.server.port, ACCOUNT, PASSWORD)
        status, body = client.get(self.upload.name)
        client.close()
        wanted = (404, None) if self.stuck else (200, self.upload.content)
        return [] if (status, body if status == 200 else None) == wanted else [f"the upload in flight: GET {status}, {len(body)} bytes"]


class Upload:
    """A PUT whose second half comes late."""

    def __init__(self):
        self.content, self.status, self.connection = random.randbytes(SLOW), None, None
        self.name = f"slow {digest(self.content)[:8]}.bin"

    def begin(self, port):
        client = Client(port, ACCOUNT, PASSWORD)
        head = (f"PUT {url(self.name)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {client.sign}\r\nExpect: 100-continue\r\n"
                f"Content-Length: {SLOW}\r\n\r\n")
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.connection.sendall(head.encode())
        if b" 100 " not in (said := self.connection.recv(1000)):
            raise RuntimeError(f"a slow upload was not let begin: {said!r}")
        self.connection.sendall(self.content[:SLOW // 2])

    def end(self):
        try:
            self.connection.sendall(self.content[SLOW // 2:])
            self.status = int((self.connection.recv(1000).split() or [b"", b"0"])[1])
        except OSError as broken:
            self.status = str(broken)

    def close(self):
        self.connection.close()
