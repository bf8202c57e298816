# What the modules of nix/ set and what they refuse, evaluated on the stub of nixpkgs: a list of what is not so, and it
# is empty. `nix-instantiate --eval --strict --json modules.nix`
let
  stub = (import ./nixpkgs/flake.nix).outputs { };
  inherit (stub) lib;
  pkgs = stub.legacyPackages.x86_64-linux;
  written = import ./nixpkgs/written.nix;

  ada = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAda ada@laptop";
  signing = "fleet-1:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY=";
  target = { enable = true; authorizedKeys = [ ada ]; };
  # A host with the module, and with what else its owner has written.
  system = modules: (lib.nixosSystem { modules = [ ../../nix/target.nix ] ++ modules; }).config;
  ofRoot = system [ { fleetdeploy.target = target; } ];
  ofUser = more: system [ { fleetdeploy.target = target // { user = "deploy"; } // more; } ];
  deploy = ofUser { };

  said = config: map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  has = lib.hasInfix;

  is = what: found: wanted: { inherit what; ok = found == wanted; };
  # Exactly this is refused, and such a system cannot be had.
  refused = words: config: {
    what = "it is not refused with `${words}` alone: ${builtins.toJSON (said config)}";
    ok = builtins.length (said config) == 1 && has words (builtins.head (said config))
      && !(builtins.tryEval config.system.build.toplevel).success;
  };
  # This is fine; what its owner has written comes beside the module.
  fine = what: config: {
    what = "${what} is refused: ${builtins.toJSON (said config)}";
    ok = said config == [ ] && (builtins.tryEval config.system.build.toplevel).success;
  };
  root = more: system [ { fleetdeploy.target = target; } more ];
  user = more: system [ { fleetdeploy.target = target // { user = "deploy"; }; } more ];
  jump = more: root (more // { fleetdeploy.target.jump = true; });
  sshd = settings: { services.openssh = { inherit settings; }; };

  with' = inventory: { programs.fleetdeploy = { enable = true; inherit inventory; }; };
  workstation = inventory: (lib.nixosSystem { modules = [ ../../nix/workstation.nix (with' inventory) ]; }).config;
  home = inventory: (lib.evaluate {
    modules = [ ./nixpkgs/home.nix ../../nix/home.nix (with' inventory) ];
    arguments = { inherit lib pkgs; };
  }).config;

  # Every option of ours has a text, and one for its default where that is no plain value.
  described = modules: let
    leaves = path: tree: builtins.concatMap
      (name: if tree.${name}._type or "" == "option" then [ (tree.${name} // { inherit name; }) ]
        else leaves name tree.${name})
      (builtins.attrNames tree);
    inherit ((lib.nixosSystem { inherit modules; }).options) programs fleetdeploy;
  in map (option: {
    what = "${option.name} has no description";
    ok = builtins.isString option.description && builtins.stringLength option.description > 20;
  }) (leaves "" { inherit programs fleetdeploy; });

  all = [
    # --- a login as root ---
    (fine "a login as root" ofRoot)
    (is "root's keys" ofRoot.users.users.root.openssh.authorizedKeys.keys [ ada ])
    (is "root stays what it is" ofRoot.users.users.root.isNormalUser false)
    (is "sshd runs" ofRoot.services.openssh.enable true)
    (is "sessions" ofRoot.services.openssh.settings.MaxSessions 10)
    (is "logins that begin" ofRoot.services.openssh.settings.MaxStartups "32:30:100")
    (is "forwarding is left alone" (ofRoot.services.openssh.settings ? AllowTcpForwarding) false)
    (is "root needs no rule" (builtins.length ofRoot.security.sudo.extraRules) 1)
    (is "root needs no trust" ofRoot.nix.settings.trusted-users [ "root" ])
    (is "a dead cache is given up" ofRoot.nix.settings.connect-timeout 5)

    # --- a login that is made root ---
    (fine "a login that sudo makes root" deploy)
    (is "its keys" deploy.users.users.deploy.openssh.authorizedKeys.keys [ ada ])
    (is "root has none" deploy.users.users.root.openssh.authorizedKeys.keys [ ])
    (is "it is an account" deploy.users.users.deploy.isNormalUser true)
    (is "with a shell" deploy.users.users.deploy.shell "/run/current-system/sw/bin/bash")
    (is "its rule is the last" (written deploy).sudoers
      "root ALL=(ALL:ALL) SETENV: ALL\n%wheel\tALL=(ALL:ALL)\tSETENV: ALL\ndeploy\tALL=(root)\tNOPASSWD: /bin/sh\n")
    (is "also where others come late" (written (user { security.sudo.extraRules = lib.mkAfter [ {
      users = [ "deploy" ]; commands = [ { command = "ALL"; } ];
    } ]; })).sudoers
      ("root ALL=(ALL:ALL) SETENV: ALL\n%wheel\tALL=(ALL:ALL)\tSETENV: ALL\n"
        + "deploy\tALL=(ALL:ALL)\t ALL\ndeploy\tALL=(root)\tNOPASSWD: /bin/sh\n"))
    (is "sudo-rs has the same rule" deploy.security.sudo-rs.extraRules [
      {
        users = [ "deploy" ]; groups = [ ]; host = "ALL"; runAs = "root";
        commands = [ { command = "/bin/sh"; options = [ "NOPASSWD" ]; } ];
      }
    ])
    (is "no rule where none is wanted" (ofUser { sudo = false; }).security.sudo-rs.extraRules [ ])
    (is "it is trusted" deploy.nix.settings.trusted-users [ "root" "deploy" ])
    (is "also where there are signatures"
      (ofUser { trustedPublicKeys = [ signing ]; }).nix.settings.trusted-users [ "root" "deploy" ])
    (is "not where its owner says so" (ofUser { trustUser = false; }).nix.settings.trusted-users [ "root" ])
    (is "those count beside the cache's"
      (ofUser { trustedPublicKeys = [ signing ]; }).nix.settings.trusted-public-keys
      [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" signing ])
    (is "it says that it is root" (has "root" deploy.users.users.deploy.description) true)
    (is "forwarding is left alone by a jump, too"
      ((ofUser { jump = true; }).services.openssh.settings ? AllowTcpForwarding) false)
    (is "without `enable` nothing is set" (written (system [ ])) (written (lib.nixosSystem { modules = [ ]; }).config))
    (is "an account that is there stays as it is" (user {
      users.users.deploy = { isNormalUser = false; isSystemUser = true; shell = "/bin/zsh"; };
    }).users.users.deploy.isNormalUser false)
    (is "a key that was read from a file" (written (system [ { fleetdeploy.target = { enable = true; authorizedKeys =
      [ "${ada}\n" ]; }; } ])).keys { root = "${ada}\n"; })

    # --- what would shut the login out ---
    (refused "nobody could log in as root" (system [ { fleetdeploy.target.enable = true; } ]))
    (fine "a key that stands elsewhere" (system [ { fleetdeploy.target.enable = true;
      users.users.root.openssh.authorizedKeys.keys = [ ada ]; } ]))
    (fine "a login by certificates" (system [ { fleetdeploy.target.enable = true; } (sshd {
      TrustedUserCAKeys = "/etc/ssh/ca.pub";
    }) ]))
    (fine "a login by keys that a program knows" (system [ {
      fleetdeploy.target.enable = true;
      services.openssh.authorizedKeysCommand = "/run/current-system/sw/bin/keys-of %u";
    } ]))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "~/.ssh/id_ed25519.pub" ]; }))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "-----BEGIN PRIVATE KEY-----" ]; }))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "ssh-ed25519 AAAA... ada@laptop" ]; }))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "# ${ada}" ]; }))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "#${ada}" ]; }))
    (refused "is no public key" (root { fleetdeploy.target.authorizedKeys = [ "ssh-ed25519" ]; }))
    (refused "has a `command=`" (root { fleetdeploy.target.authorizedKeys = [ "command=\"/bin/true\" ${ada}" ]; }))
    (refused "has a `command=`"
      (root { fleetdeploy.target.authorizedKeys = [ "restrict,Command=\"echo a b\" ${ada}" ]; }))
    (fine "a comment that speaks of commands" (root { fleetdeploy.target.authorizedKeys = [ "${ada} command=none" ]; }))
    (fine "a key of a token" (root { fleetdeploy.target.authorizedKeys = [
      "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAdaAdaAdaAdaAdaAdaAdaAda= ada" ]; }))
    (fine "a key with options" (root { fleetdeploy.target.authorizedKeys = [ "from=\"10.100.0.0/24\" ${ada}" ]; }))
    (refused "no sshd runs here" (root { services.openssh.enable = false; }))
    (refused "sshd does not read the keys of NixOS"
      (root { services.openssh.authorizedKeysFiles = lib.mkForce [ "%h/.ssh/authorized_keys" ]; }))
    (fine "keys that sshd reads from a program, and no files" (system [ {
      fleetdeploy.target.enable = true;
      users.users.root.openssh.authorizedKeys.keys = [ ada ];
      services.openssh.authorizedKeysCommand = "/run/current-system/sw/bin/keys-of %u";
      services.openssh.authorizedKeysFiles = lib.mkForce [ ];
    } ]))
    (refused "settings.AuthorizedKeysFile` lacks" (root (sshd { AuthorizedKeysFile = "%h/.ssh/authorized_keys"; })))
    (fine "a setting that has the file"
      (root (sshd { AuthorizedKeysFile = ".ssh/authorized_keys /etc/ssh/authorized_keys.d/%u"; })))
    (refused "a key alone does not log in" (root (sshd { AuthenticationMethods = "publickey,password"; })))
    (refused "a key alone does not log in" (root (sshd { AuthenticationMethods = "keyboard-interactive"; })))
    (fine "a key as one of two ways" (root (sshd { AuthenticationMethods = "publickey,password publickey"; })))
    (fine "any way" (root (sshd { AuthenticationMethods = "any"; })))
    (refused "another command than those of a push" (user (sshd { ForceCommand = "internal-sftp"; })))
    (fine "no other command" (root (sshd { ForceCommand = "none"; })))
    (refused "sshd takes no keys" (root (sshd { PubkeyAuthentication = false; })))
    (refused "sshd does not let root in" (root (sshd { PermitRootLogin = "no"; })))
    (refused "sshd does not let root in" (root (sshd { PermitRootLogin = "forced-commands-only"; })))
    (fine "root shut out, and another login" (user (sshd { PermitRootLogin = "no"; })))
    (refused "sshd does not let deploy in" (user (sshd { AllowUsers = [ "ada" "deploy2" ]; })))
    (refused "sshd does not let deploy in" (user (sshd { AllowUsers = [ "dep.oy" "(deploy)" "deploy+" ]; })))
    (refused "sshd does not let deploy in" (user (sshd { DenyUsers = [ "d?ploy" ]; })))
    (fine "a list with the login" (user (sshd { AllowUsers = [ "ada" "dep*@10.100.0.*" ]; DenyUsers = [ "root" ]; })))
    (fine "a login that is denied from one address" (user (sshd { DenyUsers = [ "deploy@192.0.2.1" ]; })))
    (refused "does not let the groups of deploy in" (user (sshd { AllowGroups = [ "wheel" ]; })))
    (refused "does not let the groups of deploy in" (user (sshd { DenyGroups = [ "users" ]; })))
    (fine "a list with a group that names the login"
      (user (sshd { AllowGroups = [ "ssh?in" ]; } // { users.groups.sshxin.members = [ "ada" "deploy" ]; })))
    (refused "does not let the groups of deploy in"
      (user (sshd { DenyGroups = [ "games" ]; } // { users.groups.games.members = [ "deploy" ]; })))
    (fine "a group of others"
      (user (sshd { DenyGroups = [ "games" ]; } // { users.groups.games.members = [ "ada" ]; })))
    (fine "a list with a group of the login"
      (user (sshd { AllowGroups = [ "wheel" ]; } // { users.users.deploy.extraGroups = [ "wheel" ]; })))
    (refused "an sshd without PAM" (user (sshd { UsePAM = false; })))
    (fine "a password, and no PAM" (user (sshd { UsePAM = false; } // { users.users.deploy.hashedPassword = "$y$"; })))
    (refused "there is no deploy here" (user { users.users.deploy.enable = false; }))
    (refused "is nologin" (user { users.users.deploy.useDefaultShell = false; }))
    (refused "is false" (root { users.users.root.shell = "/bin/false"; }))
    (refused "deploy could not become root" (user { security.sudo.enable = false; }))
    (fine "sudo-rs in sudo's place" (user { security.sudo.enable = false; security.sudo-rs.enable = true; }))
    (fine "another way to root" (user { security.sudo.enable = false; fleetdeploy.target.sudo = false; }))
    (fine "root without sudo" (root { security.sudo.enable = false; }))
    (refused "only members of wheel may run sudo" (user { security.sudo.execWheelOnly = true; }))
    (fine "a member of wheel"
      (user { security.sudo.execWheelOnly = true; users.users.deploy.extraGroups = [ "wheel" ]; }))
    (refused "a system is brought here by this host's own Nix" (root { nix.enable = false; }))
    (refused "does not serve deploy" (user {
      nix.settings.allowed-users = [ "@wheel" ];
      fleetdeploy.target.trustUser = false;
    }))
    (fine "a login that Nix serves" (user {
      nix.settings.allowed-users = [ "@users" ];
      fleetdeploy.target.trustUser = false;
    }))
    (refused "does not trust deploy" (user { nix.settings.trusted-users = lib.mkForce [ "root" ]; }))
    (fine "a login that is trusted by its group" (user { nix.settings.trusted-users = lib.mkForce [ "@users" ]; }))
    (refused "lacks a key" (root {
      nix.settings.trusted-public-keys = lib.mkForce [ ];
      fleetdeploy.target.trustedPublicKeys = [ signing ];
    }))
    (refused "is no public key of Nix" (root { fleetdeploy.target.trustedPublicKeys = [ "fleet-1:..." ]; }))
    (refused "is no public key of Nix"
      (root { fleetdeploy.target.trustedPublicKeys = [ "~/.config/fleetdeploy/sign.pub" ]; }))
    # A private half: twice as long.
    (refused "is no public key of Nix" (root { fleetdeploy.target.trustedPublicKeys =
      [ "fleet-1:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY==" ]; }))
    (refused "sshd forwards nothing" (jump (sshd { AllowTcpForwarding = false; })))
    (refused "sshd forwards nothing" (jump (sshd { AllowTcpForwarding = "remote"; })))
    (fine "a jump that forwards what it may" (jump (sshd { AllowTcpForwarding = "local"; })))
    (refused "sshd forwards nothing" (jump (sshd { DisableForwarding = true; })))
    (fine "no jump, and no forwarding" (root (sshd { AllowTcpForwarding = false; })))

    # --- who pushes ---
    (is "the package" (map (one: one.name) (workstation null).environment.systemPackages)
      [ "fleetdeploy-${(fromTOML (builtins.readFile ../../Cargo.toml)).package.version}" ])
    (is "no inventory" (workstation null).environment.variables { })
    (is "the inventory" (workstation "/home/ada/fleet/inventory.yaml").environment.variables
      { FLEETDEPLOY_INVENTORY = "/home/ada/fleet/inventory.yaml"; })
    (is "one that is not there in every folder"
      (builtins.tryEval (workstation "inventory.yaml").environment.variables.FLEETDEPLOY_INVENTORY).success false)
    (is "the package at home" (builtins.length (home null).home.packages) 1)
    (is "no inventory at home" (home null).home.sessionVariables { })
    (is "the inventory at home" (home "/home/ada/fleet/inventory.yaml").home.sessionVariables
      { FLEETDEPLOY_INVENTORY = "/home/ada/fleet/inventory.yaml"; })
  ] ++ described [ ../../nix/target.nix ../../nix/workstation.nix ];
in
map (one: one.what) (builtins.filter (one: !one.ok) all)
