#!/usr/bin/env bash
# LibreOffice headless (7.4): create, save to, reopen, edit, save again over its own WebDAV provider, through UNO.   Debian: apt-get install libreoffice-writer-nogui python3-uno
. "$(dirname "$0")/_common.sh"; need soffice curl; PY=/usr/bin/python3; "$PY" -c 'import uno' 2>/dev/null || { say "SKIP: apt-get install python3-uno"; exit 77; }
[ "$SCHEME" = http ] || { say "SKIP: http only"; exit 77; }
# soffice --headless never asks an interaction handler for the password of a 401, and refuses user:pass@ in URLs, so the Authorization header is added by a small loopback proxy.
read -r AP PORT < <(free_ports); [ "${HOSTPORT#*:}" = "$HOSTPORT" ] && BPORT=80 || BPORT=${HOSTPORT##*:}; python3 "$(dirname "$0")/_davlog.py" "$AP" "$BPORT" "$W/lo.jsonl" "$U" "$P" & PIDS+=($!); LOURL=http://127.0.0.1:$AP$BASEPATH
r_mkcol "$D"; export W HOME="$W/home"; mkdir "$HOME"
soffice "-env:UserInstallation=file://$W/lo" --headless --norestore --nologo "--accept=socket,host=127.0.0.1,port=$PORT;urp;" > "$W/lo.log" 2>&1 & LOPID=$!; CLEAN+=("kill \$(ps -o pid= --ppid $LOPID) $LOPID; sleep 1; rm -rf '$W/lo'")
timeout 200 "$PY" - "$LOURL" "$D" "$PORT" > "$W/log" 2>&1 <<'PY'
import uno, os, subprocess, sys, time
from com.sun.star.beans import PropertyValue
url, D, port = sys.argv[1:]
def pv(n, v): p = PropertyValue(); p.Name, p.Value = n, v; return p
res = uno.getComponentContext().ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
for i in range(120):
    try: ctx = res.resolve("uno:socket,host=127.0.0.1,port=%s;urp;StarOffice.ComponentContext" % port); break
    except Exception: time.sleep(0.5)
desk = ctx.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", ctx)
d = desk.loadComponentFromURL("private:factory/swriter", "_blank", 0, (pv("Hidden", True),)); d.Text.String = "first"; d.storeAsURL("file://" + os.environ["W"] + "/seed.odt", ()); d.close(True)
for i, name in enumerate(("doc.odt", "sp%20ace%20%C3%BC%20100%25.odt")):
    t = url + "/" + D + "/" + name
    subprocess.check_call(["curl", "-sSf", "-T", os.environ["W"] + "/seed.odt", "-o", "/dev/null", t])
    d = desk.loadComponentFromURL(t, "_blank", 0, (pv("Hidden", True),)); assert d is not None, "open"; assert d.Text.String == "first", d.Text.String; print("opened", name, "readonly =", d.isReadonly()); assert not d.isReadonly(), "opened read-only"
    d.Text.String = "second " + "x" * 5000; d.store(); print("stored"); d.close(True)
    d = desk.loadComponentFromURL(t, "_blank", 0, (pv("Hidden", True),)); assert d.Text.String.startswith("second"); n = url + "/" + D + "/new%20" + str(i) + ".odt"
    d.storeAsURL(n, ()); print("saved as new file"); d.close(True)
    d = desk.loadComponentFromURL(n, "_blank", 0, (pv("Hidden", True),)); assert d.Text.String.startswith("second"); d.close(True)
print("RT-OK")
try: desk.terminate()
except Exception: pass
PY
rc=$?; cat "$W/log"; [ $rc -eq 0 ] && grep -q RT-OK "$W/log" || die "libreoffice rc=$rc"
_curl -f -o "$W/doc.odt" "$URL/$D/doc.odt" || die "GET"; "$PY" -c "import zipfile,sys; assert 'second' in zipfile.ZipFile('$W/doc.odt').read('content.xml').decode()" || die "saved document is not the second version"; python3 - "$W/lo.jsonl" <<'PY'
import json,sys
for l in open(sys.argv[1]):
    l=json.loads(l)
    if "request" in l: print("  ", l["request"].replace(" HTTP/1.1",""), "->", l["status"].split(" ",1)[1], {k:v for k,v in l["headers"] if k.lower() in ("depth","if","timeout","lock-token","overwrite","destination")})
PY
ok "document on server is the edited one"
