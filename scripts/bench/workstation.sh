#!/usr/bin/env bash
# What a push of many simulated hosts costs the workstation, with a record, the screens and `--json`: time and CPU of
# each phase, the most memory so far, threads; without links, and with a VPN whose hosts all look at each other. There
# is no ssh and no nix in it. `scripts/bench.sh workstation`.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
: "${sizes:?}"
# Without optimisation, as the tests are built: about fifteen times as slow.
cargo test --locked --quiet --test two_phase --no-run
for hosts in ${sizes//,/ }; do
    for checks in '[]' '[{vpn: mesh}]'; do
        FLEETDEPLOY_HOSTS=$hosts FLEETDEPLOY_CHECKS=$checks \
            cargo test --locked --quiet --test two_phase -- --ignored --nocapture --exact many::many_hosts 2>&1 |
            grep -e ' hosts, ' -e VmHWM -e panicked -e rounds
    done
done
