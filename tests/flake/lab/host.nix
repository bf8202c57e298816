# A host of the lab in the place of a NixOS: by its name, with what the modules have set of its login, and nothing else
# of what they say.
{ config, ... }:
let
  read = file: builtins.fromJSON (builtins.readFile file);
  name = config.networking.hostName;
  fleet = read ./fleet/hosts.json;
in
{
  system.build.toplevel = import ./fleet/nixos {
    inherit name;
    inherit (fleet) hosts platform;
    keys = read ./fleet/keys.json;
    params = ((read ./fleet/params.json).${name} or { }) // { login = import ./nixpkgs/written.nix config; };
  };
}
