"""What must be true after a crash, as plain values: trees, operations on them, and judges. No I/O."""
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

FOLDER = "folder"
EMPTY = sha256(b"").hexdigest()


@dataclass(frozen=True)
class Node:
    """A file (the digest of its content) or a folder, and the dead property the workload sets on it."""
    content: str
    mark: str | None = None

    @property
    def is_folder(self):
        return self.content == FOLDER


@dataclass(frozen=True)
class Op:
    """One change: `path` it acts on, `dest` of MOVE and COPY, `value` a content digest or a property value."""
    kind: str
    path: str
    dest: str | None = None
    value: str | None = None

    def __str__(self):
        return f"{self.kind} {self.path}" + (f" -> {self.dest}" if self.dest else "")


def beneath(tree, path):
    """`path` and everything in it."""
    return [p for p in tree if p == path or p.startswith(path + "/")]


def apply(tree, op):
    """The tree after `op`; the old tree stays as it is."""
    new = dict(tree)
    if op.kind in ("PUT", "LOCK"):
        old = tree.get(op.path)
        if op.kind == "LOCK" and old:
            return new
        new[op.path] = Node(op.value, old.mark if old else None)
    elif op.kind == "MKCOL":
        new[op.path] = Node(FOLDER)
    elif op.kind == "PROPPATCH":
        new[op.path] = Node(tree[op.path].content, op.value)
    elif op.kind == "DELETE":
        for p in beneath(tree, op.path):
            del new[p]
    elif op.kind in ("MOVE", "COPY"):
        moved = {op.dest + p[len(op.path):]: tree[p] for p in beneath(tree, op.path)}
        gone = beneath(tree, op.dest) + (beneath(tree, op.path) if op.kind == "MOVE" else [])
        for p in gone:
            new.pop(p, None)
        new.update(moved)
    elif op.kind != "UNLOCK":
        raise ValueError(op.kind)
    return new


@dataclass(frozen=True)
class Past:
    """What is kept of what was: how often what (where it lay, and a set of paths in it with their contents) is in the trash, and the former
    contents of each file that has some, newest first."""
    trash: Counter = field(default_factory=Counter)
    versions: dict = field(default_factory=dict)

    def after(self, tree, op):
        """What is kept after `op` on `tree`."""
        trash, versions = Counter(self.trash), dict(self.versions)

        def bury(path):
            trash[path, below(tree, path)] += 1
            for p in beneath(versions, path):
                del versions[p]
        old = tree.get(op.path)
        if op.kind == "PUT" and old and old.content not in (EMPTY, op.value):
            versions[op.path] = (old.content, *versions.get(op.path, ()))
        elif op.kind == "DELETE":
            bury(op.path)
        elif op.kind in ("MOVE", "COPY"):
            if op.dest in tree:
                bury(op.dest)
            if op.kind == "MOVE":
                versions = {op.dest + p[len(op.path):] if p in beneath(versions, op.path) else p: v for p, v in versions.items()}
        return Past(trash, versions)


def below(tree, path):
    return frozenset((p[len(path):], tree[p].content) for p in beneath(tree, path))


def judge_past(wanted, seen):
    """Findings: trash and former contents must be just what they should be."""
    findings = [f"{word} the trash: {path}" for word, more in (("not in", wanted.trash - seen.trash), ("nobody put into", seen.trash - wanted.trash))
                for path, _ in more]
    return findings + [f"former contents of {p}: {short(seen.versions.get(p))}, not {short(wanted.versions.get(p))}"
                       for p in sorted({*wanted.versions, *seen.versions}) if seen.versions.get(p) != wanted.versions.get(p)]


def short(digests):
    return [d[:8] for d in digests or ()]


def judge_tree(before, pending, observed):
    """("before" | "after" | "wrong", findings): the observed tree must be whole, on one side of the pending operation."""
    if observed == before:
        return "before", []
    after = apply(before, pending) if pending else before
    if observed == after:
        return "after", []
    findings = [finding(p, before.get(p), observed.get(p), pending) for p in sorted({*before, *after, *observed})
                if observed.get(p) not in (before.get(p), after.get(p))]
    return "wrong", findings or [f"half done: {pending}"]


def finding(path, expected, seen, pending):
    if pending and touches(pending, path):
        return f"torn: {path} by {pending}"
    if seen is None:
        return f"lost: {path}"
    if expected is None:
        return f"came from nowhere: {path}"
    if seen.content != expected.content:
        return f"wrong content: {path}"
    return f"property lost or changed: {path} has {seen.mark!r}, not {expected.mark!r}"


def touches(op, path):
    return any(path == end or path.startswith(end + "/") for end in (op.path, op.dest) if end)


@dataclass
class Write:
    """A write to a name that several clients write at once: its value (None: deleted), when it began, when it was acknowledged."""
    value: str | None
    began: float
    acknowledged: float = float("inf")


def judge_register(writes, observed):
    """Whether `observed` can be the last write: no write that began after its acknowledgement was itself acknowledged."""
    done = [w for w in writes if w.acknowledged != float("inf")]
    latest = max((w.began for w in done), default=float("-inf"))
    return any(w.value == observed and w.acknowledged >= latest for w in writes)
