# A NixOS from which people push.
{ config, lib, ... }:
let
  cfg = config.programs.fleetdeploy;
in
{
  imports = [ ./program.nix ];

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.variables.FLEETDEPLOY_INVENTORY = lib.mkIf (cfg.inventory != null) cfg.inventory;
  };
}
