"""What must be true after a crash, as plain values: trees, operations on them, and judges. No I/O."""
from dataclasses import dataclass

FOLDER = "folder"


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
