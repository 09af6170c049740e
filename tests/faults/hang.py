"""A home on a disk that hangs under load: the others notice nothing, nothing is lost, and all is well when it answers again."""
import os
import random
import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter

from client import BROKEN, Client, digest
from mounts import Mount, missing, run as call
from server import Server

PASSWORD = "f aults:%25 pass"
HUNG, OTHERS = "ana", ("ben", "cleo", "dan")
THREADS = 2
SLACK = 0.050  # by which the others' p99 may be worse
HEALED = 45  # seconds until the home must answer again


def run(bench):
    """Each way to hang, in both durabilities; in a quick run, each in one."""
    said, findings, counts = [], [], Counter()
    for way, quick in ((Stopped, "strict"), (Frozen, "relaxed")):
        if reason := way.missing():
            said.append(f"{way.__name__.lower()} skipped: {reason}")
            continue
        for durability in ("strict", "relaxed") if bench.full else (quick,):
            bench.in_time()
            told, found, more = strike(bench, way, durability)
            said.append(f"{way.__name__.lower()}, {durability}: {told}")
            findings += [f"{way.__name__.lower()}, {durability}: {f}" for f in found]
            counts += more
    if not counts:
        return bench.skip("; ".join(said))
    return "; ".join(said), findings, counts


class Stopped:
    """A FUSE daemon that is stopped."""

    @staticmethod
    def missing():
        return missing("bindfs")

    def __init__(self, folder, home):
        self.home, behind = home, folder / "behind"
        behind.mkdir()
        self.daemon = subprocess.Popen(["bindfs", "-f", str(behind), str(home)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not os.path.ismount(home):
            if time.monotonic() > until:
                raise RuntimeError("bindfs does not mount")
            time.sleep(0.01)

    def hang(self):
        self.daemon.send_signal(signal.SIGSTOP)

    def answer(self):
        self.daemon.send_signal(signal.SIGCONT)

    def close(self):
        self.answer()
        call("umount", str(self.home))
        self.daemon.wait(10)


class Frozen:
    """A local file system that is frozen: it is read, and whoever writes waits."""

    @staticmethod
    def missing():
        return missing("mkfs.ext4", "fsfreeze")

    def __init__(self, folder, home):
        # All that the load replaces stays: a load that overwrites so much has the history held.
        self.mount = Mount(folder, "ext4", 1000)
        self.home, self.is_frozen = home, False
        call("mount", "--bind", str(self.mount.point), str(home))

    def hang(self):
        call("fsfreeze", "-f", str(self.home))
        self.is_frozen = True

    def answer(self):
        if self.is_frozen:
            call("fsfreeze", "-u", str(self.home))
        self.is_frozen = False

    def close(self):
        self.answer()
        call("umount", str(self.home))
        self.mount.close()


class Worker(threading.Thread):
    """A client that does a bit of everything in a folder of its own, and knows what was acknowledged."""

    def __init__(self, server, account, number, patience):
        super().__init__(daemon=True)
        self.server, self.account, self.number, self.patience = server, account, number, patience
        self.random = random.Random(f"{account} {number}")
        self.stopped, self.took, self.acknowledged, self.odd = threading.Event(), [], {}, []
        self.unsure, self.counts, self.refused = set(), Counter(), 0
        self.client, self.said = None, b""

    def run(self):
        while not self.stopped.is_set():
            began = time.monotonic()
            status = None
            try:
                self.client = self.client or Client(self.server.port, self.account, PASSWORD, timeout=self.patience)
                kind, status = self.step()
            except BROKEN:
                self.client.close()
                self.client = None
                kind = "broken"
            self.took.append((began, time.monotonic() - began, kind, status))
            if status in (503, None):
                self.refused += 1
            elif 200 <= status < 300:
                self.counts[kind] += 1
            elif status != 404:
                self.odd.append(f"{self.account}: {kind} -> {status} {self.said[:300]!r}")
            time.sleep(0.005)

    def step(self):
        name = f"w {self.number}/f {self.random.randrange(12)}"
        match self.random.randrange(6):
            case 0 | 1:
                content = os.urandom(self.random.choice((200, 5_000, 150_000)))
                # Until the answer is there, either may be what lies there.
                self.unsure.add(name)
                status, _, self.said = self.client.ask("PUT", name, content)
                if status in (201, 204):
                    self.acknowledged[name] = digest(content)
                    self.unsure.discard(name)
                elif status == 503:
                    self.unsure.add(name)
                return "PUT", status
            case 2:
                return "GET", self.client.get(name)[0]
            case 3:
                return "PROPFIND", self.client.ask("PROPFIND", f"w {self.number}", Depth="1")[0]
            case 4:
                return "GET", self.client.get(name)[0]
            case _:
                self.unsure.add(name)
                status = self.client.ask("DELETE", name)[0]
                if status == 204:
                    self.acknowledged.pop(name, None)
                    self.unsure.discard(name)
                return "DELETE", status

    def lost(self):
        """What was acknowledged and is not there, where nothing came later that has not been answered."""
        client = Client(self.server.port, self.account, PASSWORD, timeout=60)
        wrong = []
        for name, wanted in self.acknowledged.items():
            status, body = client.get(name)
            if name not in self.unsure and (status != 200 or digest(body) != wanted):
                wrong.append(f"lost: {self.account} {name}: {status}")
        client.close()
        return wrong


def p99(took):
    return statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0


def strike(bench, way, durability):
    folder, seconds = bench.folder(), bench.count(8, 20)
    server = Server(bench.binary, folder, durability=durability)
    for account in (HUNG, *OTHERS):
        server.add(account, PASSWORD)
    home = server.home(HUNG)
    home.mkdir(parents=True)
    with bench.using(way(folder, home)) as disk, bench.using(server):
        server.start()
        workers = [Worker(server, account, n, 15 if account == HUNG else 60) for account in (HUNG, *OTHERS) for n in range(THREADS)]
        for worker in workers:
            client = Client(server.port, worker.account, PASSWORD, timeout=60)
            client.ask("MKCOL", f"w {worker.number}")
            client.close()
            worker.start()
        time.sleep(2)
        marks, findings = [time.monotonic()], []
        for step in (lambda: None, disk.hang, disk.answer):
            step()
            marks.append(time.monotonic())
            time.sleep(seconds)
        took_to_heal = heal(server)
        for worker in workers:
            worker.stopped.set()
        for worker in workers:
            worker.join(120)
        others = [took for worker in workers if worker.account != HUNG for took in worker.took]
        before = [took for began, took, *_ in others if marks[1] <= began < marks[2] - 1]
        during = [took for began, took, *_ in others if marks[2] <= began < marks[3]]
        before_p99, during_p99, worst = p99(before), p99(during), max(during, default=0)
        if during_p99 > before_p99 + SLACK:
            findings.append(f"the others' p99 went from {before_p99 * 1000:.0f} to {during_p99 * 1000:.0f} ms")
        findings += [f"{worker.account}: {len(worker.odd)} odd answers, {worker.odd[0]}" for worker in workers if worker.odd]
        findings += [f"{worker.account} was refused {worker.refused} times" for worker in workers if worker.account != HUNG and worker.refused]
        if took_to_heal is None:
            findings.append(f"the home did not answer {HEALED} s after its disk did")
        else:
            findings += [lost for worker in workers for lost in worker.lost()]
        refused = sum(worker.refused for worker in workers if worker.account == HUNG)
        counts = sum((worker.counts for worker in workers), Counter(strikes=1))
        server.stop()
        said, _ = (process := server.command("check")).communicate(timeout=120)
        if process.returncode != 0:
            findings.append(f"sarang check: {said.decode(errors='replace').strip()[-400:]}")
    shutil.rmtree(folder / "behind", ignore_errors=True)
    return (f"others' p99 {before_p99 * 1000:.0f} ms before, {during_p99 * 1000:.0f} ms while it hung {seconds} s ({len(during)} requests, "
            f"longest {worst * 1000:.0f} ms), {refused} of the hung home's refused, healed in {took_to_heal or -1:.1f} s"), findings, counts


def heal(server):
    """Seconds until the home takes a file again."""
    began = time.monotonic()
    while time.monotonic() < began + HEALED:
        client = Client(server.port, HUNG, PASSWORD, timeout=20)
        try:
            if client.put("healed", b"x") in (201, 204):
                return time.monotonic() - began
        except BROKEN:
            pass
        finally:
            client.close()
        time.sleep(0.2)
    return None
