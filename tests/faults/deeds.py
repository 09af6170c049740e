"""Every kind of change, as one request each: how to send it, what it makes of the tree, and how to tell before from after where trees do not."""
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

import api
from actors import OTHER, OTHER_PASSWORD
from check import account
from client import Client, LOCK, digest
from model import Op
from workload import ACCOUNT


@dataclass
class Deed:
    """`send` gives the status; `judge(acknowledged, locks)` gives (side, findings)."""
    send: Callable
    op: Op | None = None
    judge: Callable | None = None


def put(ground, name, size, chunked=False):
    path, content = f"{ground.top}/{name}", os.urandom(size)
    return Deed(lambda: ground.client.put(path, content, chunked=chunked), Op("PUT", path, value=digest(content)))


def transfer(ground, kind, name, dest):
    path, dest = f"{ground.top}/{name}", f"{ground.top}/{dest}"
    return Deed(lambda: ground.client.ask(kind, path, Destination=ground.client.destination(dest), Overwrite="T")[0], Op(kind, path, dest))


def delete(ground, name):
    path = f"{ground.top}/{name}"
    return Deed(lambda: ground.client.ask("DELETE", path)[0], Op("DELETE", path))


def make_folder(ground):
    path = f"{ground.top}/made"
    return Deed(lambda: ground.client.ask("MKCOL", path)[0], Op("MKCOL", path))


def mark(ground):
    path = f"{ground.top}/two.txt"
    return Deed(lambda: ground.client.mark(path, "new")[0], Op("PROPPATCH", path, value="new"))


def take(ground, path):
    status, headers, _ = ground.client.ask("LOCK", path, LOCK, Depth="0", Timeout="Second-3600", Content_Type="application/xml")
    return status, (headers["Lock-Token"] or "").strip("<>")


def lock_status(client, path):
    return client.ask("LOCK", path, LOCK, Depth="0", Timeout="Second-60", Content_Type="application/xml")[0]


def lock(ground, name):
    path, tokens = f"{ground.top}/{name}", []

    def send():
        status, token = take(ground, path)
        tokens.append(token)
        return status

    def judge(done, locks):
        held = locks.get(path, [])
        if done and held != tokens:
            return "wrong", [f"lock lost: {held}, not {tokens}"]
        return ("after" if held else "before"), []
    return Deed(send, Op("LOCK", path, value=digest(b"")), judge)


def unlock(ground):
    path = f"{ground.top}/two.txt"
    _, token = take(ground, path)

    def judge(done, locks):
        held = locks.get(path, [])
        return ("before" if held else "after"), (["lock back"] if done and held else [f"other lock {held}"] if held not in ([], [token]) else [])
    return Deed(lambda: ground.client.ask("UNLOCK", path, Lock_Token=f"<{token}>")[0], None, judge)


def command(ground, *words, password):
    """200 when the command says that it is done."""
    process = ground.server.command(*words, password=password)
    process.communicate(timeout=60)
    return 200 if process.returncode == 0 else 500


def sign_in(ground, name, new, old=None):
    """Which of two passwords opens the account."""
    opens = [p for p in (old, new) if p and account(ground, name, p) is not None]

    def verdict(done):
        if len(opens) > 1 or old and not opens or done and opens != [new]:
            return "wrong", [f"{name} signs in with {opens}"]
        return ("after" if opens == [new] else "before"), []
    return verdict


def passwd(ground):
    name, old, new = f"clerk{ground.number}", "first password 1", "second password 2"
    ground.server.add(name, old)
    return Deed(lambda: command(ground, "user", "passwd", name, "--password-stdin", password=new), None,
                lambda done, _: sign_in(ground, name, new, old)(done))


def add_account(ground):
    name, new = f"clerk{ground.number}", "first password 1"
    return Deed(lambda: command(ground, "user", "add", name, "--password-stdin", password=new), None,
                lambda done, _: sign_in(ground, name, new)(done))


def reached(ground, name):
    """What the other account gets of what is shared with it."""
    other = Client(ground.server.port, OTHER, OTHER_PASSWORD)
    try:
        return other.get(f"Shared with me/{name}")[0] == 200
    finally:
        other.close()


def shows(ground, path, name, wanted):
    """Both ends must agree, and with `wanted` once acknowledged."""
    def judge(done, _):
        ends = path in api.shares(ground.client).values(), reached(ground, name)
        wrong = ends[0] != ends[1] or done and ends[0] != wanted
        return ("after" if ends[0] == wanted else "before"), ([f"shared: owner sees {ends[0]}, receiver {ends[1]}"] if wrong else [])
    return judge


def share(ground):
    name = f"shared {ground.number}.txt"
    path = ground.put(name, b"for you")
    return Deed(lambda: api.share(ground.client, path, OTHER)[0], None, shows(ground, path, name, True))


def unshare(ground):
    name = f"shared {ground.number}.txt"
    path = ground.put(name, b"for you")
    status, _, said = api.share(ground.client, path, OTHER)
    number = api.shared(said) if status == 201 else None
    return Deed(lambda: api.unshare(ground.client, number)[0], None, shows(ground, path, name, False))


def begin(ground):
    path, content, told = f"{ground.top}/upload.bin", os.urandom(100_000), []

    def send():
        status, headers, _ = api.begin(ground.client, path, len(content))
        told.append(headers["Location"])
        return status

    def judge(done, _):
        return finish(ground, path, content, told[-1], 0) if done else ("before", [])
    return Deed(send, None, judge)


def go_on(ground, last):
    """A part in the middle, or the last one, which also makes the file appear."""
    path, content = f"{ground.top}/upload.bin", os.urandom(200_000)
    address = api.begin(ground.client, path, len(content))[1]["Location"]
    had, until = 60_000, len(content) if last else 150_000
    if api.go_on(ground.client, address, 0, content[:had])[0] != 204:
        raise RuntimeError("PATCH of the upload")
    op = Op("PUT", path, value=digest(content)) if last else None
    return Deed(lambda: api.go_on(ground.client, address, had, content[had:until])[0], op,
                lambda done, _: finish(ground, path, content, address, until if done else had))


def finish(ground, path, content, address, least):
    """An upload goes on from where the server says, which is what lies on disk and no less than acknowledged, to exactly the bytes sent."""
    at, findings = api.offset(ground.client, address), []
    there = ground.client.get(path)
    if at is None or at == len(content) and there[0] == 200:
        return "after", ([] if there == (200, content) else [f"upload lost: no offset, and the file is {there[0]}"])
    on_disk = size_of(ground, address)
    if not least <= at <= len(content) or at != on_disk:
        findings.append(f"upload stands at {at}, acknowledged {least}, on disk {on_disk}")
    status = api.go_on(ground.client, address, at, content[at:])[0]
    whole = ground.client.get(path) == (200, content)
    return ("after" if at > least else "before"), findings + ([] if status == 204 and whole else [f"upload not finished: {status}, whole: {whole}"])


def size_of(ground, address):
    file = ground.server.home(ACCOUNT) / ".sarang/uploads" / address.rsplit("/", 1)[1]
    return file.stat().st_size if file.exists() else None


DEEDS = {
    "PUT new": lambda g: put(g, "new.txt", 4000),
    "PUT large": lambda g: put(g, "large.bin", random.randrange(1_000_000, 1_500_000)),
    "PUT overwrite": lambda g: put(g, "two.txt", 4000),
    "PUT overwrite chunked": lambda g: put(g, "o ne é.txt", 40_000, chunked=True),
    "MOVE": lambda g: transfer(g, "MOVE", "two.txt", "fol der/moved.txt"),
    "MOVE onto": lambda g: transfer(g, "MOVE", "o ne é.txt", "two.txt"),
    "MOVE folder": lambda g: transfer(g, "MOVE", "fol der", "moved"),
    "COPY": lambda g: transfer(g, "COPY", "two.txt", "copied.txt"),
    "COPY onto": lambda g: transfer(g, "COPY", "o ne é.txt", "two.txt"),
    "COPY folder": lambda g: transfer(g, "COPY", "fol der", "copied"),
    "DELETE": lambda g: delete(g, "two.txt"),
    "DELETE folder": lambda g: delete(g, "fol der"),
    "MKCOL": make_folder,
    "PROPPATCH": mark,
    "LOCK": lambda g: lock(g, "two.txt"),
    "LOCK new": lambda g: lock(g, "locked.txt"),
    "LOCK ended": unlock,
    "account added": add_account,
    "account passwd": passwd,
    "share made": share,
    "share ended": unshare,
    "tus begun": begin,
    "tus part": lambda g: go_on(g, last=False),
    "tus last part": lambda g: go_on(g, last=True),
}
