"""What must hold after a restart, looked at as a client does, and on disk where no client can look."""
import os
import re
import time
import urllib.parse
from collections import Counter

from client import Client, digest
from model import FOLDER, judge_register, judge_tree
from server import too_slow
from workload import ACCOUNT, PASSWORD


class Seen:
    """What the checks of many faults have counted."""

    def __init__(self):
        self.flying = self.done = 0
        self.slowest = 0.0

    def pending(self, was, after):
        self.flying += bool(was)
        self.done += bool(was) and after


def check(site, seen, power=False):
    """Restarts the server and returns the findings; the workload then goes on from what was found. `power`: it was cut."""
    findings = refusals(site)
    took = site.server.start()
    seen.slowest = max(seen.slowest, took)
    findings += too_slow(took)
    client = Client(site.server.port, ACCOUNT, PASSWORD)
    try:
        for worker in site.workers:
            findings += check_worker(worker, client, seen, power)
        for name, register in site.registers.items():
            findings += check_register(name, register, client)
        findings += staging(site.server.home(ACCOUNT))
        findings += trash(site.server.home(ACCOUNT))
        findings += check_accounts(site, seen)
        for actor in site.actors:
            findings += actor.check(client, site.server, seen)
    finally:
        client.close()
    return findings


def refusals(site):
    """Nothing is refused that is legal; forgotten afterwards."""
    actors = (*site.workers, site.clerk, *site.actors)
    findings = [f"refused: {r}" for actor in actors for r in actor.refused]
    for actor in actors:
        actor.refused = []
    return findings


def check_worker(worker, client, seen, power):
    tree, locks = client.tree(worker.top)
    if power:
        release_again(worker, client, locks)
    if worker.pending and worker.pending.kind in ("LOCK", "UNLOCK"):
        findings = check_lock_in_flight(worker, tree, locks, seen)
    else:
        side, findings = judge_tree(worker.tree, worker.pending, tree)
        seen.pending(worker.pending, side == "after")
    for path, token in worker.locks.items():
        findings += check_lock(path, token, locks.get(path, []), client)
    for path in set(locks) - set(worker.locks):
        if not (worker.pending and worker.pending.path == path):
            findings.append(f"lock came from nowhere: {path}")
    worker.settle(tree, {path: tokens[0] for path, tokens in locks.items()})
    return findings


def release_again(worker, client, locks):
    """A power cut may lose an UNLOCK that was answered: then that lock, and no other, is there for the rest of its time."""
    for path, token in worker.released.items():
        client.ask("UNLOCK", path, Lock_Token=f"<{token}>")
        if locks.get(path) == [token]:
            del locks[path]


def check_lock_in_flight(worker, tree, locks, seen):
    """The file that LOCK makes and the lock are kept in two places: each is before or after by itself."""
    path = worker.pending.path
    side, findings = judge_tree(worker.tree, worker.pending, tree)
    held = path in locks
    seen.pending(worker.pending, side == "after" or held == (worker.pending.kind == "LOCK"))
    if worker.pending.kind == "UNLOCK":
        del worker.locks[path]
    return findings


def check_lock(path, token, tokens, client):
    if tokens != [token]:
        return [f"lock lost: {path} shows {tokens}, not {token}"]
    status = client.put(path, b"written past a lock")
    return [] if status == 423 else [f"lock does not hold: PUT {path} without its token -> {status}"]


def check_register(name, register, client):
    status, body = client.get(name)
    value = client_value(status, body)
    lost = [] if judge_register(register.writes, value) else [f"register {name}: {value and value[:8]} is not the last write"]
    register.settle(value)
    return lost


def client_value(status, body):
    return digest(body) if status == 200 else None if status == 404 else f"GET {status}"


def staging(home, pid=None, patience=1.0):
    """Uploads being written must be gone; given a moment, because clients may have left just now."""
    until = time.monotonic() + patience
    while (left := staged(home, pid)) and time.monotonic() < until:
        time.sleep(0.01)
    return [f"left in .sarang/tmp: {left}"] if left else []


def staged(home, pid=None):
    """Uploads under way: names in the staging folder and, of a running server, open files that have none there."""
    tmp = home / ".sarang" / "tmp"
    return (sorted(p.name for p in tmp.iterdir()) if tmp.is_dir() else []) + (unnamed(tmp, pid) if pid else [])


def unnamed(tmp, pid):
    found = []
    for handle in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{handle}")
        except OSError:
            continue
        if target.startswith(f"{tmp.resolve()}/#"):
            found.append(target.rsplit("/", 1)[1])
    return found


def trash(home):
    """What lies in the trash must be restorable: each file has its note."""
    files, notes = home / ".sarang/trash/files", home / ".sarang/trash/info"
    if not files.is_dir():
        return []
    known = {p.name.removesuffix(".trashinfo") for p in notes.iterdir()}
    return [f"in the trash without a note: {p.name}" for p in files.iterdir() if p.name not in known]


def trashed(home, top):
    """{(where it lay, the contents of what is in it): how often} of what was deleted below a folder, or anywhere, as the trash has it on disk."""
    found = Counter()
    for note in (home / ".sarang/trash/info").iterdir():
        path = urllib.parse.unquote(re.search("^Path=(.*)$", note.read_text(), re.M)[1])
        if not top or path.startswith(top + "/"):
            found[path, contents(home / ".sarang/trash/files" / note.name.removesuffix(".trashinfo"))] += 1
    return found


def contents(thing):
    """What is at a place on disk: pairs of paths from there and contents."""
    here = FOLDER if thing.is_dir() else digest(thing.read_bytes())
    members = [(f"/{name.name}{path}", content) for name in thing.iterdir() for path, content in contents(name)] if thing.is_dir() else []
    return frozenset([("", here), *members])


def check_accounts(site, seen):
    """The account in flight, and two others."""
    clerk, findings = site.clerk, []
    pending, clerk.pending = clerk.pending, None
    others = [n for n in clerk.accounts if not (pending and pending[0] == n)]
    for name in others[-1:] + clerk.random.sample(others, min(1, len(others))):
        password, quota = clerk.accounts[name]
        found = account(site, name, password)
        if found is None:
            findings.append(f"account {name} cannot sign in")
        elif quota is not None and found != quota:
            findings.append(f"account {name} has the quota {found}, not {quota}")
    if pending:
        findings += check_pending_account(site, pending, seen)
    return findings


def check_pending_account(site, pending, seen):
    name, password, quota = pending
    old = site.clerk.accounts.get(name)
    states = [s for s in dict.fromkeys([old, (password, quota)]) if s]
    fits = [s for s in states if fits_account(site, name, s)]
    seen.pending(pending, (password, quota) in fits)
    if fits:
        site.clerk.accounts[name] = fits[-1]
    return [] if fits or not old else [f"account {name} is neither as before nor as after the change"]


def fits_account(site, name, state):
    found = account(site, name, state[0])
    return found is not None and state[1] in (None, found)


def account(site, name, password):
    client = Client(site.server.port, name, password)
    try:
        return client.quota()
    finally:
        client.close()
