"""A file system that turns read-only under load: changes are refused, reads go on, and mounting it anew with a restart is all it takes."""
import random
import subprocess
from collections import Counter

from check import Seen, check
from client import BROKEN, Client
from deeds import lock_status
from kill import plant
from mounts import Mount, missing
from server import Server
from workload import ACCOUNT, PASSWORD, Cut, Site

MEGABYTES = 256


def run(bench):
    if reason := missing("mkfs.ext4"):
        return bench.skip(reason)
    rounds, seen, findings, refused, moments = bench.count(4, 20), Seen(), [], 0, random.Random(bench.seed)
    folder = bench.folder()
    with bench.using(Mount(folder, "ext4", MEGABYTES)) as mount:
        server = Server(bench.binary, folder, data=mount.point / "data")
        with bench.using(server):
            site = Site(server, bench.seed)
            for n in range(rounds):
                bench.in_time()
                blow = ReadOnly(server, mount)
                site.strike(moments.uniform(0.05, 0.3), Cut(acks_after_count=False), blow.strike)
                refused += blow.refused
                mount.again()
                findings += [f"round {n}: {f}" for f in blow.findings + check(site, seen)]
                findings += [] if site.furnish() else [f"round {n}: lost: shared"]
            findings += plant(site)
    counts = site.counts
    return (f"{rounds} times, {counts.total()} changes acknowledged, {refused} refused while read-only, {seen.flying} in flight "
            f"({seen.done} of them done), slowest start {seen.slowest:.2f} s"), findings, counts + Counter(strikes=rounds)


class ReadOnly:
    """The file system stops taking changes, as after an error of its disk."""

    def __init__(self, server, mount):
        self.server, self.mount, self.findings, self.refused = server, mount, [], 0

    def strike(self):
        subprocess.run(["mount", "-o", "remount,abort", str(self.mount.point)], capture_output=True, check=False)
        if not self.mount.is_readonly():
            raise RuntimeError("the file system did not turn read-only")
        client = Client(self.server.port, ACCOUNT, PASSWORD)
        try:
            asked = {"PUT": client.put("refused.bin", b"refused"), "MKCOL": client.ask("MKCOL", "refused")[0],
                     "LOCK": lock_status(client, "shared"), "DELETE": client.ask("DELETE", "shared")[0]}
            listed = client.ask("PROPFIND", "", Depth="1")[0]
        except BROKEN as broken:
            self.findings.append(f"while read-only: {broken}")
            return
        finally:
            client.close()
        self.refused = len(asked)
        self.findings += [f"{method} while read-only -> {status}" for method, status in asked.items() if status < 500 and status != 423]
        self.findings += [] if listed == 207 else [f"PROPFIND while read-only -> {listed}"]
