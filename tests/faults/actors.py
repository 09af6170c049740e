"""Two more clients of the workload: one shares files and ends shares, one sends uploads in parts. Both remember what was acknowledged, and check it."""
import os
import random
from collections import Counter
from dataclasses import dataclass

import api
from client import BROKEN, Client, digest

OTHER, OTHER_PASSWORD = "otto", "another staple 8"
OFFERS, FILES = "of fers", 4
LANDING, OPEN = "land ing", 3


class Actor:
    """Asks for one thing at a time until the fault strikes."""

    def __init__(self, seed, account):
        self.random, self.account, self.pending, self.counts, self.refused = random.Random(seed), account, None, Counter(), []

    def run(self, port, cut):
        client = Client(port, *self.account)
        try:
            while not cut.struck.is_set() and self.step(client, cut):
                pass
        except BROKEN:
            pass
        finally:
            client.close()

    def step(self, client, cut):
        """One request; False when its answer no longer counts."""
        what, send, accept = self.choose(client)
        self.pending = what
        status, headers, said = send()
        if not cut.binding():
            return False
        self.pending = None
        if 200 <= status < 300:
            self.counts[self.column] += what[0] != "ask"
            accept(headers, said)
        else:
            self.refused.append(f"{self.column} {what[0]} -> {status} {said[:120]!r}")
            self.was_refused(what)
        return True

    def was_refused(self, what):
        """What a refusal leaves open; mostly nothing."""


class Sharer(Actor):
    """Shares files of its own folder with the other account: `made` is {path: id}."""
    column = "share"

    def __init__(self, seed, account):
        super().__init__(seed, account)
        self.made = {}

    def furnish(self, client):
        client.ask("MKCOL", OFFERS)
        for n in range(FILES):
            client.put(self.path(n), b"for you")

    def path(self, n):
        return f"{OFFERS}/offer{n}.txt"

    def choose(self, client):
        path = self.path(self.random.randrange(FILES))
        if path in self.made:
            return ("end", path), lambda: api.unshare(client, self.made[path]), lambda *_: self.made.pop(path)
        return ("make", path), lambda: api.share(client, path, OTHER), lambda _, said: self.made.update({path: api.shared(said)})

    def check(self, client, server, seen):
        there = {path: number for number, path in api.shares(client).items()}
        other, findings = Client(server.port, OTHER, OTHER_PASSWORD), []
        for path in map(self.path, range(FILES)):
            in_flight = self.pending is not None and self.pending[1] == path
            if in_flight:
                seen.pending(self.pending, (path in there) == (self.pending[0] == "make"))
            elif there.get(path) != self.made.get(path):
                findings.append(f"share {'lost' if path in self.made else 'came from nowhere or back'}: {path}")
            reached = other.get(f"Shared with me/{path.rsplit('/')[-1]}")[0] == 200
            findings += [f"share of {path}: listed {path in there}, reached {reached}"] if reached != (path in there) else []
        other.close()
        self.made, self.pending = there, None
        return findings


@dataclass
class Sent:
    """An upload: how much of it was acknowledged."""
    path: str
    content: bytes
    address: str
    offset: int = 0
    # Up to where a part that was refused may have been kept all the same: the protocol has the client ask.
    unsure: int | None = None


class Uploader(Actor):
    """Sends files in parts; `whole` are those that have arrived, as path and digest."""
    column = "tus"

    def __init__(self, seed, account):
        super().__init__(seed, account)
        self.open, self.whole, self.counter = [], {}, 0

    def furnish(self, client):
        client.ask("MKCOL", LANDING)

    def choose(self, client):
        if len(self.open) < OPEN:
            self.counter += 1
            path, content = f"{LANDING}/up load {self.counter}.bin", os.urandom(self.random.randrange(1, 120_000))
            return (("begin", path), lambda: api.begin(client, path, len(content)),
                    lambda headers, _: self.open.append(Sent(path, content, headers["Location"])))
        sent = self.random.choice(self.open)
        if sent.unsure is not None:
            return ("ask", sent), lambda: api.stand(client, sent.address), lambda headers, _: self.learnt(sent, int(headers["Upload-Offset"]))
        until = min(len(sent.content), sent.offset + self.random.randrange(1, 60_000))
        return ("part", sent, until), lambda: api.go_on(client, sent.address, sent.offset, sent.content[sent.offset:until]), lambda *_: self.came(sent, until)

    def was_refused(self, what):
        if what[0] == "part":
            what[1].unsure = what[2]

    def learnt(self, sent, at):
        if not sent.offset <= at <= sent.unsure:
            self.refused.append(f"upload stands at {at}, acknowledged {sent.offset}, sent {sent.unsure}")
        sent.offset, sent.unsure = at, None

    def came(self, sent, until):
        sent.offset = until
        if until == len(sent.content):
            self.open.remove(sent)
            self.whole[sent.path] = digest(sent.content)

    def check(self, client, server, seen):
        findings = [f"upload arrived and is lost: {path}" for path, wanted in self.whole.items() if client.content(path) != wanted]
        pending, self.pending, self.whole = self.pending, None, {}
        for sent in list(self.open):
            until = pending[2] if pending and pending[0] == "part" and pending[1] is sent else sent.unsure or sent.offset
            findings += self.stands(client, server, sent, until)
        seen.pending(pending, False)
        return findings + self.finish(client)

    def stands(self, client, server, sent, until):
        """Where the upload is: what lies on disk, no less than acknowledged, no more than sent."""
        at = api.offset(client, sent.address)
        if client.content(sent.path) == digest(sent.content) and until == len(sent.content):
            self.open.remove(sent)
            return []
        file = server.home(self.account[0]) / ".sarang/uploads" / sent.address.rsplit("/", 1)[1]
        on_disk = file.stat().st_size if file.exists() else None
        if at is None or at != on_disk or not sent.offset <= at <= until:
            self.open.remove(sent)
            return [f"upload stands at {at}, on disk {on_disk}, acknowledged {sent.offset}, sent {until}"]
        sent.offset, sent.unsure = at, None
        return []

    def finish(self, client):
        """The oldest goes on to its end, to exactly the bytes sent."""
        for sent in self.open[:1]:
            status = api.go_on(client, sent.address, sent.offset, sent.content[sent.offset:])[0]
            self.open.remove(sent)
            if status != 204 or client.content(sent.path) != digest(sent.content):
                return [f"upload cannot be finished: PATCH {status}, then {client.content(sent.path)[:8]}"]
        return []
