"""A full disk: reads go on, writes are refused with 507, a crash and a start while full cost nothing, and room alone heals it."""
import os
import time
from collections import Counter

from check import staging
from client import BROKEN, Client, LOCK, digest
from mounts import Mount, missing
from server import Server, too_slow
from workload import ACCOUNT, PASSWORD

MEGABYTES = 200
PIECE = 4 << 20


def run(bench):
    """Once with the configured reserve, once without, so that the disk is full to the last block."""
    if reason := missing("mkfs.ext4"):
        return bench.skip(reason)
    said, findings, refusals = [], [], 0
    for reserve, drive in (("default reserve", ""), ("no reserve", "reserve = 0\n")):
        folder = bench.folder()
        with bench.using(Mount(folder, "ext4", MEGABYTES)) as mount:
            server = Server(bench.binary, folder, data=mount.point / "data", drive=drive)
            with bench.using(server):
                disk = Disk(server, mount)
                for n in range(bench.count(5, 25)):
                    bench.in_time()
                    findings += [f"{reserve}, round {n}: {f}" for f in disk.round()]
                refusals += disk.refusals
                said.append(f"{reserve}: {n + 1} rounds, {disk.refusals} refusals, heals in {disk.slowest:.2f} s")
    return "; ".join(said), findings, Counter(strikes=2 * bench.count(5, 25), PUT=refusals)


class Disk:
    """A server on a small disk, and what its files must contain."""

    def __init__(self, server, mount):
        self.server, self.filler = server, mount.point / "filler"
        self.files, self.refusals, self.slowest, self.count = {}, 0, 0.0, 0
        server.add(ACCOUNT, PASSWORD)
        server.start()
        for n in range(5):
            self.keep(f"o ld {n}.bin", os.urandom(30_000))

    def put(self, name, content, **how):
        """The status, or a word when the connection broke."""
        client = self.client()
        try:
            return client.put(name, content, **how)
        except BROKEN as broken:
            return f"broken connection ({broken})"
        finally:
            client.close()

    def client(self):
        return Client(self.server.port, ACCOUNT, PASSWORD)

    def keep(self, name, content, **how):
        status = self.put(name, content, **how)
        if status in (201, 204):
            self.files[name] = digest(content)
        return status

    def round(self):
        findings = self.fill_by_uploads() + self.whole("after filling by uploads")
        self.fill_beside(leave=0 if self.count % 2 else 1 << 20)
        findings += self.refuses() + self.whole("while full")
        self.server.kill()
        took = self.server.start()
        findings += too_slow(took)
        findings += self.whole("started while full")
        self.fill_beside(leave=0)  # the start may have given room back
        findings += self.refuses()
        self.filler.unlink()
        return findings + self.heals() + self.whole("after healing")

    def fill_by_uploads(self):
        """Until one is refused, which must not be seen afterwards."""
        for _ in range(MEGABYTES // 4 + 1):
            self.count += 1
            name = f"f iller {self.count}.bin"
            status = self.keep(name, os.urandom(PIECE))
            if status not in (201, 204):
                return self.refused("PUT", name, status)
        return ["the disk never became full"]

    def fill_beside(self, leave):
        """Takes all room but `leave` bytes, as something else on the machine would; adds to what it took before."""
        with open(self.filler, "ab") as filler:
            size, step = filler.tell(), 1 << 22
            while step >= 4096:
                try:
                    os.posix_fallocate(filler.fileno(), size, step)
                    size += step
                except OSError:
                    step //= 2
            filler.truncate(max(0, size - leave))

    def refuses(self):
        """Overwriting with and without a length, and a new file: 507 each, nothing changed (see `whole`)."""
        large = os.urandom(3 << 20)
        findings = self.refused("PUT over", "", self.keep("o ld 0.bin", large))
        findings += self.refused("chunked PUT over", "", self.keep("o ld 1.bin", large, chunked=True))
        findings += self.refused("PUT", "n ew.bin", self.put("n ew.bin", large))
        client = self.client()
        status = client.ask("LOCK", "o ld 2.bin", LOCK, Depth="0", Timeout="Second-1", Content_Type="application/xml")[0]
        client.close()
        return findings + ([] if status in (200, 423, 503, 507) else [f"LOCK while full -> {status}"])

    def refused(self, what, name, status):
        self.refusals += 1
        findings = [] if status == 507 else [f"{what} while full -> {status}"]
        if name:
            client = self.client()
            there = client.get(name)[0]
            client.close()
            findings += [] if there == 404 else [f"{name} was refused and is there: {there}"]
        return findings

    def whole(self, when):
        client = self.client()
        wrong = [f"{name} {when}" for name, wanted in self.files.items() if client.content(name) != wanted]
        client.close()
        return [f"not as it was: {w}" for w in wrong] + staging(self.server.home(ACCOUNT))

    def heals(self, patience=5):
        """Writes work again without hand work."""
        began, status = time.monotonic(), None
        while time.monotonic() < began + patience:
            if (status := self.keep(f"o ld {3 + self.count % 2}.bin", os.urandom(20_000))) in (201, 204):
                self.slowest = max(self.slowest, time.monotonic() - began)
                return []
            time.sleep(0.05)
        return [f"room came back and PUT still -> {status}"]
