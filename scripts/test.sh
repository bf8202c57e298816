#!/usr/bin/env bash
# All tests, on this machine: what CI runs and what the README names.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

usage() {
    cat <<'HELP'
usage: scripts/test.sh [--without-lab] [--boot] [--no-install]
  --without-lab, --fast   all but the tests on booted hosts, which take minutes and want root
  --boot                  all tests of hosts with a firmware (vm::), not two alone: minutes more; on x86_64
  --no-install            install nothing: say what is missing and leave out what needs it

As root on Debian 12 or later it installs what it needs, by apt-get, but for Rust itself.

exit: 0 all passed, 1 something failed, 2 usage, 3 nothing failed, but not all could be run
HELP
}

no_lab='' boot='' no_install=''
for option in "$@"; do
    case $option in
    --without-lab | --fast) no_lab=$option ;;
    --boot) boot=1 ;;
    --no-install) no_install=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
# shellcheck source=scripts/needs.sh
. scripts/needs.sh
firmware='' # whether a host can have one here
[ "$(uname -m)" != x86_64 ] || firmware=1
if [ -n "$boot" ] && [ -z "$firmware" ]; then
    echo "--boot: the firmware is that of an x86_64 machine" >&2
    exit 2
fi
trap 'exit 130' INT
trap 'exit 143' TERM
[ ! -t 1 ] || export CARGO_TERM_COLOR=always
# A snapshot that is missing, or differs, fails the tests; it is not written anew.
export INSTA_UPDATE=no

summary='' status=0 flaky='' logs=$(mktemp -d) || exit 1
lab_work='' beside_names=() beside_pids=()
trap 'kill_the_others; rm -rf "$logs"' EXIT

step() { # NAME COMMAND...
    local name=$1 began=$SECONDS log=$logs/log word=ok result=0
    shift
    printf '\n=== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || {
        word=FAILED
        status=1 result=1
    }
    summary+=$(printf '%-7s %4d s  %s' "$word" $((SECONDS - began)) "$name")$'\n'
    # The closing lines of nextest (how many tests, and which of them failed) and of Rust's own harness.
    summary+=$(sed 's/\x1b\[[0-9;]*m//g' "$log" |
        sed -n '/^ *Summary \[/,$ { s/^ */                /; p }; s/^test result: /                &/p')
    summary=${summary%$'\n'}$'\n'
    echo "--- $name: $word, $((SECONDS - began)) s"
    return $result
}

# A step beside the others: what compiles one crate at a time leaves the other processors idle.
beside() { # NAME COMMAND...
    local name=$1 log
    shift
    log=$logs/beside.${#beside_names[@]}
    beside_names+=("$name")
    (
        began=$SECONDS
        "$@" >"$log" 2>&1 </dev/null
        echo "$? $((SECONDS - began))" >"$log.end"
    ) &
    beside_pids+=("$!")
}

# shellcheck disable=SC2317 # `step` calls it
what_was_said() { # LOG STATUS
    cat "$1"
    return "$2"
}

await_besides() {
    local at result took
    for at in "${!beside_pids[@]}"; do
        wait "${beside_pids[at]}"
        result=1 took=0
        [ ! -e "$logs/beside.$at.end" ] || read -r result took <"$logs/beside.$at.end"
        step "${beside_names[at]} (beside the others, $took s)" what_was_said "$logs/beside.$at" "$result"
    done
    beside_names=() beside_pids=()
}

# What the lab needs takes minutes of waiting for packages: it is fetched and built while everything else compiles. Of
# what hosts with a firmware want beside it the status stands in a file of its own: without it the others are tested.
prepare_lab() {
    local made
    scripts/lab.sh needs >/dev/null || ! may_install || scripts/lab.sh install
    scripts/lab.sh needs >/dev/null || return 0
    scripts/lab.sh base
    made=$?
    if [ $made = 0 ] && [ -n "$firmware" ]; then scripts/lab.sh base --vm && : >"$logs/firmware"; fi
    return $made
}

# shellcheck disable=SC2317 # the trap calls it
kill_the_others() {
    local pid
    for pid in $lab_work "${beside_pids[@]}"; do
        pkill -TERM -P "$pid" 2>/dev/null
        kill "$pid" 2>/dev/null
    done
}

not_run() { # NAME WHY
    printf '\n=== %s\nNOT RUN: %s\n' "$1" "$2"
    summary+="NOT RUN: $1: $2"$'\n'
    [ $status != 0 ] || status=3
}

# --- what is needed ---

has cargo || {
    how_to_get_rust
    echo "NOT RUN: all tests: there is no cargo"
    exit 3
}
need cc gcc libc6-dev
need update-ca-certificates ca-certificates # cargo downloads the crates
need shellcheck shellcheck
need ssh openssh-client
need sshd openssh-server
need script bsdutils # a terminal for tests/cli.rs
# A host's sh and awk, of each the two kinds that there are, for tests/boot_layouts.
need dash dash
need mawk mawk
need gawk gawk
need chromium chromium # tests/browser.rs
install_needs
for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 || [ -n "$no_install" ] || ! has rustup ||
        rustup component add "${component/#fmt/rustfmt}"
done
if ! has cargo-nextest && [ -z "$no_install" ]; then
    install_nextest
fi

if [ -z "$no_lab" ] && has cargo-nextest; then
    prepare_lab >"$logs/lab" 2>&1 </dev/null &
    lab_work=$!
fi

# --- without root and without the lab ---

# Every shell script of ours, also those without an ending.
has_a_shell='^#!.*sh$|^# shellcheck shell='
mapfile -t scripts < <(grep -rlE --exclude='*.md' --exclude='*.rs' "$has_a_shell" .ci scripts src/remote tests | sort)

step "formatting" cargo fmt --all --check
if has shellcheck; then
    beside "shellcheck of ${#scripts[@]} scripts" shellcheck -x "${scripts[@]}"
else
    not_run "shellcheck" "shellcheck is not installed"
fi
# That our own code needs no newer one is looked at by clippy (`incompatible_msrv`), from what Cargo.toml says.
# shellcheck disable=SC2317 # `step` calls it
oldest_rust() {
    local promised needed silent
    promised=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    needed=$(cargo metadata --locked --format-version 1 --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" |
        grep -o '"rust_version":"[0-9.]*"' | cut -d '"' -f 4 | sort -Vu | tail -n 1)
    echo "Cargo.toml promises Rust $promised; what it is built from needs $needed"
    silent=$(grep -L "Rust $promised" README.md flake.nix scripts/needs.sh)
    [ -z "$silent" ] || echo "these do not name Rust $promised: ${silent//$'\n'/ }"
    [ -z "$silent" ] && [ "$(printf '%s\n' "$promised" "$needed" | sort -V | tail -n 1)" = "$promised" ]
}
step "the oldest Rust" oldest_rust
step "what a release would have" scripts/release.sh --check
# In a folder of their own: cargo lets only one at a time into the same. What the tests are built from goes first.
beside "clippy" nice -n 19 cargo clippy --locked --all-targets --target-dir target/lints -- -D warnings
beside "documentation" nice -n 19 env RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
    cargo doc --locked --quiet --no-deps --document-private-items --target-dir target/lints
threads=$(($(nproc) * 2)) # a third of them wait
if ! has cargo-nextest; then
    not_run "tests" "cargo-nextest is not installed: cargo install cargo-nextest --locked"
elif ! has sshd; then
    not_run "tests/ssh.rs" "sshd is not installed (package openssh-server)"
    step "tests" cargo nextest run --locked --no-fail-fast --test-threads "$threads" -E 'not binary(ssh)'
else
    step "tests" cargo nextest run --locked --no-fail-fast --test-threads "$threads"
fi
if has cargo-nextest && has chromium; then
    step "the page of a run in a browser" cargo nextest run --locked --test browser --run-ignored only
else
    not_run "the page of a run in a browser" "chromium or cargo-nextest is not installed"
fi
step "documentation's examples" cargo test --locked --quiet --doc
await_besides

# --- on booted hosts ---

lab="tests on booted hosts"
# tests/nix.rs wants a Nix that fetches nothing, as a workstation of the lab has it, and a host to copy to. So does what
# shows the flake.
# shellcheck disable=SC2317 # `step` calls it
real_nix() (
    fleet=nix-tests-$$
    program=$(cargo test --locked --test nix --no-run --message-format json |
        sed -n 's/.*"executable":"\([^"]*\/nix-[^"]*\)".*/\1/p')
    trap 'scripts/lab.sh down "$fleet"' EXIT
    scripts/lab.sh up "$fleet" --hosts vps --binary target/debug/fleetdeploy || exit 1
    ws=$(scripts/lab.sh path "$fleet" ws)
    cp "$program" "$ws/tmp/nix-tests" || exit 1
    # The vps, where the workstation's root may log in.
    export FLEETDEPLOY_TEST_ALIAS=198.51.100.10 FLEETDEPLOY_TEST_SSHOPTS=-oBatchMode=yes
    ended=0
    scripts/lab.sh ws "$fleet" -- /tmp/nix-tests --ignored || ended=1
    # Tests what is committed, as another person gets it: a file that was forgotten is missing there.
    mkdir "$ws/tmp/flake" && git -c "safe.directory=$PWD" archive HEAD | tar -x -C "$ws/tmp/flake" || exit 1
    scripts/lab.sh ws "$fleet" -- /tmp/flake/tests/flake/outputs.sh /tmp/flake || ended=1
    exit "$ended"
)
# shellcheck disable=SC2317 # `step` calls it
on_booted_hosts() { # THREADS WHICH
    cargo nextest run --locked --no-fail-fast --test lab --run-ignored only --test-threads "$1" -E "$2"
}
# A filter that finds nothing any more is no error of nextest's.
# shellcheck disable=SC2317 # `step` calls it
are_there() { # HOW_MANY WHICH
    local found
    found=$(cargo nextest list --locked --test lab --run-ignored only -T oneline -E "$2" | wc -l)
    echo "$2: $found"
    [ "$found" = "$1" ]
}
# Ten fleets are a load of their own, and what it delays may fail. The few that did are tried once more with nothing
# beside them, and are named whatever comes of it. A host that was not where it must be is a finding, and stays one.
alone() {
    local failed which
    mapfile -t failed < <(sed 's/\x1b\[[0-9;]*m//g' "$logs/log" |
        sed -n '/^ *Summary \[/,$ s/^ *[A-Z-]* \[.*\] ([^)]*) fleetdeploy::lab //p' | sort -u)
    [ ${#failed[@]} -ge 1 ] && [ ${#failed[@]} -le 4 ] && ! grep -q "not every host is on" "$logs/log" || return
    which=$(printf ' or test(=%s)' "${failed[@]}")
    step "$lab that failed, alone" on_booted_hosts 1 "${which# or }" || return
    status=$before flaky=${#failed[@]}
    summary+=$(printf 'FLAKY: failed beside others, passed alone: %s\n' "${failed[@]}")$'\n'
}
lab_lacks() { scripts/lab.sh needs | tail -n +2 | paste -sd ';' | sed 's/;/; /g'; }
if [ -n "$no_lab" ]; then
    printf '\n=== %s\nNOT RUN: %s\n' "$lab" "$no_lab"
    summary+="NOT RUN: $lab: $no_lab was given"$'\n'
elif ! has cargo-nextest; then
    not_run "$lab" "cargo-nextest is not installed"
else
    wait "$lab_work"
    made=$? lab_work=''
    step "the lab's file systems, made meanwhile" what_was_said "$logs/lab" $made
    if ! scripts/lab.sh needs >/dev/null; then
        not_run "$lab" "$(lab_lacks)"
    elif [ $made = 0 ]; then
        step "boot layouts, with bootctl as the judge" \
            cargo nextest run --locked --no-fail-fast --test boot_layouts --run-ignored only
        step "tests with a real Nix" real_nix
        which='not test(/^vm::/)'
        if [ -e "$logs/firmware" ]; then
            # A good trial, and a panic in the initrd: what containers cannot show of the two.
            two='test(/^vm::trial::a_(good_kernel|panic_in)_/)'
            which+=" or $two"
            [ -z "$boot" ] || which='all()'
            step "two of them under a firmware" are_there 2 "$two"
        elif [ -n "$firmware" ]; then
            step "hosts with a firmware: QEMU, or what it starts, could not be made (see above)" false
        else
            not_run "tests on hosts with a firmware" "it is that of an x86_64 machine, and this is none"
        fi
        before=$status
        step "$lab" on_booted_hosts 10 "$which" || alone
        [ -z "$boot" ] || step "EFI variables of a real firmware" scripts/lab/efi.sh
    else
        not_run "$lab" "their file systems could not be built"
    fi
fi

# --- the end ---

printf '\n=== summary, after %d s\n%s' $SECONDS "$summary"
case $status in
0) echo "all passed${flaky:+, but $flaky FLAKY: see above}" ;;
1) echo "FAILED" ;;
3) echo "nothing failed, but NOT ALL WAS RUN: see above" ;;
esac
exit $status
