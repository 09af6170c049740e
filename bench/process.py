"""What the processes of a server have used: CPU seconds and resident memory, from /proc."""
import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


class Processes:
    """A process and all its descendants; without a process every figure is None."""

    def __init__(self, pid):
        self.pid = pid

    def all(self):
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, read(children).split())
        return found

    def cpu(self):
        """CPU seconds so far, user and system."""
        if self.pid is None:
            return None
        stats = [read(f"/proc/{pid}/stat").rpartition(")")[2].split() for pid in self.all()]
        return sum(int(s[11]) + int(s[12]) for s in stats if s) / TICK

    def rss(self, peak=False):
        """Resident bytes, now or at most since `reset_peak`."""
        if self.pid is None:
            return None
        key = "VmHWM:" if peak else "VmRSS:"
        lines = [line for pid in self.all() for line in read(f"/proc/{pid}/status").splitlines()]
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

    def threads(self):
        return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in self.all())

    def reset_peak(self):
        for pid in self.all() if self.pid is not None else []:
            try:
                pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                pass


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""
