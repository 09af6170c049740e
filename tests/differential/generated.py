"""Sequences drawn from a seed: weighted methods over few names and contents, with what the servers granted before."""
import functools
import random

STEPS = 25
FOLDERS = ("", "d/", "d/e/", "g/")
NAMES = ("a", "b", "c d", "\u00fc%")
CONTENTS = ("", "one", "two", "three and more")
PROPS = ("x:p", "x:q", "y:p")
WEIGHTS = {"put": 20, "get": 9, "delete": 7, "mkcol": 7, "copy": 9, "move": 9, "patch": 9, "find": 12, "lock": 7, "unlock": 5, "refresh": 2, "options": 1, "condition": 5}


def sequences(count, seed):
    return [(f"generated-{number:03}", functools.partial(wander, seed=f"{seed}/{number}")) for number in range(count)]


def wander(s, seed):
    walk = Walk(s, random.Random(seed))
    walk.begin()
    for _ in range(STEPS):
        getattr(walk, walk.chance.choices(list(WEIGHTS), WEIGHTS.values())[0])()


class Walk:
    """Knows which locks were granted and where, so that most requests mean something."""

    def __init__(self, s, chance):
        self.s, self.chance, self.locks, self.count = s, chance, {}, 0
        self.top = s.apache.root / s.name

    def begin(self):
        self.s.mkcol("d")
        self.s.put("a", "one")
        self.s.put("d/b", "two")
        if self.chance.random() < 0.5:
            self.s.mkcol("d/e")
            self.s.put("d/e/a", "three and more")

    def place(self):
        """A file's name or a folder's, with or without slash."""
        folder = self.chance.choice(FOLDERS)
        if self.chance.random() < 0.25:
            return self.chance.choice(("d", "g", "d/e", "d/", "g/"))
        return folder + self.chance.choice(NAMES)

    def file(self):
        return self.chance.choice(FOLDERS[:3]) + self.chance.choice(NAMES)

    def present(self):
        """Something that is there, mostly."""
        there = sorted(str(path.relative_to(self.top)) for path in self.top.rglob("*") if ".DAV" not in path.parts)
        return self.chance.choice(there) if there and self.chance.random() < 0.85 else self.tidy(self.place())

    def tidy(self, path):
        """A file is named without slash."""
        return path.rstrip("/") if (self.top / path.rstrip("/")).is_file() else path

    def proof(self, *paths):
        """An If header with the locks that matter to these paths, tagged, or none; now and then one is forgotten."""
        lists = []
        for name, root in self.locks.items():
            if any(near(path, root) for path in paths) and self.chance.random() < 0.8:
                lists.append("<{url:%s}> (<{token:%s}>)" % (root, name))
        return {"If": " ".join(lists)} if lists else {}

    def put(self):
        path = self.file()
        self.s.put(path, self.chance.choice(CONTENTS), **self.proof(path))

    def get(self):
        method = self.chance.choice((self.s.get, self.s.head))
        method(self.file(), keep="seen")

    def delete(self):
        path = self.present()
        self.s.delete(path, **self.proof(path))
        self.forget()

    def mkcol(self):
        path = self.chance.choice(("d", "g", "d/e", "g/h", "d/e/f", "a", "x/y"))
        self.s.mkcol(path, **self.proof(path))

    def transfer(self, send, **more):
        path, to = self.present(), self.tidy(self.place())
        if self.chance.random() < 0.9 and not (self.top / to).parent.is_dir():
            to = self.chance.choice(NAMES)
        within = near(path, to.rstrip("/")) or near(to, path.rstrip("/"))
        if (within and not (self.top / path).exists()) or any(near(root, to.rstrip("/")) for root in self.locks.values() if not to.rstrip("/").startswith(root + "/")):
            return
        if (self.top / path).is_dir():
            more = {}
        headers = {**more, **self.proof(path, to)}
        if self.chance.random() < 0.4:
            headers["Overwrite"] = self.chance.choice("TF")
        send(path, to, **headers)
        self.forget()

    def copy(self):
        self.transfer(self.s.copy, **({"Depth": self.chance.choice(("0", "infinity"))} if self.chance.random() < 0.2 else {}))

    def move(self):
        self.transfer(self.s.move)

    def patch(self):
        path = self.present()
        steps = [f"+<{name}>{self.chance.randrange(100)}</{name}>" if self.chance.random() < 0.7 else f"-<{name}/>"
                 for name in self.chance.sample(PROPS, self.chance.randint(1, 3))]
        if self.chance.random() < 0.1 and not self.locks:
            steps.append("+<D:getetag>no</D:getetag>")
        self.s.patch(path, *steps, **self.proof(path))

    def find(self):
        self.s.find(self.present(), "resourcetype getcontentlength lockdiscovery getetag " + " ".join(PROPS), depth=self.chance.choice("01"))

    def lock(self):
        path = self.present()
        self.count += 1
        name = f"l{self.count}"
        headers = {"Depth": self.chance.choice(("0", "infinity"))} if self.chance.random() < 0.5 else {}
        if (self.s.lock(path, name, scope=self.chance.choice(("exclusive", "exclusive", "shared")), **headers) or 400) < 300:
            self.locks[name] = path.rstrip("/")

    def unlock(self):
        if self.locks:
            name = self.chance.choice(sorted(self.locks))
            self.s.unlock(self.locks.pop(name), name)

    def refresh(self):
        if self.locks:
            name = self.chance.choice(sorted(self.locks))
            self.s.refresh(self.locks[name], name)

    def options(self):
        self.s.options(self.present())

    def condition(self):
        path = self.file()
        self.s.get(path, keep="tag")
        name = self.chance.choice(("If_Match", "If_None_Match"))
        headers = {name: self.chance.choice(("{etag:tag}", "{etag:seen}", "*", '"other"')), **self.proof(path)}
        if not (self.top / path).is_dir():
            self.chance.choice((self.s.get, lambda at, **h: self.s.put(at, "conditional", **h), self.s.delete))(path, **headers)
        self.forget()

    def forget(self):
        """Locks end with what they stood on."""
        self.locks = {name: root for name, root in self.locks.items() if (self.top / root).exists()}


def near(path, root):
    """Whether a lock on `root` matters to a change at `path`: on it, above it, on its folder, below it."""
    path = path.rstrip("/")
    return path == root or path.startswith(root + "/") or root.startswith(path + "/") or path.rpartition("/")[0] == root
