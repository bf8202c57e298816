# The home of a person who pushes, by home-manager.
{ config, lib, ... }:
let
  cfg = config.programs.fleetdeploy;
in
{
  imports = [ ./program.nix ];

  config = lib.mkIf cfg.enable {
    home.packages = [ cfg.package ];
    home.sessionVariables.FLEETDEPLOY_INVENTORY = lib.mkIf (cfg.inventory != null) cfg.inventory;
  };
}
