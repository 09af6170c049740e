"""Moves of a folder from one drive into another while clients save into it, half of them cut by a crash: what was acknowledged is in one whole tree."""
import os
import random
import threading
import time
from collections import Counter

import api
from actors import OTHER, OTHER_PASSWORD
from check import staging, trashed
from client import BROKEN, Client, digest
from model import FOLDER
from server import Server
from workload import ACCOUNT, PASSWORD

FILES = 80
MOST = 5  # times as many moves, until one was cut before it was done
MOUNT = "Shared with me/in"


def run(bench):
    findings, counts, sides, rounds = [], Counter(), Counter(), bench.count(6, 60)
    with bench.using(Server(bench.binary, bench.folder())) as server:
        server.add(ACCOUNT, PASSWORD)
        server.add(OTHER, OTHER_PASSWORD)
        server.start()
        other = Client(server.port, OTHER, OTHER_PASSWORD)
        made = other.ask("MKCOL", "in")[0], api.share(other, "in", ACCOUNT, "edit")[0]
        other.close()
        if made != (201, 201):
            return "no share", [f"MKCOL and share -> {made}"]
        moment, n = Moment(random.Random(bench.seed)), 0
        while n < rounds or n < MOST * rounds and not sides["here"]:
            bench.in_time()
            move = Move(server, f"s {n}", moment.next() if n % 2 or n >= rounds else None)
            move.strike()
            side, found = move.judge()
            moment.learn(move, side)
            n += 1
            findings += [f"move {n}: {f}" for f in found]
            sides[side] += 1
            counts += move.counts
        server.kill()
    if not counts["PUT"] or not sides["there"] or not sides["here"]:
        findings.append(f"blind: {counts['PUT']} saved meanwhile, {sides}")
    said = f"{n} moves, at least half of them cut: {counts['PUT'] + counts['DELETE']} changes acknowledged meanwhile, {sides['here']} left where it was"
    return said, findings, counts + Counter(strikes=n)


class Moment:
    """When to cut: within the time that a move takes on this machine, sooner after one that was done, later after one that was not."""

    def __init__(self, chance):
        self.chance, self.span = chance, 0.5

    def next(self):
        return self.chance.uniform(0, self.span)

    def learn(self, move, side):
        if move.after is None:
            self.span = move.took
        else:
            self.span *= 0.6 if side == "there" else 1.5


class Move:
    """One folder, its two writers, and who moves it. It is cut so many seconds after its request is sent, or not."""

    def __init__(self, server, top, after):
        self.server, self.top, self.after, self.took = server, top, after, 0.0
        self.sent = threading.Event()
        self.status, self.counts, self.files, self.pending = None, Counter(), {}, {}
        self.ended = threading.Event()
        client = Client(server.port, ACCOUNT, PASSWORD)
        for folder in (top, f"{top}/sub"):
            client.ask("MKCOL", folder)
        for n in range(FILES):
            path, content = f"{'sub/' if n % 2 else ''}f{n}", os.urandom(3000)
            if client.put(f"{top}/{path}", content) != 201:
                raise RuntimeError(f"PUT {path}")
            self.files[path] = digest(content)
        client.close()

    def strike(self):
        threads = [threading.Thread(target=self.write, args=(n,)) for n in range(2)] + [threading.Thread(target=self.move)]
        for thread in threads:
            thread.start()
        if self.after is not None:
            self.sent.wait()
            time.sleep(self.after)
            self.server.kill()
        for thread in threads:
            thread.join()
        if self.after is not None:
            self.server.start()

    def move(self):
        time.sleep(0.02)
        client = Client(self.server.port, ACCOUNT, PASSWORD, timeout=60)
        began = time.monotonic()
        self.sent.set()
        try:
            self.status = client.ask("MOVE", self.top, Destination=client.destination(f"{MOUNT}/{self.top}"))[0]
        except BROKEN:
            pass
        self.took = time.monotonic() - began
        self.ended.set()
        client.close()

    def write(self, number):
        """Saves and deletes until that is refused, or the server is gone. Each writer has files of its own."""
        client, chance = Client(self.server.port, ACCOUNT, PASSWORD), random.Random(self.top + str(number))
        try:
            for n in range(100_000):
                if self.ended.is_set():
                    break
                path = chance.choice([f"{'sub/' if number else ''}f{chance.randrange(FILES // 2) * 2 + number}", f"new {number} {n}"])
                content = os.urandom(2000) if path.startswith("new") or chance.random() < 0.8 else None
                self.pending[number] = path, content and digest(content)
                status = client.ask("DELETE", f"{self.top}/{path}")[0] if content is None else client.put(f"{self.top}/{path}", content)
                if status == 409 or status == 404 and (content is not None or path in self.files):
                    break
                if status not in (201, 204, 404):
                    self.counts[f"status {status}"] += 1
                    break
                self.counts["DELETE" if content is None else "PUT"] += 1
                self.files[path] = content and digest(content)
                if content is None:
                    del self.files[path]
                del self.pending[number]
            self.pending.pop(number, None)
        except BROKEN:
            pass
        client.close()

    def judge(self):
        """(side, findings)"""
        client = Client(self.server.port, ACCOUNT, PASSWORD)
        trees = {}
        for side, top in (("here", self.top), ("there", f"{MOUNT}/{self.top}")):
            nodes = client.tree(top)[0] if client.look(top, 0) else {}
            trees[side] = {path[len(top) + 1:]: node.content for path, node in nodes.items() if node.content != FOLDER}
        client.close()
        self.counts["MOVE"] += self.status == 201
        homes = [self.server.home(account) for account in (ACCOUNT, OTHER)]
        findings = [f"{key} {count}" for key, count in self.counts.items() if key.startswith("status")] + [f for home in homes for f in staging(home)]
        findings += [f"MOVE -> {self.status}"] if self.status not in (201, 201 if self.after is None else None) else []
        kept = [path for path, _ in trashed(homes[0], "") if path == self.top]
        side = "here" if trees["here"] else "there"
        for name, tree in trees.items():
            if tree or name == side:
                findings += [f"{name}: {f}" for f in self.differences(tree)]
        if bool(kept) != (side == "there") or self.status == 201 and side == "here":
            findings.append(f"{side}, answered {self.status}, and {len(kept)} times in the trash")
        return side, findings

    def differences(self, tree):
        flying = dict(self.pending.values())
        return [f"{path} is {str(tree.get(path))[:8]}, not {str(self.files.get(path))[:8]}" for path in sorted({*tree, *self.files, *flying})
                if tree.get(path) != self.files.get(path) and not (path in flying and tree.get(path) == flying[path])]
