"""A data folder on which single requests are struck: what stands there, what was ever acknowledged, and what must hold after the fault."""
import os
import pathlib
import subprocess
import sys
from collections import Counter

import api
from actors import OTHER, OTHER_PASSWORD
from check import staging, trash, trashed
from client import BROKEN, Client, digest
from model import Op, Past, apply, judge_past, judge_tree
from server import Server, too_slow
from workload import ACCOUNT, PASSWORD

DEEDS_PER_FOLDER = 6
CALLS = pathlib.Path(__file__).with_name("calls.py")
CHANGES = ("write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,syncfs,sync_file_range,ftruncate,fallocate,copy_file_range,ioctl,openat,openat2,"
           "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,setxattr,fsetxattr,lsetxattr,removexattr,fremovexattr,"
           "utimensat,fchmod,fchmodat")


class Held:
    """The server's threads in the hands of `calls.py`, for as long as one request takes."""

    def __init__(self, server, mode="watch", nth=0, names=CHANGES):
        self.tracer = subprocess.Popen([sys.executable, "-B", str(CALLS), str(server.process.pid), mode, str(nth), names, str(server.data.resolve())],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.calls = []
        if (said := self.tracer.stdout.readline().strip()) != "ready":
            self.tracer.kill()
            self.tracer.wait()
            raise RuntimeError(f"calls.py: {said or 'ended'}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Lets go; `calls` are then those that were counted."""
        self.tracer.stdin.close()
        self.calls = self.tracer.stdout.read().splitlines()
        self.tracer.stdout.close()
        self.tracer.wait(20)


class Ground:
    """One account, a folder for each strike, and a second account that is shared with."""

    def __init__(self, server):
        self.server, self.client = server, None
        self.number, self.top, self.tree, self.past, self.kept = 0, None, {}, Past(), set()
        server.add(ACCOUNT, PASSWORD)
        server.add(OTHER, OTHER_PASSWORD)
        self.start()

    def start(self):
        """The findings of a start."""
        took = self.server.start()
        self.reconnect()
        return too_slow(took)

    def reconnect(self):
        if self.client:
            self.client.close()
        self.client = Client(self.server.port, ACCOUNT, PASSWORD, timeout=30)

    def fresh(self):
        """A folder of its own for the next strike."""
        self.number += 1
        self.top = f"s {self.number}"
        self.tree, self.past = {}, Past()
        self.did(Op("MKCOL", self.top), self.client.ask("MKCOL", self.top)[0])

    def did(self, op, status):
        """An acknowledged change; anything else ends the test."""
        if not acknowledged(status):
            raise RuntimeError(f"{op} -> {status}")
        self.past = self.past.after(self.tree, op)
        self.tree = apply(self.tree, op)
        if op.value and op.kind == "PUT":
            self.kept.add(op.value)

    def put(self, name, content):
        path = f"{self.top}/{name}"
        self.did(Op("PUT", path, value=digest(content)), self.client.put(path, content))
        return path

    def folder(self, name):
        path = f"{self.top}/{name}"
        self.did(Op("MKCOL", path), self.client.ask("MKCOL", path)[0])
        return path

    def ready(self, deed):
        """The deed in a fresh folder that has something in it."""
        self.fresh()
        self.folder("fol der")
        for size in (300, 700):
            for name in ("o ne é.txt", "two.txt", "fol der/in.txt"):
                self.put(name, os.urandom(size))
        return deed(self)

    def rehearse(self, deed, names=CHANGES):
        """The calls of the request when nothing befalls it."""
        made = self.ready(deed)
        with Held(self.server, names=names) as held:
            status = self.send(made)
        if not acknowledged(status):
            raise RuntimeError(f"{made.op} -> {status}")
        return held.calls

    def send(self, deed):
        """The status, or None when the connection broke."""
        try:
            return deed.send()
        except BROKEN:
            self.reconnect()
            return None

    def judge(self, deed, done):
        """(side, findings); `done` says that the deed was acknowledged."""
        observed, locks = self.client.tree(self.top)
        seen = self.seen_past(observed)
        before = apply(self.tree, deed.op) if done and deed.op else self.tree
        side, findings = judge_tree(before, None if done else deed.op, observed)
        if side != "wrong":
            is_made = deed.op and (done or side == "after")
            findings += judge_past(self.past.after(self.tree, deed.op) if is_made else self.past, seen)
        if deed.judge:
            side, more = deed.judge(done, locks)
            findings += more
        home = self.server.home(ACCOUNT)
        return "after" if done else side, findings + staging(home) + trash(home) + self.forgotten()

    def seen_past(self, tree):
        """What is kept of the tree that was observed."""
        versions = {path: tuple(map(digest, api.versions(self.client, path))) for path, node in tree.items() if not node.is_folder}
        return Past(trashed(self.server.home(ACCOUNT), self.top), {path: kept for path, kept in versions.items() if kept})

    def forgotten(self):
        """Contents that were acknowledged at any time and are nowhere any more: neither live, nor in trash or versions."""
        there = set()
        for folder, _, names in os.walk(self.server.home(ACCOUNT)):
            there.update(digest(pathlib.Path(folder, name).read_bytes()) for name in names)
        return [f"nowhere any more: {lost[:8]}" for lost in self.kept - there]

    def agrees(self):
        """`sarang check` on the stopped server's folder."""
        said, _ = (process := self.server.command("check")).communicate(timeout=60)
        return [] if process.returncode == 0 else [f"sarang check: {said.decode(errors='replace').strip()[-400:]}"]


def acknowledged(status):
    return status is not None and 200 <= status < 300


def strike_all(bench, deeds, choose, strike, names=CHANGES):
    """Each deed at the points that `choose(calls)` gives: (findings, how many by kind). A data folder serves a few kinds, and must agree in the end."""
    left, findings, counts = list(deeds.items()), [], Counter()
    while left:
        some, left = left[:DEEDS_PER_FOLDER], left[DEEDS_PER_FOLDER:]
        with bench.using(Server(bench.binary, bench.folder())) as server:
            ground = Ground(server)
            for name, deed in some:
                # What only the first of its kind makes stays: the file of the account in the audit log.
                ground.rehearse(deed, names)
                calls = ground.rehearse(deed, names)
                for point in choose(calls):
                    bench.in_time()
                    findings += [f"{name} {point} of {len(calls)}: {f}" for f in strike(ground, deed, point)]
                    counts[name.split()[0]] += 1
            server.kill()
            findings += [f"{', '.join(name for name, _ in some)}: {f}" for f in ground.agrees()]
    return findings, counts
