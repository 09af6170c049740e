# Shared helpers for the client round-trip scripts.  Sourced, not run.
# Every script: NAME.sh URL USER PASS      (URL = http://host:port/base/path, no credentials in it)
# Exit 0 = whole round trip passed, 77 = client not installed here (skip), anything else = failure.
# Env: KEEP=1 keeps the remote test folder and the local work folder; BIG=bytes of the big file (default 5 MiB).
set -uo pipefail
[ $# -ge 3 ] || { echo "usage: $0 URL USER PASS" >&2; exit 64; }
URL=${1%/}; U=$2; P=$3
SELF=$(basename "$0" .sh)
W=$(mktemp -d "${TMPDIR:-/tmp}/davcli-$SELF.XXXXXX")
D="t-$SELF-$$-$RANDOM"                       # remote test folder (under URL)
HOSTPORT=${URL#*://}; BASEPATH=/${HOSTPORT#*/}; [ "$HOSTPORT" = "${HOSTPORT%%/*}" ] && BASEPATH=; HOSTPORT=${HOSTPORT%%/*}
SCHEME=${URL%%://*}
BIG=${BIG:-5242880}
head -c "$BIG" /dev/urandom > "$W/big.bin"
head -c 1000003 /dev/urandom > "$W/big2.bin"   # overwrite with a different, shorter size
: > "$W/empty.bin"
echo "hello webdav" > "$W/small.txt"
NAMES=( 'space name.txt' '100% sure.txt' 'pct%20lit.txt' 'uni-ü-文件-😀.txt' 'amp&plus+.txt' 'hash#semi;.txt' "apos'comma,.txt" '(paren)[brk].txt' )
PIDS=()
CLEAN=()                                     # extra clean-up commands, run in reverse order
say() { printf '%s\n' "[$SELF] $*"; }
die() { say "FAIL: $*"; exit 1; }
ok()  { say "ok: $*"; }
need() { local c; for c in "$@"; do command -v "$c" >/dev/null 2>&1 || { say "SKIP: $c not installed"; exit 77; }; done; }
sha() { sha256sum < "$1" | cut -d' ' -f1; }
enc() { local LC_ALL=C s=$1 i c o=; for ((i=0;i<${#s};i++)); do c=${s:i:1}; case $c in [a-zA-Z0-9.~_/-]) o+=$c;; *) printf -v c '%%%02X' "'$c"; [ ${#c} -gt 3 ] && c=%${c: -2}; o+=$c;; esac; done; printf '%s' "$o"; }
_curl() { curl -sS --noproxy '*' -m 120 -u "$U:$P" "$@"; }
# --- independent checks, made with curl straight at the server ---
r_code()   { _curl -o /dev/null -w '%{http_code}' -X PROPFIND -H 'Depth: 0' "$URL/$(enc "$1")"; }
r_exists() { [ "$(r_code "$1")" = 207 ] || die "not on server: $1 (PROPFIND $(r_code "$1"))"; }
r_gone()   { case $(r_code "$1") in 404|410) ;; *) die "still on server: $1";; esac; }
r_same()   { _curl -f -o "$W/_dl" "$URL/$(enc "$1")" || die "GET $1"; [ "$(sha "$W/_dl")" = "$(sha "$2")" ] || die "content differs: $1"; }
r_wait()   { local i; for i in $(seq 1 "${3:-40}"); do _curl -f -o "$W/_dl" "$URL/$(enc "$1")" 2>/dev/null && [ "$(sha "$W/_dl")" = "$(sha "$2")" ] && return 0; sleep 0.25; done; die "never arrived on server: $1"; }
r_wait_gone() { local i; for i in $(seq 1 40); do case $(r_code "$1") in 404|410) return 0;; esac; sleep 0.25; done; die "still on server: $1"; }
r_mkcol()  { _curl -o /dev/null -X MKCOL "$URL/$(enc "$1")/"; }
# Desktop daemons (kded5, kiod5, kioslave5, gvfsd-*) outlive dbus-run-session: end, by pid, those whose environment names this run's own runtime folder.
kill_session() { local f p n; [ -d "$W/run" ] || return 0; for n in 1 2; do for f in /proc/[0-9]*/environ; do grep -qzxF "XDG_RUNTIME_DIR=$W/run" "$f" 2>/dev/null || continue; p=${f#/proc/}; p=${p%/environ}; [ "$p" = $$ ] || kill "$p" 2>/dev/null; done; sleep 0.3; done; }
cleanup() {
  local rc=$? i
  for ((i=${#CLEAN[@]}-1;i>=0;i--)); do eval "${CLEAN[i]}" >/dev/null 2>&1; done
  for i in "${PIDS[@]:-}"; do [ -n "$i" ] && kill "$i" 2>/dev/null; done
  kill_session
  if [ -z "${KEEP:-}" ]; then _curl -o /dev/null -X DELETE "$URL/$D/" 2>/dev/null; rm -rf "$W"; else say "kept: $W and $URL/$D/"; fi
  if [ $rc -eq 0 ]; then say "PASS in $((SECONDS - T0))s"; else say "EXIT $rc after $((SECONDS - T0))s"; fi
  exit $rc
}
free_ports() { python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in "12"]; print(*[x.getsockname()[1] for x in s])'; }   # for programs that cannot take port 0
T0=$SECONDS
trap cleanup EXIT
trap 'exit 130' INT TERM
# --- POSIX round trip over a mounted folder: fs_roundtrip MOUNTED_TEST_DIR  (flush() may be overridden) ---
flush() { sync; }
fs_roundtrip() {
  local M=$1 n f
  mkdir "$M/dir" || die mkdir
  cp "$W/big.bin" "$M/dir/big.bin" || die "cp in"
  flush; r_wait "$D/dir/big.bin" "$W/big.bin" 120; ok "upload $BIG bytes"
  ls "$M/dir" | grep -x big.bin >/dev/null || die "ls"
  cp "$M/dir/big.bin" "$W/out.bin" || die "cp out"; cmp -s "$W/out.bin" "$W/big.bin" || die "download differs"; ok "list + download"
  mv "$M/dir/big.bin" "$M/dir/renamed.bin" || die mv; flush
  r_wait "$D/dir/renamed.bin" "$W/big.bin"; r_wait_gone "$D/dir/big.bin"; ok rename
  mv "$M/dir" "$M/dir2" || die "mv dir"; r_wait "$D/dir2/renamed.bin" "$W/big.bin"; ok "rename folder"
  cp "$W/big2.bin" "$M/dir2/renamed.bin" || die overwrite; flush
  r_wait "$D/dir2/renamed.bin" "$W/big2.bin" 120; ok "overwrite (shorter)"
  cp "$W/empty.bin" "$M/dir2/empty.bin" || die "empty file"; flush; r_wait "$D/dir2/empty.bin" "$W/empty.bin"; ok "empty file"
  for n in "${NAMES[@]}"; do
    cp "$W/small.txt" "$M/dir2/$n" || die "cp '$n'"; flush; r_wait "$D/dir2/$n" "$W/small.txt"
    ls "$M/dir2" | grep -xF -- "$n" >/dev/null || die "ls does not show '$n'"
  done; ok "names: ${#NAMES[@]}"
  mkdir "$M/dir2/sub ü %" || die "mkdir odd name"; cp "$W/small.txt" "$M/dir2/sub ü %/x" || die "cp into odd dir"; flush; r_wait "$D/dir2/sub ü %/x" "$W/small.txt"; ok "odd folder name"
  rm "$M/dir2/renamed.bin" || die rm; r_wait_gone "$D/dir2/renamed.bin"
  rm -r "$M/dir2" || die "rm -r"; r_wait_gone "$D/dir2"; ok delete
  f=$(df -P "$M" 2>/dev/null | awk 'NR==2{print "df total="$2" avail="$4}'); ok "${f:-df n/a}"
}
