# The parameter `login` of a host of the lab whose NixOS has this `target`, and the keys of a workstation: with
# `nix-instantiate --eval --strict --json`.
{ target, keys }:
let
  stub = (import ../nixpkgs/flake.nix).outputs { };
  authorizedKeys = [ (builtins.fromJSON (builtins.readFile keys)).workstation ];
  settings.fleetdeploy.target = { enable = true; inherit authorizedKeys; } // target;
  inherit (stub.lib.nixosSystem { modules = [ ../../../nix/target.nix settings ]; }) config;
in
# Not without its assertions.
builtins.seq config.system.build.toplevel (import ../nixpkgs/written.nix config)
