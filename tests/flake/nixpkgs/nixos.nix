# The options of NixOS that modules of ours set or ask for, with its defaults, as read in nixpkgs; and no others.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  flag = option types.bool;
  texts = option (types.listOf types.str);
  maybe = type: option (types.nullOr type) null;
  set = module: option (types.attrsOf (types.submodule module)) { };

  user = { config, name, ... }: {
    options = {
      enable = flag true;
      isNormalUser = flag false;
      isSystemUser = flag false;
      useDefaultShell = flag false;
      description = option types.str "";
      group = option types.str "";
      extraGroups = texts [ ];
      home = option types.str "/var/empty";
      shell = option (types.nullOr types.raw) pkgs.shadow;
      hashedPassword = maybe types.str;
      hashedPasswordFile = maybe types.str;
      initialHashedPassword = maybe types.str;
      initialPassword = maybe types.str;
      password = maybe types.str;
      openssh.authorizedKeys.keys = option (types.listOf types.singleLineStr) [ ];
      openssh.authorizedKeys.keyFiles = option (types.listOf types.raw) [ ];
    };
    config = lib.mkMerge [
      (lib.mkIf config.isNormalUser {
        group = lib.mkDefault "users";
        home = lib.mkDefault "/home/${name}";
        useDefaultShell = lib.mkDefault true;
      })
      (lib.mkIf config.useDefaultShell { shell = lib.mkDefault "/run/current-system/sw/bin/bash"; })
    ];
  };

  rule.options = {
    users = texts [ ];
    groups = texts [ ];
    host = option types.str "ALL";
    runAs = option types.str "ALL:ALL";
    commands = option (types.listOf (types.submodule {
      options.command = mkOption { type = types.str; };
      options.options = option (types.listOf (types.enum [ "NOPASSWD" "SETENV" ])) [ ];
    })) [ ];
  };
  sudo = enabled: {
    enable = flag enabled;
    execWheelOnly = flag false;
    extraRules = option (types.listOf (types.submodule rule)) [ ];
  };

  failed = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
in
{
  options = {
    assertions = option (types.listOf types.raw) [ ];
    boot.loader.grub.enable = flag false;
    boot.loader.systemd-boot.enable = flag false;
    environment.systemPackages = option (types.listOf types.package) [ ];
    environment.variables = option (types.attrsOf types.str) { };
    fileSystems = set {
      options.device = mkOption { type = types.str; };
      options.fsType = mkOption { type = types.str; };
    };
    networking.hostName = option types.str "nixos";
    nix.enable = flag true;
    nix.settings = option (types.submodule {
      freeformType = types.raw;
      options.allowed-users = texts [ "*" ];
      options.trusted-public-keys = texts [ ];
      options.trusted-users = texts [ ];
    }) { };
    nixpkgs.hostPlatform = option types.str "x86_64-linux";
    security.sudo = sudo true;
    security.sudo-rs = sudo false;
    services.openssh = {
      enable = flag false;
      authorizedKeysCommand = option types.str "none";
      authorizedKeysFiles = texts [ ];
      settings = option (types.submodule {
        freeformType = types.raw;
        options.PermitRootLogin = option types.str "prohibit-password";
        options.UsePAM = option types.raw true;
        options.AllowUsers = maybe (types.listOf types.str);
        options.DenyUsers = maybe (types.listOf types.str);
        options.AllowGroups = maybe (types.listOf types.str);
        options.DenyGroups = maybe (types.listOf types.str);
      }) { };
    };
    system.stateVersion = option types.str "25.11";
    # A system with an assertion that fails cannot be had, as in NixOS.
    system.build.toplevel = mkOption {
      type = types.raw;
      default = "a system";
      apply = system:
        if failed == [ ] then system else throw "Failed assertions:\n- ${builtins.concatStringsSep "\n- " failed}";
    };
    users.groups = set { options.members = texts [ ]; };
    users.users = set user;
  };

  config = {
    nix.settings.trusted-users = [ "root" ];
    nix.settings.trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
    services.openssh.authorizedKeysFiles = lib.mkIf config.services.openssh.enable [
      "%h/.ssh/authorized_keys"
      "/etc/ssh/authorized_keys.d/%u"
    ];
    security.sudo.extraRules = lib.mkOrder 600 [
      { groups = [ "wheel" ]; commands = [ { command = "ALL"; options = [ "SETENV" ]; } ]; }
    ];
    users.users.root = {
      isSystemUser = true;
      group = "root";
      home = "/root";
      useDefaultShell = true;
    };
  };
}
