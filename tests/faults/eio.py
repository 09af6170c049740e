"""A disk that answers EIO, at each system call of each kind of request: once, or from there on. Nothing is acknowledged that is not so, nothing
acknowledged is lost, the server goes on or is read-only, and a restart is clean."""
import functools
import os
import random
import time
from collections import Counter

from client import BROKEN
from deeds import DEEDS, Deed, take
from ground import CHANGES, Held, acknowledged, strike_all

READS = "read,pread64,preadv,preadv2,sendfile,copy_file_range,getdents64"
HANGS = 15.0  # of a busy machine
# What the server can do without: room taken in advance, shared blocks, a second name (it swaps instead), tidying up, and the line for the rewind.
OPTIONAL = ("fallocate", "ioctl", "copy_file_range", "linkat", "unlinkat", "pwritev /homes/mara/.sarang/history.log")


def get(ground, size):
    content = os.urandom(size)
    path = ground.put("read.bin", content)

    def send():
        status, body = ground.client.get(path)
        if status == 200 and body != content:
            raise AssertionError(f"GET answered {len(body)} bytes that are not the file's {size}")
        return status
    return Deed(send)


def listing(ground):
    wanted = set(ground.tree)

    def send():
        status, _, body = ground.client.ask("PROPFIND", ground.top + "/", Depth="1")
        if status == 207 and body.count(b"<D:response>") != sum(p.count("/") < 2 for p in wanted):
            raise AssertionError("PROPFIND answered a part of the folder as if it were all")
        return status
    return Deed(send)


READING = {"GET small": lambda g: get(g, 5000), "GET large": lambda g: get(g, 2_000_000), "PROPFIND": listing,
           **{name: DEEDS[name] for name in ("COPY", "COPY folder", "MOVE onto", "DELETE folder", "PUT overwrite", "tus last part", "account passwd")}}


def run(bench):
    if reason := bench.cannot_trace():
        return bench.skip(reason)
    tally, chosen = Tally(), random.Random(bench.seed)

    def points(calls):
        every = [(call, nth, mode) for nth, call in enumerate(calls, 1) for mode in ("fail", "dead")]
        return every if bench.full else chosen.sample(every, min(1, len(every)))
    findings, counts = strike_all(bench, DEEDS, points, functools.partial(tally.strike, CHANGES))
    more, reads = strike_all(bench, READING, points, functools.partial(tally.strike, READS), READS)
    if not tally.refused or not tally.readonly:
        findings.append("blind: no request was refused, or the state never failed")
    return (f"{(counts + reads).total() - tally.missed} failed calls in {len(DEEDS) + len(READING)} kinds of request: {tally.refused} refused, {tally.cut} cut, "
            f"{tally.passed} done all the same; state read-only until a restart after {tally.readonly}"), findings + more, counts + reads + Counter(strikes=(counts + reads).total())


class Tally:
    """What came of the strikes."""

    def __init__(self):
        self.refused = self.cut = self.passed = self.readonly = self.missed = 0

    def strike(self, names, ground, deed, point):
        call, nth, mode = point
        made, began = ground.ready(deed), time.monotonic()
        try:
            with Held(ground.server, mode, nth, names) as held:
                status = ground.send(made)
                took = time.monotonic() - began
        except AssertionError as wrong:
            return [str(wrong)]
        findings = [f"hung for {took:.1f} s"] if took > HANGS else []
        if len(held.calls) < nth:
            self.missed += 1  # what goes on beside the request is not the same every time
            return []
        self.note(status)
        findings += [] if is_after_the_end(deed, held.calls, nth) else answer(status, held.calls[nth - 1])
        more, readonly = goes_on(ground)
        self.readonly += readonly
        code = ground.server.stop()
        findings += more + ([] if code == (1 if readonly else 0) else [f"SIGTERM: exit code {code}"])
        findings += ["panicked"] if "panicked" in ground.server.said() else []
        findings += ground.start()
        return findings + ground.judge(made, acknowledged(status))[1]

    def note(self, status):
        self.cut += status is None
        self.passed += acknowledged(status)
        self.refused += status is not None and status >= 500


def is_after_the_end(deed, calls, nth):
    """Whether only the record of a resumable upload was left to write: its file has its name by then, and the answer says so."""
    published = any(call.startswith(("renameat", "linkat")) for call in calls[:nth - 1])
    return deed is DEEDS["tus last part"] and published and "/state/journal" in calls[nth - 1]


def goes_on(ground):
    """(findings, whether the state is read-only): reads work, and so do changes, or /healthz says that they do not until the next start."""
    try:
        read = ground.client.get(f"{ground.top}/fol der/in.txt")[0]
        put = ground.client.put("probe.txt", b"probe")
        locked, token = take(ground, "probe.txt")
        ground.client.ask("UNLOCK", "probe.txt", Lock_Token=f"<{token}>")
        ground.client.ask("DELETE", "probe.txt")
        health = ground.client.call("GET", "/healthz")[0]
    except BROKEN as broken:
        return [f"afterwards: {broken}"], False
    fine = (health, locked) == (200, 200) and acknowledged(put) or health == 503 and (acknowledged(put) or put == 503) and locked >= 500
    return [] if fine and read in (200, 404) else [f"afterwards: GET {read}, PUT {put}, LOCK {locked}, healthz {health}"], health == 503


def answer(status, call):
    """A failed fsync or write must not end in a yes; the audit log is no reason to refuse a change."""
    if status is None or status >= 500:
        return []
    if not acknowledged(status):
        return [f"answered {status}"]
    return [] if "/audit/" in call or call.startswith((*OPTIONAL, *READS.split(","))) else [f"answered {status} all the same"]
