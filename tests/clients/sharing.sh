#!/usr/bin/env bash
# Two accounts, two kernel mounts (davfs2 and rclone), one shared folder: both edit, a lock is seen, revoking is seen at once.
# Env: SECOND_USER, SECOND_PASS = the account that the folder is shared with.   apt-get install davfs2 rclone fuse3
. "$(dirname "$0")/_common.sh"; need mount.davfs rclone curl fusermount3 python3
[ -c /dev/fuse ] || { say "SKIP: no /dev/fuse"; exit 77; }
[ -n "${SECOND_USER:-}" ] || { say "SKIP: no SECOND_USER to share with"; exit 77; }
API=${URL%/dav}/api/v1 SECOND_PASS=${SECOND_PASS:-}
json() { curl -fsS --noproxy '*' -m 60 -H 'Content-Type: application/json' "$@"; }
second() { curl -sS --noproxy '*' -m 60 -u "$SECOND_USER:$SECOND_PASS" -o /dev/null -w '%{http_code}' "$@"; }
field() { python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
wait_same() { local i; for i in $(seq 1 60); do cmp -s "$1" "$2" && return 0; sleep 0.25; done; die "$3"; }
r_mkcol "$D"; _curl -f -T "$W/small.txt" "$URL/$D/$(enc "${NAMES[0]}")" || die "upload"
share=$(json -u "$U:$P" -d "{\"path\": \"$D\", \"to\": {\"account\": \"$SECOND_USER\"}, \"rights\": \"edit\"}" "$API/shares" | field id) || die "share"
mkdir "$W/one" "$W/two" "$W/cache"; chmod 755 "$W"; chown root:davfs2 "$W/cache"; chmod 775 "$W/cache"
printf 'ask_auth 0\ndelay_upload 0\ncache_dir %s\ndir_refresh 1\nfile_refresh 0\ngui_optimize 0\nbuf_size 64\nsecrets %s\n' "$W/cache" "$W/secrets" > "$W/davfs2.conf"
printf '%s "%s" "%s"\n' "$URL/$D/" "$U" "$P" > "$W/secrets"; chmod 600 "$W/secrets"
timeout 60 mount -t davfs "$URL/$D/" "$W/one" -o "conf=$W/davfs2.conf,uid=0" < /dev/null > "$W/log" 2>&1 || die "mount: $(cat "$W/log")"
CLEAN+=("timeout 60 umount '$W/one' || umount -l '$W/one'")
export RCLONE_CONFIG="$W/rclone.conf" RCLONE_WEBDAV_URL="$URL/" RCLONE_WEBDAV_VENDOR=other RCLONE_WEBDAV_USER=$SECOND_USER RCLONE_WEBDAV_PASS
RCLONE_WEBDAV_PASS=$(rclone obscure "$SECOND_PASS"); : > "$RCLONE_CONFIG"
rclone mount ":webdav:Shared with me/$D" "$W/two" --vfs-cache-mode writes --vfs-write-back 0s --dir-cache-time 1s --cache-dir "$W/rcache" > "$W/log" 2>&1 & PIDS+=($!)
CLEAN+=("fusermount3 -u '$W/two'; sleep 0.5")
for _ in $(seq 1 40); do mountpoint -q "$W/two" && break; sleep 0.25; done; mountpoint -q "$W/two" || die "did not mount: $(tail -3 "$W/log")"; ok mounted
cmp -s "$W/two/${NAMES[0]}" "$W/small.txt" || die "the receiver does not see the owner's file"
cp "$W/big.bin" "$W/two/from receiver.bin" || die "the receiver's copy"; wait_same "$W/one/from receiver.bin" "$W/big.bin" "the owner does not see the receiver's file"
r_wait "$D/from receiver.bin" "$W/big.bin"; ok "receiver writes, owner reads"
cp "$W/big2.bin" "$W/one/from owner.bin" || die "the owner's copy"; wait_same "$W/two/from owner.bin" "$W/big2.bin" "the receiver does not see the owner's file"; ok "owner writes, receiver reads"
lockinfo='<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>'
token=$(_curl -f -X LOCK -H 'Timeout: Second-60' -d "$lockinfo" -D - -o /dev/null "$URL/$D/from%20owner.bin" | sed -nE 's/^lock-token: *(.*)\r$/\1/Ip') || die "lock"
mine="$URL/Shared%20with%20me/$D"
[ "$(second -T "$W/small.txt" "$mine/from%20owner.bin")" = 423 ] || die "the receiver wrote over the owner's lock"
_curl -f -o /dev/null -X UNLOCK -H "Lock-Token: $token" "$URL/$D/from%20owner.bin" || die "unlock"
[ "$(second -T "$W/small.txt" "$mine/from%20owner.bin")" = 204 ] || die "the receiver cannot write after the unlock"; ok "lock seen by the other"
json -u "$U:$P" -X DELETE "$API/shares/$share" || die "revoke"
[ "$(second "$mine/from%20owner.bin")" = 404 ] || die "the receiver still reads"
[ "$(second -T "$W/small.txt" "$mine/new.txt")" != 201 ] || die "the receiver still writes"
for _ in $(seq 1 20); do ls "$W/two/${NAMES[0]}" > /dev/null 2>&1 || break; sleep 0.25; done
! ls "$W/two/${NAMES[0]}" > /dev/null 2>&1 || die "the receiver's mount still shows the file"; ok "revoked at once"
