# Configurations as NixOS has them evaluated, one for each rule of the look ahead and for whatever must keep it silent.
# A case is named by the warning that it must bring, and by what it is about; `none` brings none. The host of all of
# them logs in as ada at port 22, becomes root by sudo, is 10.100.0.1 in the VPN, and a link leads to home, 10.100.0.2.
let
  update = a: b: a // builtins.mapAttrs
    (name: value: if builtins.isAttrs value && builtins.isAttrs (a.${name} or null) then update a.${name} value else value) b;
  peer = { allowedIPs = [ "10.100.0.0/24" ]; endpoint = "203.0.113.1:51820"; };
  base = {
    services.openssh = {
      enable = true; startWhenNeeded = false; ports = [ 22 ]; listenAddresses = [ ]; extraConfig = "Port 22\n";
      authorizedKeysFiles = [ "/etc/ssh/authorized_keys.d/%u" ]; authorizedKeysCommand = "none";
      settings = {
        PermitRootLogin = "no"; AllowUsers = null; DenyUsers = null; AuthorizedPrincipalsFile = "none";
        PasswordAuthentication = false;
      };
    };
    services.tailscale = { enable = false; };
    systemd.services = { sshd = { }; sshd-keygen = { }; wireguard-wg0 = { }; };
    systemd.sockets = { };
    networking = {
      useDHCP = false;
      firewall = {
        enable = true; allowedTCPPorts = [ 22 80 ]; allowedTCPPortRanges = [ ]; allowedUDPPorts = [ ];
        allowedUDPPortRanges = [ ]; interfaces = { }; trustedInterfaces = [ "lo" ]; extraInputRules = "";
        extraCommands = "iptables -t nat -A POSTROUTING -j ACCEPT\niptables -A nixos-filter-forward -j ACCEPT\n";
      };
      interfaces.eth0 = { useDHCP = false; ipv4.addresses = [ { address = "203.0.113.9"; prefixLength = 24; } ]; };
      wireguard.interfaces.wg0 = { ips = [ "10.100.0.1/24" ]; listenPort = 51820; peers = [ peer ]; postSetup = ""; extraOptions = { }; };
      wg-quick.interfaces = { };
      networkmanager.enable = false;
    };
    users = {
      mutableUsers = false;
      users = {
        root = { name = "root"; group = "root"; extraGroups = [ ]; openssh.authorizedKeys = { keys = [ ]; keyFiles = [ ]; }; };
        ada = {
          name = "ada"; group = "users"; extraGroups = [ "wheel" ];
          openssh.authorizedKeys = { keys = [ "ssh-ed25519 AAAA ada" ]; keyFiles = [ ]; };
        };
        nixbld1 = { name = "nixbld1"; group = "nixbld"; };
      };
      groups = { wheel.members = [ ]; deployers.members = [ ]; };
    };
    security.sudo = {
      enable = true; extraConfig = "Defaults env_keep += SSH_AUTH_SOCK\n";
      extraRules = [ { users = [ "root" ]; groups = [ ]; } { users = [ ]; groups = [ "wheel" ]; } ];
      configFile = "Defaults env_keep += SSH_AUTH_SOCK\nroot ALL=(ALL:ALL) SETENV: ALL\n%wheel ALL=(ALL:ALL) ALL\n";
    };
    security.sudo-rs = { enable = false; extraRules = [ ]; };
    security.wrappers = { sudo = { }; };
    security.doas.enable = false;
    boot.loader.systemd-boot = { enable = true; configurationLimit = 10; };
    boot.initrd = { luks.devices = { }; network.ssh.enable = false; systemd.enable = false; clevis.devices = { }; };
    environment.etc = { };
  };
  sshd = change: update base { services.openssh = change; };
  firewall = change: update base { networking.firewall = change; };
  closed = change: firewall ({ allowedTCPPorts = [ 80 ]; } // change);
  user = change: update base { users.users.ada = change; };
  noKeys = change: update (user { openssh.authorizedKeys.keys = [ ]; }) change;
  noRule = change: update (user { extraGroups = [ ]; }) change;
  tunnel = change: update base { networking.wireguard.interfaces.wg0 = change; };
  moved = change: update (tunnel { ips = [ "10.100.0.7/24" ]; }) change;
  bare = update (builtins.removeAttrs base [ "systemd" ]) { networking.wireguard = { interfaces = null; }; };
  without = change: update
    (bare // { networking = base.networking // { wireguard.interfaces = { }; }; }) change;
  waiting = change: update (tunnel { peers = [ { allowedIPs = [ "10.100.0.0/24" ]; endpoint = null; } ]; }) change;
  locked = change: update base { boot.initrd.luks.devices.cryptroot = { keyFile = null; crypttabExtraOpts = [ ]; } // change; };
  networkd = {
    enable = true;
    netdevs."10-wg0" = {
      netdevConfig = { Kind = "wireguard"; Name = "wg0"; }; wireguardConfig.ListenPort = 51820;
      wireguardPeers = [ { AllowedIPs = [ "10.100.0.2/32" ]; Endpoint = "203.0.113.1:51820"; } ];
    };
    networks."10-wg0".address = [ "10.100.0.1/24" ];
  };
in {
  "none: all is well" = base;
  "none: nothing is known" = { };
  "none: every option throws" = builtins.mapAttrs (_: _: throw "not this one") base;
  "none: every option is of another kind" = builtins.mapAttrs (_: _: 1) base;

  "sshd-off: it is off" = update (sshd { enable = false; }) { systemd.services = { }; } // { systemd.services = { }; };
  "none: sshd is another unit" = sshd { enable = false; };
  "none: sshd is off and tailscale lets in" =
    update (sshd { enable = false; }) { services.tailscale.enable = true; } // { systemd.services = { }; };
  "none: whether sshd is on throws" = sshd { enable = throw "no"; };

  "ssh-port-gone: another port" = update (sshd { ports = [ 2222 ]; extraConfig = "Port 2222\n"; }) {
    networking.firewall.allowedTCPPorts = [ 2222 ];
  };
  "none: one port of two" = sshd { ports = [ 2222 22 ]; };
  "none: a port in a line" = sshd { ports = [ 2222 ]; extraConfig = "Port 2222\nport 22\n"; };
  "none: an address with a port" = sshd { ports = [ 2222 ]; listenAddresses = [ { addr = "0.0.0.0"; port = 22; } ]; };
  "none: an included file" = sshd { ports = [ 2222 ]; extraConfig = "Include /etc/ssh/more\n"; };
  "none: a socket" = update (sshd { ports = [ 2222 ]; startWhenNeeded = true; extraConfig = "Port 2222\n"; }) {
    networking.firewall.allowedTCPPorts = [ 2222 ];
  };
  "ssh-port-gone: each address has another port" = update
    (sshd { listenAddresses = [ { addr = "0.0.0.0"; port = 2222; } ]; }) { networking.firewall.allowedTCPPorts = [ 2222 ]; };
  "none: a second sshd" = update (sshd { ports = [ 2222 ]; }) { systemd.services.rescue-sshd = { }; };

  "ssh-port-closed: not open" = closed { };
  "ssh-port-closed: another is open" = closed { allowedTCPPorts = [ 2222 ]; };
  "ssh-port-closed: only for UDP" = closed { allowedUDPPorts = [ 22 ]; };
  "none: no firewall" = closed { enable = false; };
  "none: in a range" = closed { allowedTCPPortRanges = [ { from = 20; to = 30; } ]; };
  "none: on an interface" = closed { interfaces.wg0.allowedTCPPorts = [ 22 ]; };
  "none: in a range on an interface" = closed { interfaces.wg0.allowedTCPPortRanges = [ { from = 1; to = 65535; } ]; };
  "none: the interface is trusted" = closed { trustedInterfaces = [ "lo" "wg0" ]; };
  "none: a rule of iptables" = closed { extraCommands = "iptables -A nixos-fw -s 10.0.0.0/8 -j nixos-fw-accept\n"; };
  "none: a script of rules" = closed { extraCommands = "/nix/store/rules.sh\n"; };
  "none: a rule of nftables" = closed { extraInputRules = "ip saddr 10.0.0.0/8 accept\n"; };
  "none: firewalld" = closed { backend = "firewalld"; };
  "none: rules from a file" = closed { extraCommands = "iptables-restore -n < /srv/rules\n"; };
  "none: rules that throw" = closed { extraCommands = throw "no"; };
  "none: a socket with a closed port" = update (closed { }) { services.openssh.startWhenNeeded = true; };
  "none: the ports throw" = closed { allowedTCPPorts = throw "no"; };
  "none: tailscale opens its own" = update (closed { }) { services.tailscale.enable = true; };

  "login-not-allowed: others are allowed" = sshd { settings.AllowUsers = [ "bob" ]; };
  "login-not-allowed: denied" = sshd { settings.DenyUsers = [ "ada" ]; };
  "none: allowed" = sshd { settings.AllowUsers = [ "bob" "ada" ]; };
  "none: allowed by a pattern" = sshd { settings.AllowUsers = [ "bob" "a*" ]; };
  "none: a block that matches" = sshd { settings.AllowUsers = [ "bob" ]; extraConfig = "Match Address 10.0.0.0/8\n"; };

  "login-user-gone: not declared" = update base { users.users = { ada = null; }; } // {
    users = base.users // { users = builtins.removeAttrs base.users.users [ "ada" ]; };
  };
  "login-user-gone: switched off" = user { enable = false; };
  "none: users are mutable" = base // {
    users = base.users // { mutableUsers = true; users = builtins.removeAttrs base.users.users [ "ada" ]; };
  };
  "none: users come from elsewhere" = base // {
    services = base.services // { sssd.enable = true; };
    users = base.users // { users = builtins.removeAttrs base.users.users [ "ada" ]; };
  };
  "none: a user that throws" = user { name = throw "no"; };
  "none: a database of users elsewhere" = base // {
    system.nssDatabases.passwd = [ "files" "cache_oslogin" "oslogin" "systemd" ];
    users = base.users // { users = builtins.removeAttrs base.users.users [ "ada" ]; };
  };
  "none: the attribute has another name" = base // {
    users = base.users // { users = { root = base.users.users.root; person = base.users.users.ada; }; };
  };

  "login-keys-gone: no key" = noKeys { };
  "none: a file of keys" = noKeys { users.users.ada.openssh.authorizedKeys.keyFiles = [ ./cases.nix ]; };
  "none: a principal" = noKeys { users.users.ada.openssh.authorizedPrincipals = [ "ada" ]; };
  "none: keys in the home folder" =
    noKeys { services.openssh.authorizedKeysFiles = [ "%h/.ssh/authorized_keys" "/etc/ssh/authorized_keys.d/%u" ]; };
  "none: a command gives keys" = noKeys { services.openssh.authorizedKeysCommand = "/etc/ssh/keys"; };
  "none: certificates" = noKeys { services.openssh.settings.TrustedUserCAKeys = "/etc/ssh/ca.pub"; };
  "none: certificates in a line" = noKeys { services.openssh.extraConfig = "TrustedUserCAKeys /etc/ssh/ca.pub\n"; };
  "none: a file of keys of one's own" = noKeys { environment.etc."ssh/authorized_keys.d/ada" = { }; };
  "none: keys that are secret" = noKeys { sops.secrets.ada.path = "/etc/ssh/authorized_keys.d/ada"; };
  "none: sshd looks for keys elsewhere" = noKeys { services.openssh.settings.AuthorizedKeysFile = "/srv/keys/%u"; };
  "none: keys that throw" = user { openssh.authorizedKeys.keys = throw "no"; };

  "root-program-off: no sudo" = update base { security.sudo.enable = false; } // {
    security = base.security // { sudo = base.security.sudo // { enable = false; }; wrappers = { }; };
  };
  "none: sudo-rs" = update base { security.sudo.enable = false; security.sudo-rs.enable = true; };
  "none: a sudo of one's own" = update base { security.sudo.enable = false; };
  "root-rule-gone: no group" = noRule { };
  "none: a rule for the user" = noRule { security.sudo.extraRules = [ { users = [ "ada" ]; groups = [ ]; } ]; };
  "none: a rule for a group" = noRule {
    users.groups.deployers.members = [ "ada" ]; security.sudo.extraRules = [ { users = [ ]; groups = [ "deployers" ]; } ];
  };
  "none: a rule for a number" = noRule { security.sudo.extraRules = [ { users = [ 1000 ]; groups = [ ]; } ]; };
  "root-rule-gone: the rules of a sudo that is off" = noRule {
    security.sudo = { enable = false; extraRules = [ { users = [ "ada" ]; groups = [ ]; } ]; configFile = null; };
    security.sudo-rs.enable = true;
  };
  "none: an included folder" = noRule { security.sudo.extraConfig = "@includedir /etc/sudoers.d\n"; };
  "none: a number in a line" = noRule { security.sudo.extraConfig = "#1000 ALL=(ALL) NOPASSWD: ALL\n"; };
  "none: a rule in a line" = noRule { security.sudo.extraConfig = "ada ALL=(ALL) NOPASSWD: ALL\n"; };
  "none: a file of one's own" = noRule { security.sudo.configFile = "ada ALL=(ALL) NOPASSWD: ALL\n"; };
  "none: an alias" = noRule { security.sudo.configFile = "ADMINS ALL=(ALL) ALL\n"; };
  "none: a member of wheel" = noRule { users.groups.wheel.members = [ "ada" ]; };

  "vpn-address-gone: another address" = moved { };
  "vpn-address-gone: another one of wg-quick" = without {
    networking.wg-quick.interfaces.wg0 = { address = [ "10.100.0.7/24" ]; peers = [ peer ]; };
  };
  "vpn-address-gone: the tunnel is gone" = without { };
  "none: by networkd" = without { systemd.network = networkd; };
  "none: by networkd in older words" = without { systemd.network = networkd // {
    netdevs."10-wg0" = networkd.netdevs."10-wg0" // { wireguardPeers = [ {
      wireguardPeerConfig = { AllowedIPs = "10.100.0.2/32"; Endpoint = "203.0.113.1:51820"; };
    } ]; };
    networks."10-wg0".addresses = [ { addressConfig.Address = "10.100.0.1/24"; } ];
  }; };
  "none: an address of an interface" = without { networking.interfaces.tun0.ipv4.addresses = [ { address = "10.100.0.1"; } ]; };
  "none: a unit that sounds like it" = without { systemd.services.my-vpn = { }; };
  "none: a file that sounds like it" = without { environment.etc."wireguard/wg0.conf" = { }; };
  "none: the network manager" = moved { networking.networkmanager.enable = true; };
  "none: a file of wg-quick" = moved { networking.wg-quick.interfaces.wg1 = { configFile = "/etc/wg1.conf"; }; };
  "none: commands of one's own" = moved { networking.wireguard.interfaces.wg0.postSetup = "ip address add 10.100.0.1 dev wg0"; };
  "none: a tunnel to elsewhere beside DHCP" =
    update (tunnel { ips = [ "10.5.0.2/32" ]; }) { networking.useDHCP = true; };

  "none: a command of the network" = moved { networking.localCommands = "ip address add 10.100.0.1/24 dev wg0"; };
  "none: an address by DHCP beside a tunnel" = without { networking.useDHCP = true; };

  "none: a peer that throws" = tunnel { peers = [ (peer // { allowedIPs = throw "no"; }) ]; };
  "vpn-peer-gone: no peer" = tunnel { peers = [ ]; };
  "vpn-peer-gone: another host's" = tunnel { peers = [ (peer // { allowedIPs = [ "10.100.0.3/32" ]; }) ]; };
  "none: the peer alone" = tunnel { peers = [ (peer // { allowedIPs = [ "10.100.0.2/32" ]; }) ]; };
  "none: a peer without a mask" = tunnel { peers = [ (peer // { allowedIPs = [ "10.100.0.2" ]; }) ]; };
  "none: everything" = tunnel { peers = [ (peer // { allowedIPs = [ "0.0.0.0/0" "::/0" ]; }) ]; };
  "none: a second tunnel" = update (tunnel { peers = [ ]; }) {
    networking.wireguard.interfaces.wg1 = { ips = [ ]; peers = [ peer ]; };
  };
  "none: peers by commands" = tunnel { peers = [ ]; postSetup = "wg addconf wg0 /run/peers"; };

  "vpn-port-closed: nobody is called" = waiting { };
  "none: the port is open" = waiting { networking.firewall.allowedUDPPorts = [ 51820 ]; };
  "none: the port is in a range" = waiting { networking.firewall.allowedUDPPortRanges = [ { from = 51000; to = 52000; } ]; };
  "none: somebody is called" = base;

  "boot-room-short: all generations" = update base { boot.loader.systemd-boot.configurationLimit = null; };

  "none: garbage is collected" = update base { boot.loader.systemd-boot.configurationLimit = null; nix.gc.automatic = true; };
  "none: kernels do not lie in /boot" = update base {
    boot.loader = { systemd-boot.configurationLimit = null; efi.efiSysMountPoint = "/efi"; };
  };

  "passphrase-ahead: a disk" = locked { };
  "passphrase-ahead: what NixOS writes there itself" =
    update (locked { }) { boot.initrd = { preLVMCommands = "open_normally\n"; postDeviceCommands = "vgchange -ay\n"; }; };
  "none: a script of one's own fetches the key" =
    update (locked { }) { boot.initrd.preLVMCommands = "curl https://keys/ | cryptsetup open\n"; };
  "none: a key file" = locked { keyFile = "/dev/disk/by-label/key"; };
  "none: TPM2" = locked { crypttabExtraOpts = [ "tpm2-device=auto" ]; };
  "none: clevis" = update (locked { }) { boot.initrd.clevis.devices.cryptroot = { }; };
  "none: from afar" = update (locked { }) { boot.initrd.network.ssh.enable = true; };
  "none: an initrd of systemd may ask a TPM2" = update (locked { }) { boot.initrd.systemd.enable = true; };
}
