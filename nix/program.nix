# The options of a workstation, the same for NixOS and for home-manager.
{ lib, pkgs, ... }:
{
  options.programs.fleetdeploy = {
    enable = lib.mkEnableOption "fleetdeploy, with its manual pages and its completion in bash, zsh and fish";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage \"\${fleetdeploy}/package.nix\" { }";
      description = "The package of fleetdeploy.";
    };

    inventory = lib.mkOption {
      # A text, for a Nix path would be copied into the store, and the flake beside it would not be there.
      type = lib.types.nullOr (lib.types.strMatching "/.*");
      default = null;
      example = "/home/ada/fleet/inventory.yaml";
      description = ''
        The inventory of every command, in whichever folder it is typed: FLEETDEPLOY_INVENTORY in the environment, from
        the next login on. `--inventory` wins over it, and it wins over an `inventory.yaml` of the working folder.
        Without it an `inventory.yaml` is looked for in the working folder, and then in those above.
      '';
    };
  };
}
