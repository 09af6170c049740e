"""What the clients of the soak do. Each deed asks for a few things, checks what it is answered, and keeps the model right."""
import asyncio
import base64
import json
import random
import urllib.parse

from person import JSON, LOOK, PASSWORD, XML, File, basic, url

MOST_FILES = 10
TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}
LOCK = (b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        b'<D:owner>soak</D:owner></D:lockinfo>')


async def put(person, pause=0.0):
    if len(person.files) >= MOST_FILES:
        return await delete(person)
    path, file = person.fresh(), person.made()
    await person.ask("PUT", "PUT", url(path), file.content, wanted=(201,), pause=pause)
    person.files[path] = file


async def put_slowly(person):
    await put(person, pause=1.5)


async def overwrite(person):
    if path := person.some():
        file = person.made()
        await person.ask("PUT", "PUT", url(path), file.content, wanted=(204,))
        person.files[path] = file


async def get(person):
    if path := person.some():
        await person.judge_file(path)


async def get_range(person):
    path = person.some()
    if not path or not (size := person.files[path].size):
        return
    first = person.random.randrange(size)
    last = min(first + person.random.choice((0, 100, 5000, 100_000)), size - 1)
    answer = await person.ask("GET range", "GET", url(path), headers={"Range": f"bytes={first}-{last}"}, wanted=(206,))
    if answer.body != person.files[path].content[first:last + 1]:
        person.tally.find(f"torn: bytes {first} to {last} of {person.account}'s {path}")


async def list_folder(person):
    await person.judge_folder(person.random.choice([person.top, *sorted(person.folders)]))


async def list_drive(person):
    """The account's whole drive, in which the folders of others are, too."""
    if person.top not in await person.listed(""):
        person.tally.find(f"lost: {person.account}'s {person.top} is not listed")


async def move(person):
    if path := person.some():
        to = person.fresh("moved")
        await person.ask("MOVE", "MOVE", url(path), headers={"Destination": url(to)}, wanted=(201,))
        person.files[to] = person.files.pop(path)


async def move_onto(person):
    """The file that was there goes."""
    path, to = person.some(), person.some()
    if path != to:
        await person.ask("MOVE", "MOVE", url(path), headers={"Destination": url(to), "Overwrite": "T"}, wanted=(204,))
        person.files[to] = person.files.pop(path)


async def move_folder(person):
    folder, to = person.random.choice(sorted(person.folders)), f"{person.top}/folder {next(person.names)} of {person.number}"
    await person.ask("MOVE", "MOVE", url(folder), headers={"Destination": url(to)}, wanted=(201,))
    person.folders ^= {folder, to}
    person.files = {to + path[len(folder):] if path.startswith(folder + "/") else path: file for path, file in person.files.items()}


async def copy(person):
    if (path := person.some()) and len(person.files) < MOST_FILES:
        to = person.fresh("copy")
        await person.ask("COPY", "COPY", url(path), headers={"Destination": url(to)}, wanted=(201,))
        person.files[to] = person.files[path]


async def delete(person):
    if path := person.some():
        await person.ask("DELETE", "DELETE", url(path), wanted=(204,))
        del person.files[path]
        await person.ask("GET", "GET", url(path), wanted=(404,))


async def lock(person):
    """Held over a while, restarts included: only who has the token changes the file."""
    if not (path := person.some()):
        return
    answer = await person.ask("LOCK", "LOCK", url(path), LOCK, {**XML, "Depth": "0", "Timeout": "Second-600"})
    token = answer.headers["lock-token"]
    await person.rest()
    await person.ask("PUT", "PUT", url(path), b"past the lock", wanted=(423,))
    await person.rest(4)
    file = person.made()
    await person.ask("PUT", "PUT", url(path), file.content, {"If": f"({token})"}, wanted=(204,))
    person.files[path] = file
    await person.ask("LOCK", "LOCK", url(path), headers={"If": f"({token})"})
    await person.ask("UNLOCK", "UNLOCK", url(path), headers={"Lock-Token": token}, wanted=(204,))


async def upload(person):
    """In parts, some of which are cut off in the middle (tus); some uploads are given up."""
    path, file = person.fresh("upload"), File(person.made().seed, person.random.choice((20_000, 90_000, 300_000)))
    name = base64.b64encode(path.encode()).decode()
    answer = await person.ask("tus POST", "POST", "/api/v1/uploads", b"", {**TUS, "Upload-Length": str(file.size), "Upload-Metadata": f"path {name}"}, (201,))
    address, content, at = urllib.parse.urlsplit(answer.headers["location"]).path, file.content, 0
    gives_up, was_cut = person.random.random() < 0.2 or len(person.files) >= MOST_FILES, False
    while at < file.size:
        await person.rest()
        if gives_up and at > file.size // 2:
            await person.ask("tus DELETE", "DELETE", address, headers=TUS, wanted=(204,))
            await person.ask("tus HEAD", "HEAD", address, headers=TUS, wanted=(404, 410))
            return
        part, signed = content[at:at + file.size // 3 + 1], await person.credentials()
        if is_cut := person.random.random() < 0.3:
            await person.line.cut("PATCH", address, part, {**signed, **PART, "Upload-Offset": str(at)})
        else:
            # A part that was cut may be read only after the question how far the upload has come: then the client asks again.
            wanted = (204, 409) if was_cut else (204,)
            is_cut = (await person.ask("tus PATCH", "PATCH", address, part, {**PART, "Upload-Offset": str(at)}, wanted)).status == 409
        at = await stand(person, address, at, len(part)) if is_cut else at + len(part)
        was_cut = is_cut
    person.files[path] = file


async def stand(person, address, at, sent):
    """How far an upload has come of which a part was cut off: no less than was acknowledged, no more than was sent."""
    answer = await person.ask("tus HEAD", "HEAD", address, headers=TUS)
    if not at <= (now := int(answer.headers["upload-offset"])) <= at + sent:
        person.tally.find(f"torn: an upload of {person.account}'s stands at {now} after a part of {sent} bytes from {at} was cut")
    return now


async def link(person):
    """Somebody without an account reads a file by a public link, until that ends."""
    if not (path := person.some()):
        return
    body, owner = json.dumps({"path": path, "rights": "view"}).encode(), basic(person.account, PASSWORD)
    made = json.loads((await person.ask("link", "POST", "/api/v1/links", body, {**owner, **JSON}, (201,))).body)
    await person.rest()
    await person.judge_file(path, ask=person.guest.ask, kind="link GET", target=made["url"] + "/file")
    await person.ask("link", "DELETE", f"/api/v1/links/{made['id']}", headers=owner, wanted=(204,))
    await person.guest.ask("link GET", "GET", made["url"] + "/file", wanted=(404,))
    await person.guest.end()


async def share(person):
    """Another account reads and writes in a shared folder, until that ends."""
    folder = person.random.choice(sorted(person.folders))
    body = json.dumps({"path": "/" + folder, "to": {"account": person.friend}, "rights": "edit"}).encode()
    owner, signed = basic(person.account, PASSWORD), basic(person.friend, PASSWORD)
    made = json.loads((await person.ask("share", "POST", "/api/v1/shares", body, {**owner, **JSON}, (201,))).body)["id"]

    async def ask(kind, method, path, body=b"", wanted=(200,)):
        return await person.guest.ask(kind, method, path, body, signed, wanted)

    place = [item["path"] async for item in items(ask, "/api/v1/shares/incoming") if item["id"] == made][0].strip("/")
    for path in [path for path in person.files if path.startswith(folder + "/")][:2]:
        await person.judge_file(path, ask=ask, kind="share GET", target=url(place + path[len(folder):]))
    await person.rest()
    file, name = person.made(), f"from a friend {next(person.names)}.bin"
    await ask("share PUT", "PUT", url(f"{place}/{name}"), file.content, (201,))
    person.files[f"{folder}/{name}"] = file
    await person.ask("share", "DELETE", f"/api/v1/shares/{made}", headers=owner, wanted=(204,))
    await ask("share GET", "GET", url(f"{place}/{name}"), wanted=(404,))
    await person.guest.end()


async def items(ask, target):
    """All pages of a list."""
    address = target
    while address:
        page = json.loads((await ask("share", "GET", address)).body)
        for item in page["items"]:
            yield item
        address = page.get("next") and f"{target}?{urllib.parse.urlencode({'cursor': page['next']})}"


async def sign_in(person):
    """A session from its beginning to its end."""
    signed = await person.log_in()
    await person.line.ask("sign-in", "GET", "/api/v1/me", headers=signed)
    await person.line.ask("PROPFIND", "PROPFIND", url(person.top), LOOK, {**signed, **XML, "Depth": "0"}, (207,))
    await person.rest()
    await person.line.ask("sign-in", "POST", "/api/v1/logout", headers=signed, wanted=(204,))
    await person.line.ask("sign-in", "GET", "/api/v1/me", headers=signed, wanted=(401,))


async def app_password(person):
    """From its beginning to its end."""
    made = await person.app_password()
    signed = basic(person.account, made["password"])
    await person.line.ask("PROPFIND", "PROPFIND", url(person.top), LOOK, {**signed, **XML, "Depth": "0"}, (207,))
    await person.rest()
    await person.line.ask("app password", "DELETE", f"/api/v1/app-passwords/{made['id']}", headers=basic(person.account, PASSWORD), wanted=(204,))
    await person.line.ask("PROPFIND", "PROPFIND", url(person.top), LOOK, {**signed, **XML, "Depth": "0"}, (401,))


async def idle(person):
    """The connection is kept all the while."""
    await asyncio.sleep(person.random.uniform(5, 20))
    await get(person)


async def cut_put(person):
    """An upload that ends early changes nothing."""
    path = person.some() if person.random.random() < 0.5 else None
    content = random.randbytes(30_000)
    await person.line.cut("PUT", url(path or person.fresh("cut")), content, await person.credentials())
    await person.rest()
    if path:
        await person.judge_file(path)
    else:
        await list_folder(person)


async def cut_get(person):
    if (path := person.some()) and person.files[path].size > 1000:
        await person.line.cut("GET", url(path), b"", await person.credentials(), read=900)


# How often each is done.
DEEDS = {put: 12, put_slowly: 2, overwrite: 9, get: 16, get_range: 12, list_folder: 16, list_drive: 3, move: 4, move_onto: 2, move_folder: 2, copy: 4,
         delete: 5, lock: 5, upload: 5, link: 3, share: 3, sign_in: 2, app_password: 1, idle: 2, cut_put: 4, cut_get: 2}
