#!/bin/sh
# What flake.nix gives, with a stub of nixpkgs and a real Nix, offline: `outputs.sh COPY`, on a workstation of the lab.
# It writes a lock file into that copy of the repository. Each output is evaluated by its name, because `nix flake
# check` says nothing of one that is not there.
set -eu
cd "$1"
nix flake lock --override-input nixpkgs path:tests/flake/nixpkgs path:.

# All in one call: Nix reads the flake anew for each.
set --
for system in x86_64-linux aarch64-linux; do
    for output in packages.$system.default packages.$system.fleetdeploy devShells.$system.default \
        checks.$system.package checks.$system.installed formatter.$system; do
        set -- "$@" "path:.#$output"
    done
done
nix path-info --derivation "$@"
# shellcheck disable=SC2016 # `${...}` is Nix's
nix eval --raw path:.#apps --apply '
    let told = app: "${app.type} ${app.program}: ${app.meta.description}\n"; in
    apps: toString (map (system: told apps.${system}.default) [ "x86_64-linux" "aarch64-linux" ])'
nix eval --raw path:.#overlays.default --apply '
    overlay: toString (overlay { callPackage = file: _: file; } { }).fleetdeploy'
echo
# The modules are files, as a flake gives them, and the template is a folder with a flake.
nix eval --json path:.#nixosModules --apply 'modules: map toString [ modules.target modules.workstation ]'
nix eval --json path:.#homeModules.default --apply toString
nix eval --json path:.#templates.default --apply '
    template: assert builtins.pathExists (template.path + "/flake.nix"); template.description'

# What they set, and what they refuse.
began=$(date +%s%N)
wrong=$(nix-instantiate --eval --strict --json tests/flake/modules.nix)
echo "the modules, in $((($(date +%s%N) - began) / 1000000)) ms: $wrong"
[ "$wrong" = "[]" ]

# What the look ahead gives of each case is what its rules are tested on.
tests/look_ahead/configured.sh >"$HOME/configured.json"
cmp "$HOME/configured.json" tests/look_ahead/configured.json

# It also builds the checks of this system; then what README says.
nix flake check path:.
nix run path:. -- --version
nix profile install path:.
"$HOME/.nix-profile/bin/fleetdeploy" --version
ls "$HOME/.nix-profile/share/man/man1/fleetdeploy-push.1"
echo "every output of flake.nix is there, and the checks of $(uname -m)-linux are built"
