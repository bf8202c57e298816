# hosts.json: the fleet's hosts. params.json: what is not as by default, host by host (nixos/params.nix names
# everything).
let
  read = file: builtins.fromJSON (builtins.readFile file);
  fleet = read ./hosts.json;
  params = read ./params.json;
  keys = read ./keys.json;
  host = name: _: {
    config = {
      networking.hostName = name;
      system.build.toplevel = import ./nixos {
        inherit name keys;
        inherit (fleet) hosts platform;
        params = params.${name} or { };
      };
    };
  };
in
{
  nixosConfigurations = builtins.mapAttrs host fleet.hosts;
}
