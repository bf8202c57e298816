#!/bin/sh
# What the look ahead gives of each case, by a real Nix: `configured.sh > tests/look_ahead/configured.json` writes it
# anew, a case on a line. The rules are tested on that file where there is no Nix.
set -eu
cd "$(dirname "$(readlink -f "$0")")"
# shellcheck disable=SC2016 # `${...}` is Nix's
"${NIX:-nix}" eval --raw --impure --extra-experimental-features nix-command --expr '
    let
        look = import ../../src/nix/eval/look_ahead.nix;
        line = name: config: "${builtins.toJSON name}: ${builtins.toJSON (look config)}";
        cases = import ./cases.nix;
        lines = map (name: line name cases.${name}) (builtins.attrNames cases);
    in "{\n${builtins.concatStringsSep ",\n" lines}\n}\n"'
