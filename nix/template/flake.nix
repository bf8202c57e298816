{
  description = "Two hosts that are pushed together by fleetdeploy";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
  # Where your clone of fleetdeploy is. Not `path:`, which copies all that lies there, also what it has built.
  inputs.fleetdeploy.url = "git+file:///where/the/clone/is";
  inputs.fleetdeploy.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, fleetdeploy, ... }:
    let
      # Who has the other half of this key is root on both hosts.
      key =
        if builtins.pathExists ./deploy.pub then
          builtins.readFile ./deploy.pub
        else
          throw "there is no deploy.pub, the key that may log in: cp ~/.ssh/id_ed25519.pub deploy.pub, and git add it";
      host =
        name:
        nixpkgs.lib.nixosSystem {
          modules = [
            fleetdeploy.nixosModules.target
            ./hosts/${name}
            {
              networking.hostName = name;
              fleetdeploy.target = {
                enable = true;
                authorizedKeys = [ key ];
              };
            }
          ];
        };
    in
    {
      nixosConfigurations = nixpkgs.lib.genAttrs [ "vps" "web" ] host;
    };
}
