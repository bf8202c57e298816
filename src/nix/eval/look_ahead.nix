# What the configuration of a NixOS host says of the ways in. Whatever is not there, throws, or has another shape than
# expected is null, or missing from its list: it is not known. The look must stay cheap: it reads options that the
# system itself has read. Its answer is `Configured` in src/facts/configured.rs.
config: let
  inherit (builtins) all any attrNames concatMap elem filter isAttrs isBool isInt isList isString substring;

  ask = value: let got = builtins.tryEval (builtins.deepSeq value value); in if got.success then got.value else null;
  # One part of the answer: whatever goes wrong in it unforeseen leaves it empty, and the others as they are.
  part = value: let got = ask value; in if got == null then { } else got;
  isSet = value: let got = builtins.tryEval (isAttrs value); in got.success && got.value;
  # Whether an attribute is there; its value is not looked at.
  names = value: let got = builtins.tryEval (if isAttrs value then attrNames value else [ ]); in
    if got.success then got.value else [ ];
  # The attributes of a set, each with its name; those that throw are left out.
  each = look: value: filter (one: one != null) (map (name: ask (look name value.${name})) (names value));

  # Whether something in it throws: then what was read of it is not all of it.
  isBroken = value: !(builtins.tryEval (builtins.deepSeq value true)).success;
  hasBroken = value: any (name: isBroken value.${name}) (names value);

  plain = value: builtins.unsafeDiscardStringContext value;
  lower = builtins.replaceStrings
    [ "A" "B" "C" "D" "E" "F" "G" "H" "I" "J" "K" "L" "M" "N" "O" "P" "Q" "R" "S" "T" "U" "V" "W" "X" "Y" "Z" ]
    [ "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z" ];
  has = words: text: any (word: builtins.replaceStrings [ word ] [ "" ] text != text) words;

  bool = value: let got = ask value; in if isBool got then got else null;
  int = value: let got = ask value; in if isInt got then got else null;
  text = value: let got = ask value; in if isString got then plain got else null;
  list = value: let got = ask value; in if isList got then got else [ ];
  ints = value: filter isInt (list value);
  texts = value: map plain (filter isString (list value));
  # An option that takes one text or a list of them.
  some = value: let got = ask value; in if isString got then [ (plain got) ] else texts got;
  lines = value: let got = text value; in
    if got == null then [ ] else filter isString (builtins.split "\n" got);
  isOn = value: bool value == true;

  # sshd
  sshd = config.services.openssh or null;
  settings = sshd.settings or null;
  # The words of sshd_config that change which login is taken, or where. NixOS writes `Port` and its like there itself.
  decisive = [
    "port" "listenaddress" "match" "include" "permitrootlogin" "allowusers" "denyusers" "allowgroups" "denygroups"
    "trustedusercakeys" "authorizedprincipalsfile" "authorizedprincipalscommand" "gssapiauthentication"
    "hostbasedauthentication"
  ];
  firstWord = line: let got = builtins.match "[ \t]*([A-Za-z]+)[ \t=].*" (substring 0 60 (line + " ")); in
    if got == null then "" else lower (builtins.head got);
  listens = map (one: int (one.port or null)) (filter isAttrs (list (sshd.listenAddresses or null)));
  # An address with a port of its own makes sshd forget the other ports.
  areAllTheirOwn = listens != [ ] && all isInt listens;
  ofSettings = decisive ++ [ "authorizedkeysfile" "authorizedkeyscommand" ];
  units = names (config.systemd.services or null) ++ names (config.systemd.sockets or null);
  ofNixos = [ "sshd" "sshd@" "sshd-keygen" "sshd-unix-local" "sshd-unix-local@" "sshd-vsock" "sshd-vsock@" ];

  # The firewall
  firewall = config.networking.firewall or null;
  openings = [ firewall ] ++ map (name: firewall.interfaces.${name}) (names (firewall.interfaces or null));
  range = one: let from = int (one.from or null); to = int (one.to or null); in
    if from == null || to == null then [ ] else [ [ from to ] ];
  ranges = value: concatMap range (filter isAttrs (list value));
  single = port: [ port port ];
  # A rule of somebody's own may let anything in: one that accepts, and is not about what is passed on.
  accepts = line: let small = lower line; in
    has [ "accept" "/nix/store" "restore" "source " "nft " "/etc/" "/run/" "jump" ] small
      && !(has [ "forward" "-t nat" "-t mangle" "-t raw" ] small);

  # Users
  users = config.users.users or null;
  groups = each (name: group: { inherit name; members = texts (group.members or null); }) (config.users.groups or null);
  user = name: one: let called = let own = text (one.name or null); in if own == null then name else own; in {
    name = called;
    enabled = !(bool (one.enable or null) == false);
    keys = builtins.length (texts (one.openssh.authorizedKeys.keys or null))
      + builtins.length (list (one.openssh.authorizedKeys.keyFiles or null))
      + builtins.length (list (one.openssh.authorizedPrincipals or null));
    # Whether all of that could be read.
    keys_known = !(elem "ssh/authorized_keys.d/${called}" etc || areKeysSecret)
      && isList (ask (one.openssh.authorizedKeys.keys or null))
      && isList (ask (map toString (one.openssh.authorizedKeys.keyFiles or [ ])));
    groups = some (one.group or null) ++ texts (one.extraGroups or null)
      ++ map (group: group.name) (filter (group: elem called group.members) groups);
  };
  # NixOS writes a file there for who has keys in the configuration; for who has none, somebody else does.
  etc = names (config.environment.etc or null);
  areKeysSecret = any (path: has [ "authorized_keys" ] path) (concatMap (secrets:
    filter isString (map (name: text (secrets.${name}.path or null)) (names secrets)))
    [ (config.sops.secrets or null) (config.age.secrets or null) ]
    ++ texts (config.systemd.tmpfiles.rules or null));
  isOfBuilds = name: substring 0 6 name == "nixbld";

  # The way to root
  sudos = filter isSet [ (config.security.sudo or null) (config.security.sudo-rs or null) ];
  # The rules of a program that is off are nobody's.
  inForce = let on = filter (sudo: isOn (sudo.enable or null)) sudos; in if on == [ ] then sudos else on;
  rules = concatMap (sudo: filter isAttrs (list (sudo.extraRules or null))) inForce;
  # A number stands for a user, too: whoever it is, it may be ours.
  named = value: map (one: if isString one then plain one else "ALL") (list value);
  isLine = pattern: line: builtins.match "[ \t]*(${pattern}).*" (substring 0 60 line) != null;
  grants = line: isLine "[@#]include" line
    || has [ "ALL" ] line && (isLine "#[0-9]" line || !(isLine "Defaults|#" line));
  whom = line: let got = builtins.match "[ \t]*([^ \t]+)[ \t].*" (substring 0 60 line); in
    if got == null then [ ] else got;
  wrappers = names (config.security.wrappers or null);

  # VPNs
  peers = pick: value: map pick (filter isAttrs (list value));
  isSaid = value: let got = ask value; in !(got == null || got == "" || got == [ ] || got == { });
  hooked = one: any isSaid (map (hook: one.${hook} or null) [
    "postSetup" "preSetup" "postUp" "preUp" "configFile" "extraConfig"
  ]);
  # Both write their peers alike; their own addresses have another name.
  tunnel = kind: addresses: name: one: {
    inherit name;
    option = "networking.${kind}.interfaces.${name}";
    addresses = texts (one.${addresses} or null);
    port = int (one.listenPort or null);
    peers = peers (peer: {
      allowed = texts (peer.allowedIPs or null);
      dials = isSaid (peer.endpoint or null);
    }) (one.peers or null);
    hooked = hooked one || isBroken (one.peers or null);
  };
  networkd = config.systemd.network or null;
  isNetworkd = isOn (networkd.enable or null);
  ofNetworkd = look: value: if isNetworkd then each look value else [ ];
  netdev = name: one: if text (one.netdevConfig.Kind or null) != "wireguard" then null else {
    name = let own = text (one.netdevConfig.Name or null); in if own == null then name else own;
    option = "systemd.network.netdevs.${name}";
    addresses = [ ];
    port = int (one.wireguardConfig.ListenPort or null);
    peers = peers (outer: let peer = outer.wireguardPeerConfig or outer; in {
      allowed = some (peer.AllowedIPs or null);
      dials = isSaid (peer.Endpoint or null);
    }) (one.wireguardPeers or null);
    hooked = hooked one || isBroken (one.wireguardPeers or null);
  };
  ofNetwork = name: one: {
    addresses = some (one.address or null) ++ some (one.networkConfig.Address or null)
      ++ concatMap (each: some (each.Address or null) ++ some (each.addressConfig.Address or null))
        (filter isAttrs (list (one.addresses or null)));
    dhcp = isSaid (one.DHCP or null) || isSaid (one.networkConfig.DHCP or null);
    hooked = isSaid (one.extraConfig or null);
  };
  networks = ofNetworkd ofNetwork (networkd.networks or null);
  ofInterface = name: one: {
    addresses = map (each: text (each.address or null))
      (filter isAttrs (list (one.ipv4.addresses or null) ++ list (one.ipv6.addresses or null)));
    dhcp = isOn (one.useDHCP or null);
    hooked = false;
  };
  interfaces = each ofInterface (config.networking.interfaces or null);
  tunnels = each (tunnel "wireguard" "ips") (config.networking.wireguard.interfaces or null)
    ++ each (tunnel "wg-quick" "address") (config.networking.wg-quick.interfaces or null)
    ++ ofNetworkd netdev (networkd.netdevs or null);
  # What else may give a host an address inside a VPN.
  others = filter (name: isOn (config.services.${name}.enable or null)) [
    "tailscale" "netbird" "zerotierone" "strongswan" "strongswan-swanctl" "netclient" "yggdrasil" "cjdns" "wgautomesh"
    "mullvad-vpn" "connman" "keepalived" "cloud-init" "innernet" "softether" "rosenpass" "frr" "firezone" "libreswan"
    "easytier" "pppd" "xl2tpd" "ucarp"
  ] ++ filter (name: names (config.services.${name} or null) != [ ] && any (each:
    names (config.services.${name}.${each} or null) != [ ]) [ "networks" "servers" "clients" "tunnels" ])
    [ "nebula" "openvpn" "tinc" "netbird" ]
    ++ (if isOn (config.networking.networkmanager.enable or null) then [ "networkmanager" ] else [ ])
    ++ (if isOn (config.networking.wg-netmanager.enable or null) then [ "wg-netmanager" ] else [ ]);
  ofVpn = [ "vpn" "wg" "wireguard" "tunnel" "tailscale" "zerotier" "nebula" "netbird" "ipsec" "swan" "tinc" "mesh" ];
  hints = filter (name: has ofVpn (lower name)) (units ++ names (config.environment.etc or null));

  # The boot
  loader = config.boot.loader or null;
  limited = name: value: { option = "boot.loader.${name}.configurationLimit"; limit = int value; };
  # What collects garbage bounds the generations; and only what lies below /boot was measured.
  isBounded = isOn (config.nix.gc.automatic or null)
    || !(elem (text (loader.efi.efiSysMountPoint or null)) [ null "/boot" ]);
  copies = if isBounded then [ ] else (if isOn (loader.systemd-boot.enable or null)
      then [ (limited "systemd-boot" (loader.systemd-boot.configurationLimit or null)) ] else [ ])
    ++ (if isOn (config.boot.lanzaboote.enable or null)
      then [ { option = "boot.lanzaboote.configurationLimit";
        limit = int (config.boot.lanzaboote.configurationLimit or null); } ] else [ ]);
  initrd = config.boot.initrd or null;
  opensByItself = name: device: isSaid (device.keyFile or null) || isSaid (device.preOpenCommands or null)
    || any (option: has [ "tpm2" "key-file" ] option) (texts (device.crypttabExtraOpts or null))
    || elem name (names (initrd.clevis.devices or null));
  # NixOS itself writes there what asks for a passphrase; a person, what fetches it.
  fetches = line: has [ "ssh" "dropbear" "curl" "wget" "netcat" ] (lower line);
  locked = filter (one: one != null)
    (each (name: device: if opensByItself name device then null else name) (initrd.luks.devices or null));
in {
  sshd = part {
    enabled = bool (sshd.enable or null);
    on_demand = isOn (sshd.startWhenNeeded or null);
    ports = if areAllTheirOwn then listens else ints (sshd.ports or null) ++ filter isInt listens;
    extra = map (line: plain (substring 0 200 line)) (filter
      (line: elem (firstWord line) decisive && !(areAllTheirOwn && firstWord line == "port"))
      (lines (sshd.extraConfig or null)));
    settings = filter (name: elem (lower name) ofSettings && isSaid settings.${name} && text settings.${name} != "none")
      (names settings);
    root_login = text (settings.PermitRootLogin or null);
    allow_users = some (settings.AllowUsers or null);
    deny_users = some (settings.DenyUsers or null);
    keys_files = let got = ask (sshd.authorizedKeysFiles or null); in if isList got then texts got else null;
    keys_command = let got = text (sshd.authorizedKeysCommand or null); in !(got == null || got == "none");
    others = filter (name: has [ "ssh" "dropbear" ] (lower name) && !(elem name ofNixos)) units
      ++ filter (name: elem name [ "tailscale" "teleport" ])
        (filter (name: isOn (config.services.${name}.enable or null)) [ "tailscale" "teleport" ]);
    units = filter (name: elem name [ "sshd" "sshd@" ]) units;
  };
  firewall = part {
    enabled = bool (firewall.enable or null);
    tcp = concatMap (one: map single (ints (one.allowedTCPPorts or null)) ++ ranges (one.allowedTCPPortRanges or null))
      openings;
    udp = concatMap (one: map single (ints (one.allowedUDPPorts or null)) ++ ranges (one.allowedUDPPortRanges or null))
      openings;
    # firewalld keeps rules of its own.
    known = all (opening: !(any isBroken (map (option: opening.${option} or null) [
        "allowedTCPPorts" "allowedTCPPortRanges" "allowedUDPPorts" "allowedUDPPortRanges"
      ]))) openings
      && isList (ask (firewall.allowedTCPPorts or null)) && isList (ask (firewall.allowedUDPPorts or null))
      && elem (text (firewall.backend or null)) [ null "iptables" "nftables" ];
    trusted = filter (name: name != "lo") (texts (firewall.trustedInterfaces or null));
    own_rules = isBroken (firewall.extraCommands or null) || isBroken (firewall.extraInputRules or null)
      || any accepts (lines (firewall.extraCommands or null) ++ lines (firewall.extraInputRules or null)
      ++ lines (firewall.extraReversePathFilterRules or null));
  };
  users = part {
    mutable = bool (config.users.mutableUsers or null);
    elsewhere = any isOn [
      (config.users.ldap.enable or null) (config.services.sssd.enable or null) (config.services.homed.enable or null)
      (config.services.kanidm.enablePam or null) (config.services.nslcd.enable or null)
      (config.users.mysql.enable or null) (config.services.userdbd.enable or null)
      (config.services.himmelblau.enable or null) (config.security.pam.krb5.enable or null)
    ] || any (database: !(elem database [ "files" "systemd" "mymachines" ]))
      (texts (config.system.nssDatabases.passwd or null))
      || any (name: !(isOfBuilds name) && ask (user name users.${name}) == null) (names users);
    all = each (name: one: if isOfBuilds name then null else user name one) users;
  };
  root = part {
    sudo = if sudos == [ ] then null
      else if any (sudo: isOn (sudo.enable or null)) sudos then true
      else if !(elem "sudo" wrappers) && all (sudo: bool (sudo.enable or null) == false) sudos then false else null;
    doas = if elem "doas" wrappers then null else bool (config.security.doas.enable or null);
    rules_known = sudos != [ ] && all (sudo: isList (ask (sudo.extraRules or null))) sudos;
    users = concatMap (rule: named (rule.users or null)) rules;
    groups = concatMap (rule: named (rule.groups or null)) rules;
    own_rules = any grants (concatMap (sudo: lines (sudo.extraConfig or null)) inForce);
    # The whole file may be somebody's own.
    granted = concatMap (sudo: concatMap whom (filter grants (lines (sudo.configFile or null)))) inForce;
  };
  vpn = part {
    inherit tunnels others hints;
    # Whether this is a NixOS that could have them at all.
    known = isSet (config.networking.wireguard.interfaces or null);
    tailscale = bool (config.services.tailscale.enable or null);
    addresses = concatMap (one: one.addresses) tunnels
      ++ filter isString (concatMap (one: one.addresses) (networks ++ interfaces));
    by_dhcp = isOn (config.networking.useDHCP or null) || any (one: one.dhcp) (networks ++ interfaces);
    hooked = any (one: one.hooked) (tunnels ++ networks)
      || any isSaid [
        (config.networking.localCommands or null) (config.networking.dhcpcd.extraConfig or null)
        (config.networking.openconnect.interfaces or null)
      ]
      || any hasBroken [
        (config.networking.wireguard.interfaces or null) (config.networking.wg-quick.interfaces or null)
        (config.networking.interfaces or null) (networkd.netdevs or null) (networkd.networks or null)
      ];
  };
  boot = part {
    inherit copies locked;
    unlocked_from_afar = isOn (initrd.network.ssh.enable or null) || isOn (initrd.systemd.enable or null)
      || any fetches (lines (initrd.preLVMCommands or null) ++ lines (initrd.postDeviceCommands or null)
        ++ lines (initrd.preDeviceCommands or null));
  };
}
