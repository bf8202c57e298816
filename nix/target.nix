# A host that fleetdeploy pushes to: who logs in there, what makes that login root, and what sshd and Nix must let
# through. The login is root, by whichever way it becomes root: SECURITY.md says what a thief of its key can do.
#
# The commonest of what would shut the login out is refused when the system is evaluated, and so before any host is
# touched.
{ config, lib, ... }:
let
  cfg = config.fleetdeploy.target;
  isRoot = cfg.user == "root";
  user = config.users.users.${cfg.user};
  isMember = group: lib.elem cfg.user group.members;
  groups =
    [ user.group ] ++ user.extraGroups ++ lib.attrNames (lib.filterAttrs (_: isMember) config.users.groups);
  sshd = config.services.openssh;
  nix = config.nix.settings;
  # What is not set, or null, is as sshd itself has it.
  setting =
    name: default:
    let
      value = sshd.settings.${name} or null;
    in
    if value == null then default else value;
  # The words of a setting, which is a text or a list.
  words = value: if builtins.isList value then value else lib.splitString " " value;
  ours = "/etc/ssh/authorized_keys.d/%u";
  inherit (user.openssh) authorizedKeys;
  hasKeys = authorizedKeys.keys != [ ] || authorizedKeys.keyFiles != [ ];
  # By a certificate, or a key that a program knows.
  hasOtherWay = setting "TrustedUserCAKeys" null != null || sshd.authorizedKeysCommand != "none";
  # Whether sshd must read the keys that NixOS writes.
  areRead = sshd.enable && hasKeys && (cfg.authorizedKeys != [ ] || !hasOtherWay);
  isOn = value: value == true || value == "yes";
  forwarding = setting "AllowTcpForwarding" true;

  # sudo runs no command but this one: `sudo -n -- /bin/sh -c ... fleetdeploy`. It is all that root can do, so that
  # words behind it would make the rule longer and nobody safer.
  rules = lib.mkIf (!isRoot && cfg.sudo) (
    # Of sudo's rules the last one that fits holds: behind those that others put at the end.
    lib.mkOrder 9000 [
      {
        users = [ cfg.user ];
        runAs = "root";
        commands = [
          {
            command = "/bin/sh";
            options = [ "NOPASSWD" ];
          }
        ];
      }
    ]
  );

  # A pattern of sshd: in it only `*` and `?` have a meaning.
  fits =
    name: pattern:
    builtins.match (builtins.replaceStrings [ "\\*" "\\?" ] [ ".*" "." ] (lib.escapeRegex pattern)) name != null;
  anyFits = names: patterns: lib.any (pattern: lib.any (name: fits name pattern) names) patterns;
  # Whether two lists of sshd let one of these names in; `null` is no list. What stands behind an @ is where a login
  # comes from: it may come from there, and it may come from elsewhere.
  lets =
    allow: deny: names:
    let
      allowed = setting allow null;
      denied = setting deny [ ];
      everywhere = lib.filter (pattern: !lib.hasInfix "@" pattern);
    in
    (allowed == null || anyFits names (map (pattern: builtins.head (lib.splitString "@" pattern)) allowed))
    && !anyFits names (everywhere denied);

  shell = toString (if user.shell == null then "/bin/sh" else user.shell.shellPath or user.shell);
  keyTypes = lib.concatStringsSep "|" [
    "ssh-ed25519"
    "ssh-rsa"
    "ecdsa-sha2-nistp(256|384|521)"
    "sk-ssh-ed25519@openssh[.]com"
    "sk-ecdsa-sha2-nistp256@openssh[.]com"
  ];
  # The options before it, or null; and null for what is no key: a comment, a file's name, a text in a key's place.
  partsOf = builtins.match "([^#].* )?(${keyTypes}) AAAA[A-Za-z0-9+/]{40,}={0,2}( .*)?";
  isPublicKey = key: partsOf key != null;
  # It runs one command in the place of those that a push sends.
  isForced =
    key:
    let
      parts = partsOf key;
      options = if parts == null then null else builtins.head parts;
    in
    options != null && lib.hasInfix "command=" (lib.toLower options);
  hasPassword = lib.any (name: user.${name} != null) [
    "hashedPassword"
    "hashedPasswordFile"
    "initialHashedPassword"
    "initialPassword"
    "password"
  ];
  # Whether a list of Nix's has the user, by its name or by a group.
  serves =
    names: lib.any (name: lib.elem name names) ([ "*" cfg.user ] ++ map (group: "@${group}") groups);
  isSigningKey = key: builtins.match "[^: ]+:[A-Za-z0-9+/]{43}=" key != null;
in
{
  options.fleetdeploy.target = {
    enable = lib.mkEnableOption ''
      the login by which fleetdeploy pushes to this host. **This login is root**: a push replaces the whole system, and
      a key in `fleetdeploy.target.authorizedKeys` can do anything on this host that root can
    '';

    user = lib.mkOption {
      type = lib.types.str;
      default = "root";
      example = "deploy";
      description = ''
        Who logs in: `user` of the inventory. Any other user than `root` is made if it is not there yet, becomes root by
        sudo, and is as good as root by that. Its name in the logs is what is won.
      '';
    };

    authorizedKeys = lib.mkOption {
      type = lib.types.listOf lib.types.singleLineStr;
      default = [ ];
      example = [ "ssh-ed25519 AAAA... ada@laptop" ];
      description = ''
        The public ssh keys that log in, each as in `~/.ssh/id_ed25519.pub`. Who has the other half of one is root on
        this host. `from="10.100.0.0/24" ssh-ed25519 ...` lets a key in from there alone.
      '';
    };

    sudo = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = ''
        Whether sudo, or sudo-rs, makes the user root without a password, by a rule for `/bin/sh`. That is all of root:
        there is no smaller rule for what replaces a system. Without it the inventory's `become` must name another way
        (`sudo-password`, `doas`, `run0`), which you allow. For a login as root it means nothing.
      '';
    };

    trustedPublicKeys = lib.mkOption {
      type = lib.types.listOf lib.types.singleLineStr;
      default = [ ];
      example = [ "fleet-1:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY=" ];
      description = ''
        Keys whose signatures this host's Nix takes for what is copied to it: the public half of the inventory's
        `sign_key`, which must stand there first. (That of a binary cache belongs into `nix.settings`.)
      '';
    };

    trustUser = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = ''
        Whether this host's Nix takes from the user what nobody has signed (`nix.settings.trusted-users`). It needs
        this, a signature, or `build_on: target` in the inventory; root has it always. Turn it off once pushes are
        signed and this host has the key in `trustedPublicKeys`.
      '';
    };

    jump = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether other hosts are reached through this one: `jump` of the inventory. It sets nothing, for sshd forwards
        unless it is told not to, and refuses what would keep it from that.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.${cfg.user} = lib.mkMerge [
      { openssh.authorizedKeys.keys = cfg.authorizedKeys; }
      # With a home and a shell: a host's scripts are run by the login's own shell, and its Nix keeps a folder there.
      (lib.mkIf (!isRoot) {
        isNormalUser = lib.mkDefault true;
        description = lib.mkDefault "pushes of fleetdeploy; as good as root";
      })
    ];

    security.sudo.extraRules = rules;
    security.sudo-rs.extraRules = rules;

    services.openssh = {
      enable = lib.mkDefault true;
      settings = {
        # Of one connection: eight scripts, a copy, and one more.
        MaxSessions = lib.mkDefault 10;
        # Of sshd's own 10:30:100 a login is turned away at random once ten others have begun, as a mesh's probes do.
        MaxStartups = lib.mkDefault "32:30:100";
      };
    };

    nix.settings = {
      trusted-public-keys = cfg.trustedPublicKeys;
      trusted-users = lib.mkIf (!isRoot && cfg.trustUser) [ cfg.user ];
      # A binary cache that does not answer is given up after so many seconds, and a push waits for it no longer.
      connect-timeout = lib.mkDefault 5;
    };

    assertions = map
      (
        { assertion, message }:
        {
          inherit assertion;
          message = "fleetdeploy.target: ${message}";
        }
      )
      [
        {
          assertion = hasKeys || hasOtherWay;
          message = ''
            nobody could log in as ${cfg.user}: write into `fleetdeploy.target.authorizedKeys` what is in your
            ~/.ssh/id_ed25519.pub'';
        }
        {
          assertion = lib.all isPublicKey cfg.authorizedKeys;
          message = ''
            what `fleetdeploy.target.authorizedKeys` has is no public key: a key is one line, as in your
            ~/.ssh/id_ed25519.pub, and neither the name of a file nor a private key'';
        }
        {
          assertion = !lib.any isForced cfg.authorizedKeys;
          message = ''
            a key of `fleetdeploy.target.authorizedKeys` has a `command=`, so that none of a push's commands would run
            by it'';
        }
        {
          assertion = sshd.enable;
          message = "no sshd runs here: `services.openssh.enable = true;`";
        }
        {
          assertion = !areRead || lib.elem ours sshd.authorizedKeysFiles;
          message = ''
            sshd does not read the keys of NixOS: `services.openssh.authorizedKeysFiles` lacks "${ours}"'';
        }
        {
          # It would stand before what NixOS writes of that, and win.
          assertion = !areRead || lib.elem ours (words (setting "AuthorizedKeysFile" ours));
          message = ''
            sshd does not read the keys of NixOS: `services.openssh.settings.AuthorizedKeysFile` lacks "${ours}"'';
        }
        {
          assertion = lib.any (way: lib.elem way [ "any" "publickey" ]) (words (setting "AuthenticationMethods" "any"));
          message = ''
            a key alone does not log in: `services.openssh.settings.AuthenticationMethods` must allow "publickey"'';
        }
        {
          assertion = setting "ForceCommand" "none" == "none";
          message = ''
            sshd would run another command than those of a push: `services.openssh.settings.ForceCommand` must not be
            set; a `Match` in `services.openssh.extraConfig` can name whom it is for'';
        }
        {
          assertion = isOn (setting "PubkeyAuthentication" true);
          message = "sshd takes no keys: `services.openssh.settings.PubkeyAuthentication` must be true";
        }
        {
          assertion =
            !isRoot || lib.elem (setting "PermitRootLogin" "prohibit-password") [
              "yes"
              "prohibit-password"
              "without-password"
            ];
          message = ''
            sshd does not let root in: `services.openssh.settings.PermitRootLogin = "prohibit-password";`, or another
            `fleetdeploy.target.user`'';
        }
        {
          assertion = lets "AllowUsers" "DenyUsers" [ cfg.user ];
          message = ''
            sshd does not let ${cfg.user} in: look at `AllowUsers` and `DenyUsers` in `services.openssh.settings`'';
        }
        {
          assertion = lets "AllowGroups" "DenyGroups" groups;
          message = ''
            sshd does not let the groups of ${cfg.user} in: look at `AllowGroups` and `DenyGroups` in
            `services.openssh.settings`'';
        }
        {
          # An account without a password is a locked one for an sshd that does not ask PAM.
          assertion = isOn (setting "UsePAM" false) || hasPassword;
          message = ''
            ${cfg.user} has no password, and an sshd without PAM lets no such account in:
            `services.openssh.settings.UsePAM = true;`'';
        }
        {
          assertion = user.enable or true;
          message = "there is no ${cfg.user} here: `users.users.${cfg.user}.enable` is false";
        }
        {
          assertion = !lib.elem (baseNameOf shell) [
            "nologin"
            "false"
            "true"
          ];
          message = ''
            the shell of ${cfg.user} is ${baseNameOf shell}, which runs no command:
            `users.users.${cfg.user}.useDefaultShell = true;`'';
        }
        {
          assertion = isRoot || !cfg.sudo || config.security.sudo.enable || config.security.sudo-rs.enable;
          message = ''
            ${cfg.user} could not become root: `security.sudo.enable = true;`, or `fleetdeploy.target.sudo = false;` and
            another `become` in the inventory'';
        }
        {
          assertion =
            isRoot || !cfg.sudo || lib.elem "wheel" groups
            || !(config.security.sudo.execWheelOnly || config.security.sudo-rs.execWheelOnly);
          message = ''
            only members of wheel may run sudo here (`execWheelOnly`):
            `users.users.${cfg.user}.extraGroups = [ "wheel" ];`'';
        }
        {
          assertion = config.nix.enable;
          message = "a system is brought here by this host's own Nix: `nix.enable = true;`";
        }
        {
          assertion =
            isRoot || !config.nix.enable || serves (nix.allowed-users ++ nix.trusted-users);
          message = "this host's Nix does not serve ${cfg.user}: `nix.settings.allowed-users = [ \"${cfg.user}\" ];`";
        }
        {
          assertion = isRoot || !cfg.trustUser || !config.nix.enable || serves nix.trusted-users;
          message = ''
            this host's Nix does not trust ${cfg.user}, though `fleetdeploy.target.trustUser` is true:
            `nix.settings.trusted-users` is set by force'';
        }
        {
          assertion = lib.all isSigningKey cfg.trustedPublicKeys;
          # The text is not shown: it may be the private half.
          message = ''
            what `fleetdeploy.target.trustedPublicKeys` has is no public key of Nix: it is one line, as
            `nix key convert-secret-to-public` prints it'';
        }
        {
          assertion = lib.all (key: lib.elem key nix.trusted-public-keys) cfg.trustedPublicKeys;
          message = ''
            this host's Nix lacks a key of `fleetdeploy.target.trustedPublicKeys`:
            `nix.settings.trusted-public-keys` is set by force'';
        }
        {
          assertion =
            !cfg.jump
            || (
              (isOn forwarding || lib.elem forwarding [ "all" "local" ])
              && !isOn (setting "DisableForwarding" false)
            );
          message = ''
            sshd forwards nothing, and other hosts are reached through this one: in `services.openssh.settings`
            `AllowTcpForwarding` must not be "no" or "remote", and `DisableForwarding` not be on'';
        }
      ];
  };
}
