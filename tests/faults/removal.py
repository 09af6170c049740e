"""A crash at each system call of the removal of an account: it is all there afterwards, or gone with its files where they were to go."""
import json
import os
import random
import signal
import time
from collections import Counter

import api
from actors import OTHER, OTHER_PASSWORD
from check import staging
from client import BROKEN, Client, digest
from ground import CHANGES, Held, acknowledged
from server import Server, too_slow
from workload import ACCOUNT, PASSWORD

FATES = {"keep": "files=keep", "purge": "files=purge", "transfer": f"files=transfer&to={OTHER}"}
SECRET = "leaving soon 99"
PURGED = 10.0  # seconds until files that are to be deleted are deleted


def run(bench):
    if reason := bench.cannot_trace():
        return bench.skip(reason)
    chosen, sides, findings = random.Random(bench.seed), Counter(), []
    with bench.using(Server(bench.binary, bench.folder())) as server:
        server.add(ACCOUNT, PASSWORD, "--admin")
        server.add(OTHER, OTHER_PASSWORD)
        server.start()
        number = 0
        for fate, query in FATES.items():
            number += 1
            calls = Removal(server, number, fate, query).rehearse()
            points = range(1, len(calls) + 1)
            for point in points if bench.full else sorted({1, *chosen.sample(points, 2)}):
                bench.in_time()
                number += 1
                side, found = Removal(server, number, fate, query).strike(point)
                sides[side] += 1
                findings += [f"{fate} {point} of {len(calls)}: {f}" for f in found]
        server.kill()
        check = server.command("check")
        said = check.communicate(timeout=60)[0].decode(errors="replace")
        findings += [f"sarang check: {said.strip()[-400:]}"] if check.returncode else []
    if not sides["before"] or not sides["after"]:
        findings.append(f"blind: all crashes left it {set(sides)}")
    strikes = sides.total()
    return f"{strikes} crashes, {sides['before']} left the account as before, {sides['after']} removed it", findings, Counter(strikes=strikes, account=strikes)


class Removal:
    """An account with files, a shared folder and former contents, and its removal."""

    def __init__(self, server, number, fate, query):
        self.server, self.fate, self.query, self.name = server, fate, query, f"guest{number}"
        self.create()
        client, self.files = self.client(), {}
        client.ask("MKCOL", "shared")
        for path in ("top", "shared/a", "shared/b"):
            for content in (os.urandom(500), os.urandom(700)):
                client.put(path, content)
                self.files[path] = digest(content)
        status = api.share(client, "shared", OTHER)[0]
        client.close()
        if status != 201:
            raise RuntimeError(f"share -> {status}")

    def create(self):
        """The status of making the account."""
        body = json.dumps({"name": self.name, "password": SECRET}).encode()
        return self.admin("POST", "/api/v1/accounts", body)[0]

    def admin(self, method, target, body=None):
        client = Client(self.server.port, ACCOUNT, PASSWORD, timeout=30)
        try:
            return client.call(method, target, body, **({"Content_Type": "application/json"} if body else {}))
        finally:
            client.close()

    def client(self):
        return Client(self.server.port, self.name, SECRET)

    def send(self):
        """The status, or None when the connection broke."""
        try:
            return self.admin("DELETE", f"/api/v1/accounts/{self.name}?{self.query}")[0]
        except BROKEN:
            return None

    def rehearse(self):
        with Held(self.server, names=CHANGES) as held:
            status = self.send()
        if not acknowledged(status):
            raise RuntimeError(f"DELETE {self.name} -> {status}")
        return held.calls

    def strike(self, nth):
        """(side, findings)"""
        with Held(self.server, "kill", nth):
            status = self.send()
            crashed = self.server.ended(patience=0.5 if acknowledged(status) else 5) == -signal.SIGKILL
        findings = [] if crashed or acknowledged(status) else [f"the removal was answered {status}, and the server lives"]
        self.server.kill()
        findings += too_slow(self.server.start())
        side = self.side()
        if acknowledged(status) and side != "after":
            findings.append(f"answered {status}, and the account is there")
        findings += self.is_whole() if side == "before" else self.has_gone()
        return side, findings + self.ends()

    def side(self):
        client = self.client()
        status = client.ask("PROPFIND", "", Depth="0")[0]
        client.close()
        return {207: "before", 401: "after"}.get(status, f"neither: {status}")

    def is_whole(self):
        client, found = self.client(), []
        for path, content in self.files.items():
            found += [] if client.content(path) == content else [f"{path} is {client.content(path)[:8]}"]
            found += [] if len(api.versions(client, path)) == 1 else [f"{path} has lost its version"]
        client.close()
        return found + ([] if self.shows() else ["its share has ended"])

    def has_gone(self):
        """Its files are where they were to go, nothing of it is left, and who comes after it inherits nothing."""
        found = [f"its share still shows to {OTHER}"] if self.shows() else []
        if self.fate == "keep":
            found += self.brought_back()
        elif self.fate == "transfer":
            found += self.transferred()
        if (status := self.create()) != 201:
            return [*found, f"its name is taken: {status}"]
        client = self.client()
        nodes, _ = client.tree("")
        client.close()
        return found + ([f"a new account inherits {sorted(nodes)}"] if len(nodes) > 1 else [])

    def shows(self):
        client = Client(self.server.port, OTHER, OTHER_PASSWORD)
        status = client.ask("GET", "Shared with me/shared/a")[0]
        client.close()
        return status == 200

    def brought_back(self):
        items = json.loads(self.admin("GET", "/api/v1/removed-files?limit=1000")[2])["items"]
        mine = [item for item in items if item["name"] == self.name]
        if len(mine) != 1:
            return [f"{len(mine)} times among the removed files"]
        status, _, said = self.admin("POST", f"/api/v1/removed-files/{mine[0]['id']}/restore", json.dumps({"to": {"folder": OTHER}}).encode())
        return self.all_in(json.loads(said)["folder"]) if status == 200 else [f"bringing its files back -> {status} {said[:200]!r}"]

    def transferred(self):
        client = Client(self.server.port, OTHER, OTHER_PASSWORD)
        folders = [path for path in client.look("", 1) if self.name in path]
        client.close()
        return self.all_in(folders[0]) if len(folders) == 1 else [f"transferred into {folders}"]

    def all_in(self, folder):
        client = Client(self.server.port, OTHER, OTHER_PASSWORD)
        found = [f"{path} is not in {folder}" for path, content in self.files.items() if client.content(f"{folder.strip('/')}/{path}") != content]
        client.close()
        return found

    def ends(self):
        """Leaves nothing for the next strike, and looks for what no client sees."""
        homes = self.server.data / "homes"
        self.admin("DELETE", f"/api/v1/accounts/{self.name}?files=purge")
        until = time.monotonic() + PURGED
        while (left := [home for home in os.listdir(homes) if home.startswith(self.name)]) and time.monotonic() < until:
            time.sleep(0.05)
        return ([f"left on the disk: {left}"] if left else []) + staging(self.server.home(OTHER))
