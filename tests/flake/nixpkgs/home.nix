# The options of home-manager that modules of ours set, as read in its modules.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.home.packages = mkOption { type = types.listOf types.package; default = [ ]; };
  options.home.sessionVariables = mkOption { type = types.lazyAttrsOf types.str; default = { }; };
}
