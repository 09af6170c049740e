"""What the server holds while it is used: memory, threads and descriptors, and whether they grow."""
import asyncio
import os
import pathlib
import statistics
import time
from typing import NamedTuple

EVERY = 2.0
MIB = 2**20


class Sample(NamedTuple):
    """What /proc says; `life` counts the starts of the server."""

    life: int
    memory: int
    threads: int
    descriptors: int


class Bound(NamedTuple):
    """How much more a figure may be later: the larger of a share and an amount; in lives that are over before the server has warmed up, another amount."""

    share: float
    amount: float
    cold: float
    word: str
    unit: float = 1

    def told(self, value):
        return f"{value / self.unit:.1f} MiB" if self.unit == MIB else f"{value:.0f}"


BOUNDS = {"memory": Bound(0.2, 16 * MIB, 48 * MIB, "anonymous memory", MIB), "threads": Bound(0.5, 16, 16, "threads"),
          "descriptors": Bound(0.25, 40, 40, "descriptors")}
# Seconds after which it has: its caches are full, and each thread has had work.
WARM = 300


def look(pid, life):
    """A sample, or None when the process has ended."""
    try:
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        memory, threads = int(status["RssAnon"].split()[0]) * 1024, int(status["Threads"])
        return Sample(life, memory, threads, len(os.listdir(f"/proc/{pid}/fd")))
    except (OSError, KeyError):
        return None


class Watch:
    """Samples of one run, which lie beside the data folder, too."""

    def __init__(self, service):
        self.service, self.samples = service, []

    async def keep(self):
        began = at = time.monotonic()
        while True:
            if sample := look(self.service.process.pid, self.service.starts):
                self.samples.append(sample)
                with open(self.service.folder / "samples.csv", "a") as file:
                    print(f"{time.monotonic() - began:.0f}", *sample, sep=",", file=file)
            at += EVERY
            await asyncio.sleep(max(at - time.monotonic(), 0.1))


def quarters(values):
    """The medians of the second and of the last quarter."""
    quarter = len(values) // 4
    return statistics.median(values[quarter:2 * quarter]), statistics.median(values[-quarter:])


def too_much(bound, before, after, is_warm=True):
    return after - before > max(bound.share * before, bound.amount if is_warm else bound.cold)


def lives(samples, figure):
    """What the figure was in each life of the server that lasted long enough to be judged."""
    found = {}
    for sample in samples:
        found.setdefault(sample.life, []).append(getattr(sample, figure))
    return [values for values in found.values() if len(values) >= 8]


def judge(samples, figure):
    """(what was seen, findings): over the whole run, and, since a restart gives all back, within the lives between two of them."""
    bound, values = BOUNDS[figure], [getattr(sample, figure) for sample in samples]
    if len(values) < 8:
        return "too few samples", [f"only {len(values)} samples of {bound.word}"]
    before, after = quarters(values)
    each = lives(samples, figure)
    middle = [statistics.median(side) for side in zip(*map(quarters, each))] if each else [before, after]
    is_warm = statistics.median(map(len, each or [values])) * EVERY >= WARM
    findings = []
    if too_much(bound, before, after, len(values) * EVERY >= WARM):
        findings.append(f"{bound.word} grew over the run: {bound.told(before)} in its second quarter, {bound.told(after)} in its last")
    if too_much(bound, *middle, is_warm):
        findings.append(f"{bound.word} grew between restarts: {bound.told(middle[0])} in the second quarter of a life, {bound.told(middle[1])} in the last")
    said = (f"{bound.told(before)} in the second quarter of the run, {bound.told(after)} in the last, {bound.told(max(values))} at most; "
            f"{bound.told(middle[0])} and {bound.told(middle[1])} in those of a life")
    return said, findings
