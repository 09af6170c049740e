#!/usr/bin/env bash
# litmus 0.13 protocol suite (Debian: apt-get install litmus).  Every group must pass whole, and warn of nothing but the fragment:
# a client strips `#fragment` before it sends, litmus does not, and the path that then arrives is an ordinary one.
. "$(dirname "$0")/_common.sh"; need litmus
r_mkcol "$D"
cd "$W" || exit 1
TESTS="basic copymove props locks http" timeout 600 litmus -k "$URL/$D/" "$U" "$P" > log 2>&1
grep -aE 'FAIL|WARNING|summary' log | tr '\r' '\n' | grep -aE 'FAIL|WARNING|summary'
for group in basic:16 copymove:13 props:30 locks:41 http:4; do
  name=${group%:*} count=${group#*:}
  grep -aqE "summary for \`$name': of $count tests run: $count passed, 0 failed" log || die "$name is not $count/$count"
done
warnings=$(tr '\r' '\n' < log | grep -a WARNING | grep -avi fragment)
[ -z "$warnings" ] || die "warning: $warnings"
ok "basic 16/16 copymove 13/13 props 30/30 locks 41/41 http 4/4"
