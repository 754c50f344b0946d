#!/usr/bin/env bash
# check-unit.sh BUILD_DIR: systemd's own judgement of the unit: its sandbox, and no key that systemd does not know.
set -euo pipefail

build=$1
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
unit=$root/packaging/systemd/sluice.service

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: systemd-analyze is not installed"
    exit 77
fi

echo "exposure (10 is naked; the limit is 1.5):"
systemd-analyze security --offline=true --threshold=15 "$unit" | tail -n 1

# What base/core_time.cpp asks of the kernel must get through the sandbox: nobody would notice but by the clock.
for call in setpriority sched_setattr; do
    grep -Eq "^SystemCallFilter=([a-z_]+ )*$call( |\$)" "$unit" || {
        echo "the sandbox does not allow $call, by which handshakes give way to live traffic"
        exit 1
    }
done

# verify wants the programs that the unit names: a copy of the unit that names this build's.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$build/bin/sluiced
[ -x "$program" ] || program=/bin/true
sed -e "s#=/usr/sbin/sluiced#=$program#" -e '/^Documentation=/d' -e '/^User=/d' -e '/^Group=/d' "$unit" >"$work/sluice.service"
echo "verify:"
said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$work/sluice.service" 2>&1) || {
    echo "$said"
    exit 1
}
if grep -F 'sluice.service' <<<"$said"; then exit 1; fi
echo "good"
