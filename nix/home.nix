# The home of a person who pushes, by home-manager.
{ config, lib, ... }:
let
  cfg = config.programs.fleetdeploy;
in
{
  imports = [ ./program.nix ];

  config = lib.mkIf cfg.enable {
    home.packages = [ cfg.package ];
    # The condition stands around the set: home-manager's type is lazy, and has each name that is written, with a value
    # or without.
    home.sessionVariables = lib.mkIf (cfg.inventory != null) { FLEETDEPLOY_INVENTORY = cfg.inventory; };
  };
}
