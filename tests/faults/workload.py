"""What runs while the fault strikes: workers that change files, a clerk that changes accounts. Both remember what was acknowledged.

A worker owns a folder and asks for one thing at a time, so its tree is known exactly but for the one request in flight; registers are
files that all workers write at once.
"""
import os
import random
import threading
import time
from collections import Counter

from actors import OTHER, OTHER_PASSWORD, Actor, Sharer, Uploader
from client import Client, LOCK, digest
from model import Op, Write, apply, beneath

ACCOUNT, PASSWORD = "mara", "correct horse 7 staple"
REGISTERS = [f"shared/reg ister é{n}.bin" for n in range(3)]
SIZES = [0, 1, 700, 4096, 4096, 20_000, 70_000, 300_000]
WEIGHTS = {"put": 22, "overwrite": 16, "move": 9, "move onto": 6, "move folder": 4, "copy": 6, "copy folder": 3, "delete": 7,
           "delete folder": 2, "mkcol": 5, "mark": 7, "lock": 5, "put locked": 3, "unlock": 3, "register": 8}


class Cut:
    """The moment of the fault. `binding` says whether an answer read just now was still given before it."""

    def __init__(self, acks_after_count):
        self.struck = threading.Event()
        self.acks_after_count = acks_after_count

    def binding(self):
        return self.acks_after_count or not self.struck.is_set()


class Register:
    """The writes of a name that all workers write."""

    def __init__(self):
        self.writes = [Write(None, float("-inf"), float("-inf"))]

    def settle(self, value):
        self.writes = [Write(value, float("-inf"), float("-inf"))]


class Worker(Actor):
    """One client with a folder of its own."""

    def __init__(self, number, seed, registers):
        super().__init__(seed * 31 + number, (ACCOUNT, PASSWORD))
        self.top, self.registers = f"w{number}", registers
        self.tree, self.locks, self.counter = {}, {}, 0
        self.released = {}

    def settle(self, tree, locks):
        """Takes over what was found after a restart."""
        self.tree, self.locks, self.pending, self.released = tree, locks, None, {}

    def step(self, client, cut):
        """One request; False when its answer no longer counts."""
        kind = self.random.choices(list(WEIGHTS), WEIGHTS.values())[0]
        if kind == "register":
            return self.write_register(client, cut)
        op, send = self.choose(client, kind)
        self.pending = op
        status, headers, said = send()
        if not cut.binding():
            return False
        self.pending = None
        if not 200 <= status < 300 or status == 207:
            self.refused.append(f"{op} -> {status} {said[:120]!r}")
            return True
        self.counts["LOCK" if op.kind == "UNLOCK" else op.kind] += 1
        self.tree = apply(self.tree, op)
        if op.kind == "LOCK":
            self.locks[op.path] = headers["Lock-Token"].strip("<>")
        if op.kind == "UNLOCK":
            self.released[op.path] = self.locks.pop(op.path)
        return True

    def write_register(self, client, cut):
        name = self.random.choice(REGISTERS)
        content = None if self.random.random() < 0.2 else self.content()
        write = Write(content and digest(content), time.monotonic())
        self.registers[name].writes.append(write)
        status, _, said = client.ask("DELETE", name) if content is None else client.ask("PUT", name, content)
        if not cut.binding():
            return False
        if 200 <= status < 300:
            write.acknowledged = time.monotonic()
            self.counts["DELETE" if content is None else "PUT"] += 1
        elif content is None and status == 404:
            self.registers[name].writes.remove(write)
        else:
            self.refused.append(f"{'DELETE' if content is None else 'PUT'} {name} -> {status} {said[:120]!r}")
        return True

    def content(self):
        return os.urandom(max(1, self.random.choice(SIZES) + self.random.randrange(3)))

    def choose(self, client, kind):
        """An operation that is legal now, and how to send it."""
        if self.top not in self.tree:
            return self.mkcol(client, self.top)
        files = [p for p, n in self.tree.items() if not n.is_folder and p not in self.locks]
        folders = [p for p, n in self.tree.items() if n.is_folder and p != self.top]
        pick = self.random.choice
        if kind == "mkcol" and len(folders) < 6:
            return self.mkcol(client, self.fresh("fol der"))
        if kind == "put locked" and self.locks:
            path = pick(list(self.locks))
            return self.put(client, path, If=f"(<{self.locks[path]}>)")
        if kind == "unlock" and self.locks:
            path = pick(list(self.locks))
            return Op("UNLOCK", path), lambda: client.ask("UNLOCK", path, Lock_Token=f"<{self.locks[path]}>")
        if kind == "lock" and len(self.locks) < 4:
            return self.lock(client, files)
        if kind in ("move folder", "copy folder", "delete folder") and folders:
            return self.change_folder(client, kind, folders)
        if kind == "put" and len(files) < 24 or len(files) < 4:
            return self.put(client, self.fresh("fi le$%<>é"))
        return self.change_file(client, kind, files)

    def change_file(self, client, kind, files):
        pick = self.random.choice
        path = pick(files)
        if kind in ("put", "delete"):
            return Op("DELETE", path), lambda: client.ask("DELETE", path)
        if kind == "mark":
            return self.proppatch(client, pick(list(self.tree)))
        if kind in ("move", "move onto", "copy"):
            dest = self.fresh("moved") if kind == "move" else pick([f for f in files if f != path])
            return self.transfer(client, "COPY" if kind == "copy" else "MOVE", path, dest)
        return self.put(client, path)

    def change_folder(self, client, kind, folders):
        path = self.random.choice(folders)
        if kind == "delete folder":
            return Op("DELETE", path), lambda: client.ask("DELETE", path)
        apart = [f for f in folders if not (f + "/").startswith(path + "/") and not (path + "/").startswith(f + "/")]
        dest = self.random.choice(apart) if apart and self.random.random() < 0.4 else f"{self.top}/fol der {self.count()}"
        if kind == "copy folder" and len(self.tree) + len(beneath(self.tree, path)) > 60:
            kind = "move folder"
        return self.transfer(client, "COPY" if kind == "copy folder" else "MOVE", path, dest)

    def transfer(self, client, kind, path, dest):
        return Op(kind, path, dest), lambda: client.ask(kind, path, Destination=client.destination(dest), Overwrite="T")

    def mkcol(self, client, path):
        return Op("MKCOL", path), lambda: client.ask("MKCOL", path)

    def put(self, client, path, **headers):
        content = self.content()
        chunked = self.random.random() < 0.2
        return Op("PUT", path, value=digest(content)), lambda: client.ask("PUT", path, content, chunked, **headers)

    def proppatch(self, client, path):
        value = f"mark {self.count()}"
        if path in self.locks:
            return self.put(client, path, If=f"(<{self.locks[path]}>)")
        return Op("PROPPATCH", path, value=value), lambda: client.mark(path, value)

    def lock(self, client, files):
        """Of a file of the top folder, which is never moved, or of a name that is not there yet."""
        there = [f for f in files if f.count("/") == 1]
        path = self.random.choice(there) if there and self.random.random() < 0.6 else f"{self.top}/locked {self.count()}"
        return Op("LOCK", path, value=digest(b"")), lambda: client.ask(
            "LOCK", path, LOCK, Depth="0", Timeout="Second-3600", Content_Type="application/xml")

    def fresh(self, stem):
        folders = [p for p, n in self.tree.items() if n.is_folder and p.count("/") < 4]
        return f"{self.random.choice(folders)}/{stem} {self.count()}.txt"

    def count(self):
        self.counter += 1
        return self.counter


class Clerk:
    """Changes accounts through the command line, one command at a time."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.accounts, self.pending, self.counts, self.counter, self.refused = {}, None, Counter(), 0, []
        self.gate, self.process, self.stopped = threading.Lock(), None, False

    def run(self, server, cut):
        self.stopped = False
        while not self.stopped:
            name, password, quota, words = self.choose()
            with self.gate:
                if self.stopped:
                    return
                self.pending = (name, password, quota)
                self.process = server.command("user", *words, password=password if "--password-stdin" in words else None)
            said, _ = self.process.communicate()
            if not cut.binding() or self.process.returncode < 0:
                return
            if self.process.returncode == 0:
                self.accounts[name], self.pending = (password, quota), None
                self.counts["account"] += 1
            elif cut.struck.is_set():
                return
            else:
                self.refused.append(f"user {' '.join(words)} -> {said[-200:]!r}")
                self.pending = None

    def abort(self):
        """Ends the command in flight, as a crash of the machine would."""
        with self.gate:
            self.stopped = True
            if self.process and self.process.poll() is None:
                self.process.kill()

    def choose(self):
        """(name, password, quota, command)"""
        self.counter += 1
        name = self.random.choice(list(self.accounts)) if self.accounts else None
        kind = self.random.choice(["add", "passwd", "quota", "quota"]) if name else "add"
        password, quota = self.accounts.get(name, (None, None))
        if kind == "add":
            name = f"clerk{self.counter}"
            return name, f"first password {self.counter}", None, ("add", name, "--password-stdin")
        if kind == "passwd":
            return name, f"other password {self.counter}", quota, ("passwd", name, "--password-stdin")
        quota = 1_000_000 + self.counter
        return name, password, quota, ("quota", name, str(quota))


class Site:
    """A server with its workload, from an empty data folder on."""

    def __init__(self, server, seed):
        self.server = server
        self.registers = {name: Register() for name in REGISTERS}
        self.workers = [Worker(n, seed, self.registers) for n in range(4)]
        self.clerk = Clerk(seed)
        self.actors = [Sharer(seed, (ACCOUNT, PASSWORD)), Uploader(seed, (ACCOUNT, PASSWORD))]
        server.add(ACCOUNT, PASSWORD)
        server.add(OTHER, OTHER_PASSWORD)
        server.start()
        self.furnish()

    def furnish(self):
        """Makes what the clients work in, where it is missing; True when the folder of the registers was there."""
        client = Client(self.server.port, ACCOUNT, PASSWORD)
        status = client.ask("MKCOL", "shared")[0]
        if status == 201:
            for actor in self.actors:
                actor.furnish(client)
        client.close()
        if status not in (201, 405):
            raise RuntimeError(f"MKCOL shared -> {status}")
        return status == 405

    @property
    def counts(self):
        """How many changes were acknowledged, by column."""
        return sum((actor.counts for actor in (*self.workers, self.clerk, *self.actors)), Counter())

    def strike(self, seconds, cut, blow, beside=None):
        """Runs the workload, and what is done beside it, for so long, then `blow()`; afterwards nothing runs."""
        threads = [threading.Thread(target=a.run, args=(self.server.port, cut)) for a in (*self.workers, *self.actors)]
        threads.append(threading.Thread(target=self.clerk.run, args=(self.server, cut)))
        threads += [threading.Thread(target=beside)] if beside else []
        for thread in threads:
            thread.start()
        try:
            time.sleep(seconds)
        finally:
            cut.struck.set()
            try:
                blow()
            finally:
                self.server.kill()
                self.clerk.abort()
                for thread in threads:
                    thread.join()
