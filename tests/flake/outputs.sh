#!/bin/sh
# What flake.nix gives, with a stub of nixpkgs and a real Nix, offline: `outputs.sh FLAKE STUB`, on a workstation of the lab. Each output is
# evaluated by its name, because `nix flake check` says nothing of one that is not there.
set -eu
flake=path:$1
stub="--no-write-lock-file --override-input nixpkgs path:$2"
here=$(uname -m)-linux

lacking=''
evaluated() { # OUTPUT ARGUMENT...
    output=$1
    shift
    # shellcheck disable=SC2086 # the words of the options
    said=$(nix eval --raw $stub "$@" "$flake#$output" 2>&1) || {
        printf '%s\n' "$said" >&2
        lacking="$lacking $output"
    }
}

for system in x86_64-linux aarch64-linux; do
    for output in packages.$system.default packages.$system.fleetdeploy devShells.$system.default checks.$system.package \
        checks.$system.installed formatter.$system; do
        evaluated "$output.drvPath"
    done
    evaluated "apps.$system.default.program"
    evaluated "apps.$system.default.meta.description"
done
evaluated overlays.default --apply 'overlay: baseNameOf (overlay { callPackage = file: _: file; } { }).fleetdeploy'
if [ -n "$lacking" ]; then
    echo "flake.nix does not give:$lacking" >&2
    exit 1
fi

# It also builds the checks of this system.
# shellcheck disable=SC2086
nix flake check $stub "$flake"
# shellcheck disable=SC2086
nix run $stub "$flake" -- --version
echo "every output of flake.nix is there, and the checks of $here are built"
