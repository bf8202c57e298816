# One NixOS system, as small as it can be: the layout of a toplevel is the real one (top-level.nix), its programs are
# links to the base system's. Per host only two derivations are its own, `etc-HOST` and `nixos-system-HOST-VERSION`.
{ name, hosts, platform, keys, params }:
let
  known = import ./params.nix;
  wrong = builtins.filter (key: !(known ? ${key})) (builtins.attrNames params);
  p = if wrong == [ ] then known // params else throw "params.json: ${name} has unknown keys: ${toString wrong}";

  # --- a few words of our own, since there is no nixpkgs ---
  words = text: builtins.filter (word: builtins.isString word && word != "") (builtins.split "[ \n]+" text);
  lines = builtins.concatStringsSep "\n";
  when = condition: text: if condition then text else "";
  text = value: { kind = "file"; inherit value; };
  exec = value: { kind = "exec"; inherit value; };
  link = value: { kind = "link"; inherit value; };
  program = value: { kind = "program"; inherit value; };
  copy = value: { kind = "copy"; inherit value; };
  # A derivation that consists of these files.
  tree = drvName: files: extra:
    let paths = builtins.attrNames files;
    in derivation ({
      name = drvName;
      system = platform;
      builder = "/bin/sh";
      args = [ ./tree.sh ];
      PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
      list = lines (map (path: "${files.${path}.kind} ${path}") paths);
    } // builtins.listToAttrs (builtins.genList
      (n: { name = "f${toString n}"; value = files.${builtins.elemAt paths n}.value; })
      (builtins.length paths)) // extra);
  # NixOS makes a derivation of every script of a unit. A plain file in the store is quicker, and as much its own.
  script = scriptName: body: builtins.toFile "unit-script-${scriptName}" "#!/bin/sh\nset -e\n${body}\n";

  # --- the host ---
  self = hosts.${name};
  hostName = if p.host_name == null then name else p.host_name;
  address = if p.address == null then self.address else p.address;
  vpnAddress = if p.vpn_address == null then self.vpn else p.vpn_address;
  hub = "vps";
  isHub = name == hub;
  # One of many, n1 to n99: nothing runs there by itself, so that what a push starts can be counted.
  isNumbered = builtins.match "n[0-9]+" name != null;
  app = if p.app == null then isHub else p.app;
  version = "25.11.${p.version}";
  # A vm has a real kernel: one by another name is the same one.
  isVm = self ? vm;
  kernelVersion =
    if p.reboot_needed then "6.12.2"
    else if isVm && p.kernel == known.kernel then self.vm
    else p.kernel;
  loaderKind = if p.loader_kind == null then self.loader else p.loader_kind;
  # A container: no kernel, no boot loader, and something that starts /sbin/init.
  isContainer = loaderKind == "init" || loaderKind == "init-script";
  fault = value: name: builtins.substring 0 (builtins.stringLength name) value == name;
  seconds = value: builtins.elemAt (builtins.match "[a-z]+:([0-9.]+)" value) 0;

  # --- what all hosts share ---
  sw = tree "system-path" (builtins.listToAttrs (map
    (word:
      let halves = builtins.match "([^=]+)=(.+)" word;
      in {
        name = "bin/${if halves == null then word else builtins.elemAt halves 0}";
        value = program (if halves == null then word else builtins.elemAt halves 1);
      })
    (words (builtins.readFile ./programs)))) { };
  systemd = tree "systemd-257" (builtins.listToAttrs (map
    (word: { name = "bin/${word}"; value = program word; })
    (words ''
      systemctl journalctl loginctl busctl halt poweroff
      reboot shutdown systemd-analyze systemd-cat systemd-cgls systemd-cgtop
      systemd-creds systemd-escape systemd-inhibit systemd-notify systemd-path systemd-run systemd-tmpfiles bootctl
    ''))
  // { "lib/systemd/systemd" = link "/usr/lib/systemd/systemd"; }) { };
  kernel = tree "linux-${kernelVersion}" {
    "bzImage" =
      if isVm then copy "/usr/lib/lab/vm/kernel"
      else text "the kernel ${kernelVersion}\nthe end of the kernel\n";
    "lib/modules/${kernelVersion}/modules.order" = text "";
  } { };
  initrd = tree "initrd-linux-${kernelVersion}" ({
    "initrd" =
      if isVm then copy "/usr/lib/lab/vm/initrd"
      else text "the initrd of ${kernelVersion}\n";
  } // (if p.loader == "full" then { "initrd" = { kind = "zeros"; value = "64"; }; } else { })) { };
  padding = tree "padding-${p.version}" { "padding" = { kind = "noise"; value = toString p.size; }; } { };

  # --- WireGuard ---
  peers = builtins.filter
    (other: other != name && (isHub || other == hub)
      && !(if builtins.isList p.wg_no_peer then builtins.elem other p.wg_no_peer else p.wg_no_peer))
    (builtins.attrNames hosts);
  presharedKey = other:
    let n = if builtins.isAttrs p.psk then p.psk.${other} or 0 else p.psk;
    in when (n != 0) "PresharedKey = ${keys.psk.${toString n}}\n";
  peer = other: ''

    [Peer]
    # ${other}
    PublicKey = ${keys.hosts.${other}.${toString (p.wg_peer_keys.${other} or 1)}.public}
    ${presharedKey other}AllowedIPs = ${if isHub then "${hosts.${other}.vpn}/32" else "10.100.0.0/24"}
    ${when (!isHub) ("Endpoint = ${hosts.${other}.address}:${toString p.wg_endpoint_port}\n"
      + "PersistentKeepalive = ${toString p.wg_keepalive}\n")}'';
  wireguardConf = builtins.toFile "wg0.conf" ''
    [Interface]
    PrivateKey = ${keys.hosts.${name}.${toString p.wg_key}.private}
    ListenPort = ${toString p.wg_port}
    ${builtins.concatStringsSep "" (map peer peers)}'';

  # --- the firewall ---
  ruleset = builtins.toFile "nftables.conf" ''
    table inet nixos-fw
    delete table inet nixos-fw
    table inet nixos-fw {
      chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ${when (p.fw == "drop-handshake")
          "udp length { 100, 156 } drop comment \"WireGuard's handshakes; its data goes through\""}
        ct state established,related accept
        ${when (p.fw == "drop-all-new") "drop"}
        ${when (p.fw == "drop-new-vpn") "iifname \"wg0\" drop"}
        ${when (p.fw == "drop-new-ssh") "tcp dport ${toString p.ssh_port} drop"}
        meta l4proto { 1, 58 } accept
        tcp dport { ${toString p.ssh_port}, 8080 } accept
        udp dport ${toString p.wg_port} accept
      }
      chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        ${when (p.fw == "drop-new-vpn" || p.fw == "drop-all-new") "iifname \"wg0\" drop"}
      }
      chain output {
        type filter hook output priority filter; policy accept;
        ${when (p.fw == "drop-handshake") "udp length { 100, 156 } drop"}
      }
    }
  '';
  fwKnown = builtins.elem p.fw [ "ok" "drop-new-ssh" "drop-new-vpn" "drop-handshake" "drop-all-new" ];

  # --- units ---
  path = "Environment=\"PATH=${sw}/bin:${systemd}/bin\"";
  wanted = "multi-user.target";
  oneshot = description: { start, stop, reload ? null, unit ? "", service ? "", restartTrigger ? "" }: ''
    [Unit]
    Description=${description}
    ${unit}${when (restartTrigger != "") "X-Restart-Triggers=${restartTrigger}\n"}
    [Service]
    ${path}
    ${service}Type=oneshot
    RemainAfterExit=true
    ExecStart=/bin/sh ${start}
    ${when (reload != null) "ExecReload=/bin/sh ${reload}\n"}ExecStop=/bin/sh ${stop}
  '';
  daemon = description: start: more: ''
    [Unit]
    Description=${description}

    [Service]
    ${path}
    ExecStart=${start}
    ${more}'';
  nothing = "/bin/sh ${script "nothing" "exec sleep infinity"}";

  units = {
    "network-addresses-eth0.service" = oneshot "Address configuration of eth0" {
      unit = "Before=network.target\nWants=network.target\n";
      start = script "network-addresses-eth0-start" ''
        ip link set lo up
        ${if p.boot == "no-network" then "exit 0" else ""}
        ip address replace ${address}/32 dev eth0
        ip link set eth0 up
        ip route replace default via ${self.gateway} dev eth0 onlink
        sysctl -q net.ipv4.ip_forward=${if isHub then "1" else "0"}'';
      stop = script "network-addresses-eth0-stop" "ip address flush dev eth0";
    };
    "firewall.service" = oneshot "Firewall" rec {
      unit = "Before=network.target network-addresses-eth0.service\nWants=network.target\n";
      service = "X-ReloadIfChanged=true\n";
      start = script "firewall-start" "nft -f ${ruleset}";
      reload = start;
      stop = script "firewall-stop" "nft delete table inet nixos-fw";
    };
    "wireguard-wg0.service" = oneshot "WireGuard Tunnel - wg0" {
      unit = "After=network.target\nWants=network.target\n";
      service = when (p.wg_apply == "in-place") "X-ReloadIfChanged=true\n";
      restartTrigger = wireguardConf;
      start = script "wireguard-wg0-start" ''
        ${if isVm then "ip link add wg0 type wireguard" else ''
          export WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1
          /usr/bin/wireguard-go wg0 >/dev/null 2>&1''}
        ip address add ${vpnAddress}/24 dev wg0
        wg setconf wg0 ${wireguardConf}
        ip link set wg0 mtu 1420 up'';
      reload = script "wireguard-wg0-reload" "wg syncconf wg0 ${wireguardConf}";
      stop = script "wireguard-wg0-stop" "ip link del dev wg0";
    };
    "sshd.service" = ''
      [Unit]
      Description=SSH Daemon
      After=network.target
      X-Restart-Triggers=${sshdConfig}

      [Service]
      X-StopIfChanged=false
      ${path}
      Type=notify
      ExecStartPre=/bin/sh -c 'mkdir -p -m 0755 /run/sshd'
      ExecStart=${
        if p.sshd == "down" then "/bin/sh -c 'echo sshd: no hostkeys available >&2; exit 1'"
        else "/usr/sbin/sshd -D -f /etc/ssh/sshd_config"}
      ${when (p.sshd == "hangs") "ExecStartPost=/bin/sh -c 'kill -STOP $MAINPID'\n"}ExecReload=/bin/kill -HUP $MAINPID
      KillMode=process
      Restart=${if p.sshd == "down" then "no" else "always"}
    '';
    "nix-daemon.socket" = ''
      [Unit]
      Description=Nix Daemon Socket
      Before=multi-user.target

      [Socket]
      ListenStream=/nix/var/nix/daemon-socket/socket
    '';
    "nix-daemon.service" = daemon "Nix Daemon" "/usr/bin/nix-daemon --daemon" "KillMode=process\n";
    "sysinit-reactivation.target" = "[Unit]\nDescription=Reactivate sysinit units\n";
    # The system's own, as on NixOS: a switch starts the active targets that lie in /etc/systemd/system, and only those.
    "multi-user.target" = ''
      [Unit]
      Description=Multi-User System
      Requires=basic.target
      Conflicts=rescue.service rescue.target
      After=basic.target rescue.service rescue.target
      AllowIsolate=yes
    '';
    "local-fs.target" = ''
      [Unit]
      Description=Local File Systems
      After=local-fs-pre.target
      DefaultDependencies=no
      Conflicts=shutdown.target
      OnFailure=emergency.target
      OnFailureJobMode=replace-irreversibly
    '';
    "sockets.target" = "[Unit]\nDescription=Socket Units\n";
    "network.target" = "[Unit]\nDescription=Network\nAfter=network-pre.target\nRefuseManualStart=yes\n";
  }
  // (if app then {
    "app.service" = daemon "The application" "/usr/bin/busybox httpd -f -p 8080 -h ${site}" "Restart=on-failure\n";
  } else { })
  // (if !isHub && !isNumbered && p.wg_ping && hosts ? ${hub} then {
    "monitoring.service" = daemon "Monitoring of the VPN" "/bin/sh ${script "monitoring"
      "while :; do ping -q -c 1 -W 1 ${hosts.${hub}.vpn} >/dev/null || true; sleep 5; done"}" "";
  } else { })
  // (if p.unit_fails then {
    "fails.service" = daemon "A unit that fails" "/bin/sh -c 'echo cannot work; exit 1'" "Type=oneshot\n";
  } else { })
  // (if p.unit_never_stops then {
    "stubborn.service" = daemon "A unit that never stops"
      "/bin/sh ${script "stubborn" "trap '' TERM INT HUP\nwhile :; do sleep 1 || true; done"}"
      "TimeoutStopSec=infinity\n# ${p.version}\n";
  } else { })
  // (if p.unit_crash_loops then {
    "crashloop.service" = ''
      [Unit]
      Description=A unit that crashes again and again
      StartLimitIntervalSec=0

      [Service]
      ExecStart=/bin/sh -c 'exec /bin/false'
      Restart=always
      RestartSec=300ms
    '';
  } else { })
  // (if p.unit_slow_start != 0 then {
    "slow.service" = oneshot "A unit that starts slowly" {
      start = script "slow-start" "sleep ${toString p.unit_slow_start}";
      stop = script "slow-stop" "true";
    };
  } else { })
  // (if p.reload_loop then {
    "reload-loop.service" = daemon "Reloads systemd again and again"
      "/bin/sh ${script "reload-loop" "while :; do systemctl daemon-reload || true; sleep 0.25; done"}" "";
  } else { })
  // builtins.listToAttrs (map
    (unit: { name = "${unit}.service"; value = daemon "The service ${unit}" nothing ""; })
    p.extra_units)
  // p.raw_units;

  # Of Debian's units the ones that a NixOS would not have, or that only cost time.
  masked = [
    "getty.target" "ssh.service" "ldconfig.service" "systemd-tmpfiles-clean.timer"
    "dev-hugepages.mount" "sys-fs-fuse-connections.mount"
    "run-lock.mount" "systemd-remount-fs.service" "systemd-ask-password-wall.path" "systemd-ask-password-console.path"
    "systemd-sysctl.service" "systemd-tmpfiles-setup-dev-early.service" "systemd-tmpfiles-setup-dev.service"
  ] ++ (if isVm then [
    # A container has no such thing, and each is half a second of an emulated processor.
    "dev-mqueue.mount" "sys-kernel-config.mount" "sys-kernel-debug.mount" "sys-kernel-tracing.mount"
    "proc-sys-fs-binfmt_misc.automount" "systemd-binfmt.service" "kmod-static-nodes.service" "modprobe@.service"
    "systemd-modules-load.service" "systemd-random-seed.service" "tmp.mount"
  ] else [ ]);
  notWanted = [
    "nix-daemon.service" "nix-daemon.socket" "sysinit-reactivation.target" "multi-user.target" "local-fs.target"
    "sockets.target" "network.target"
  ] ++ p.raw_unwanted;
  # At every daemon-reload each is a process on every host, and none finds anything to do there. fstab's is one that
  # does; debug's makes a unit of what stands on the kernel's line.
  idleGenerators = [ "getty" "gpt-auto" "hibernate-resume" "rc-local" "run" "ssh" "system-update" "sysv" "tpm2" ];
  # The site's path has the version in it, and so has the unit: a new version restarts the application.
  site = tree "app-${p.version}" { "health" = text "ok ${p.version}\n"; } { };

  # --- /etc ---
  # Who logs in, and what that login may do.
  login = if p.login != null then p.login else {
    sshd = ''
      UsePAM yes
      PermitRootLogin prohibit-password
      AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
    '';
    sudoers = ''
      root ALL=(ALL:ALL) SETENV: ALL
      admin ALL=(ALL:ALL) SETENV: ALL
      ${when p.sudo "deploy ALL=(ALL:ALL) NOPASSWD: SETENV: ALL"}
    '';
    nix = "trusted-users = root deploy admin\n";
    keys = { root = keys.workstation; deploy = keys.workstation; admin = keys.workstation; };
  };
  sshdConfig = builtins.toFile "sshd_config" ''
    Port ${toString p.ssh_port}
    LogLevel VERBOSE
    PrintMotd no
    HostKey /etc/ssh/ssh_host_ed25519_key
    ${login.sshd}
    ${when (p.sshd == "no-user") "AllowUsers nobody"}
    ${when (p.sshd == "one-session") "MaxSessions 1"}
    ${when (p.sshd == "no-forwarding") "DisableForwarding yes"}
  '';
  # A file of its own: a switch re-executes systemd where the link leads to another one, whatever is in it.
  # What a NixOS systemd gives a unit that says nothing of PATH (and so to systemd-run): its own programs only.
  systemConf = tree "unit-system.conf" { "system.conf" = text ''
    [Manager]
    DefaultEnvironment=PATH=${systemd}/bin/
    DefaultTimeoutStopSec=10s
  ''; } { };
  etc = tree "etc-${hostName}" ({
    "etc/NIXOS" = text "";
    "etc/hostname" = text "${hostName}\n";
    "etc/hosts" = text ("127.0.0.1 localhost\n::1 localhost\n127.0.0.2 ${hostName}\n"
      + builtins.concatStringsSep "" (map (other: when (other != name) "${hosts.${other}.vpn} ${other}\n")
          (builtins.attrNames hosts)));
    "etc/os-release" = text ''
      ID=nixos
      NAME=NixOS
      PRETTY_NAME="NixOS 25.11 (the lab's)"
      VERSION_ID="25.11"
      BUILD_ID="${version}"
    '';
    "etc/fstab" = text ((if isContainer then "# nothing\n" else "tmpfs /boot auto defaults,nofail 0 2\n") + p.fstab);
    "etc/environment" = text "PATH=/run/wrappers/bin:/nix/var/nix/profiles/default/bin:/run/current-system/sw/bin\n";
    "etc/nix/nix.conf" = text ''
      experimental-features = nix-command flakes
      sandbox = false
      build-users-group =
      substituters =
      ${login.nix}
    '';
    "etc/ssh/sshd_config" = link sshdConfig;
    "etc/sudoers" = text ''
      Defaults env_keep+=NIXOS_NO_CHECK
      Defaults !fqdn
      ${login.sudoers}
    '';
    "etc/systemd/system.conf" = link "${systemConf}/system.conf";
    "etc/systemd/journald.conf" = text "[Journal]\nSystemMaxUse=32M\nRateLimitBurst=0\n";
    # At every login that is the first one: user@.service starts with it.
    "etc/systemd/user-generators/systemd-xdg-autostart-generator" = link "/dev/null";
    "etc/systemd/user-environment-generators/30-systemd-environment-d-generator" = link "/dev/null";
    "etc/systemd/user/ssh-agent.socket" = link "/dev/null";
    # A mount namespace, and filters of system calls, at every boot: what it does is the same without.
    "etc/systemd/system/systemd-logind.service.d/bare.conf" = text (lines ([ "[Service]" ]
      ++ map (key: "${key}=no") (words ''
        LockPersonality MemoryDenyWriteExecute PrivateTmp ProtectClock ProtectControlGroups ProtectHome ProtectHostname
        ProtectKernelLogs ProtectKernelModules ProtectSystem RestrictNamespaces RestrictRealtime RestrictSUIDSGID
      '')
      ++ [ "RestrictAddressFamilies=" "SystemCallArchitectures=" "SystemCallFilter=" "" ]));
    "etc/systemd/system/default.target" = link "multi-user.target";
    "etc/systemd/system/sockets.target.wants/nix-daemon.socket" = link "../nix-daemon.socket";
  }
  // builtins.listToAttrs (map
    (user: { name = "etc/ssh/authorized_keys.d/${user}"; value = text login.keys.${user}; })
    (builtins.attrNames login.keys))
  // builtins.listToAttrs (map
    (name: { name = "etc/systemd/system-generators/systemd-${name}-generator"; value = link "/dev/null"; })
    idleGenerators)
  // builtins.listToAttrs (map (unit: { name = "etc/systemd/system/${unit}"; value = link "/dev/null"; }) masked)
  // builtins.listToAttrs (map
    (unit: { name = "etc/systemd/system/${unit}"; value = text units.${unit}; })
    (builtins.attrNames units))
  // builtins.listToAttrs (map
    (unit: { name = "etc/systemd/system/${wanted}.wants/${unit}"; value = link "../${unit}"; })
    (builtins.filter (unit: !(builtins.elem unit notWanted)) (builtins.attrNames units)))) { };

  # --- the system itself ---
  out = builtins.placeholder "out";
  # An emulated processor's counter is measured wrongly where the machine is busy, and then the clock runs away.
  kernelParams = "loglevel=4" + when isVm (" console=ttyS0 mitigations=off audit=0 cryptomgr.notests"
    + " tsc=unstable no_timer_check systemd.show_status=0"
    + when (fault p.boot "initrd-") " lab.initrd=${builtins.substring 7 (-1) p.boot}");
  # As NixOS calls them; the kind of loader is told by it.
  installers = {
    systemd-boot = { name = "install-systemd-boot.sh"; program = ./install-systemd-boot; };
    grub = { name = "install-grub.sh"; program = ./install-grub; };
    init = { name = "install-lxc-sbin-init.sh"; program = ./install-init; };
    init-script = { name = "init-script-builder.sh"; program = ./install-init-script; };
  };
  installer = installers.${loaderKind}.program;
  extraEntries = when p.grub_reads_ours
    "if [ -s $prefix/fleetdeploy.cfg ]; then source $prefix/fleetdeploy.cfg; fi";
  # What install-grub.pl is told, as far as it says whether GRUB itself is installed again.
  grubConfig = builtins.toFile "grub-config.xml" (builtins.toXML {
    inherit extraEntries;
    fullName = "grub";
    fullVersion = p.grub_version;
    grub = "";
    grubEfi = "/usr/lib/grub";
    grubTarget = "";
    grubTargetEfi = "x86_64-efi";
    devices = [ "nodev" ];
    efiSysMountPoint = "/boot/efi";
    extraGrubInstallArgs = [ ];
  });
  installerName = if p.loader == "none" then "no-bootloader" else installers.${loaderKind}.name;
  activationFault =
    if p.activate == "ok" then ""
    else if p.activate == "fails" then "echo 'Activation script snippet '\\''lab'\\'' failed (1)' >&2; status=1"
    else if p.activate == "kills-ssh" then ''
      systemctl restart network-addresses-eth0.service
      pkill -KILL -f '^sshd(-session)?: ' || true''
    else if p.activate == "crash" then "systemctl reboot --force --force # in a container this is death at once"
    else if fault p.activate "slow:" then "sleep ${seconds p.activate}"
    else if fault p.activate "talks:" then ''
      line=0
      while [ "$line" -lt ${seconds p.activate} ]; do line=$((line + 1)); echo "talk $line" >&2; sleep 0.05; done''
    else throw "activate: ${p.activate}?";
  loaderFault =
    if p.loader == "ok" || p.loader == "full" || p.loader == "truncates" then ""
    else if p.loader == "none" then "echo 'do not know how to make this configuration bootable' >&2; exit 0"
    else if p.loader == "fails" then "echo 'the boot loader cannot be installed' >&2; exit 1"
    else if fault p.loader "slow:" then "sleep ${seconds p.loader}"
    else throw "loader: ${p.loader}?";
  # As on a boot partition that was full and said nothing: the kernel of this system is cut short.
  loaderFaultAfter = when (p.loader == "truncates") ''
    kernel=$(readlink -f ${kernel}/bzImage) && kernel=''${kernel#/nix/store/}
    truncate -c -s 20 /boot/*/nixos/''${kernel%%/*}-* /boot/kernels/''${kernel%%/*}-* 2>/dev/null || true'';
  bootFault =
    if p.boot == "ok" || p.boot == "no-network" || isVm && fault p.boot "initrd-" then ""
    else if p.boot == "dark" then "echo 'Kernel panic - not syncing'; exec sleep infinity"
    # What the kernel does after that is one of its parameters.
    else if p.boot == "panics" then ''
      echo 'Kernel panic - not syncing'
      ${if isVm then "exit 1" else "case \" $* \" in *\" panic=\"[1-9]*) exit 1 ;; esac"}
      exec sleep infinity''
    else if fault p.boot "slow:" then "sleep ${seconds p.boot}"
    else throw "boot: ${p.boot}?";
  toplevel = tree "nixos-system-${hostName}-${version}" ({
    "activate" = exec ''
      #!/bin/sh
      system=${out} status=0
      export PATH=${sw}/bin:${systemd}/bin
      # What lxc-container.nix does, and not at the end: a snippet among others.
      ${when (loaderKind == "init") "ln -fs ${out}/init /sbin/init"}
      # Only a switch goes wrong; the same system boots well.
      if [ -n "''${NIXOS_ACTION:-}" ]; then
        :
        ${activationFault}
      fi
      . ${./activate}
      exit "$status"
    '';
    "dry-activate" = exec "#!/bin/sh\necho 'would activate nothing that is worth telling' >&2\n";
    "init" = exec ''
      #!/bin/sh
      export PATH=${sw}/bin:${systemd}/bin
      echo '<<< NixOS Stage 2 >>>'
      ${bootFault}
      ln -sfn ${out} /run/booted-system
      ${out}/activate
      ${when isContainer "nix-env -p /nix/var/nix/profiles/system --set /run/current-system # its postBootCommands"}
      unset PATH
      exec ${out}/systemd/lib/systemd/systemd "$@"
    '';
    "init-interface-version" = text "systemd ${toString p.init_interface}";
    "nixos-version" = text version;
    "system" = text (if p.arch == null then platform else p.arch);
    "extra-dependencies" = text (when (p.size != 0) "${padding}");
    "sw" = link "${sw}";
    "systemd" = link "${systemd}";
    "etc" = link "${etc}/etc";
    "specialisation" = { kind = "dir"; value = ""; };
    "switch-inhibitors" = text "{}";
    "boot.json" = text (builtins.toJSON {
      "org.nixos.bootspec.v1" = {
        system = if p.arch == null then platform else p.arch;
        init = "${out}/init";
        initrd = "${initrd}/initrd";
        kernel = "${kernel}/bzImage";
        kernelParams = [ kernelParams ];
        label = "NixOS ${version} (Linux ${kernelVersion})";
        toplevel = out;
      };
      "org.nixos.specialisation.v1" = { };
      "org.nixos.systemd-boot" = { sortKey = "nixos"; };
    });
    "bin/pre-switch-check" = exec (''
      #!/bin/sh
    '' + (if p.pre_switch == "ok" then "exit 0\n" else ''
      echo "the lab's check: this system must not be switched to" >&2
      echo "Pre-switch check 'lab' failed" >&2
      exit 1
    ''));
    "bin/${installerName}" = exec ''
      #!/bin/sh
      export PATH=${sw}/bin:${systemd}/bin
      export boot_timeout=${if isVm then "0" else "5"} menu_limit=${toString p.menu_limit}
      ${loaderFault}
      ${when (loaderKind == "grub") "export extra_entries='${extraEntries}' grub_config=${grubConfig}"}
      bash ${installer} "$@" || exit
      ${loaderFaultAfter}
    '';
    "bin/switch-to-configuration" = exec ''
      #!/bin/sh
      export OUT=${out} TOPLEVEL=${out} DISTRO_ID=nixos SYSTEMD=${systemd}
      export INSTALL_BOOTLOADER=${out}/bin/${installerName} PRE_SWITCH_CHECK=${out}/bin/pre-switch-check
      export PATH=${sw}/bin:${systemd}/bin
      exec ${sw}/bin/bash ${./switch-to-configuration} "$@"
    '';
  } // (if isContainer then { } else {
    "kernel" = link "${kernel}/bzImage";
    "kernel-modules" = link "${kernel}";
    "kernel-params" = text kernelParams;
    "initrd" = link "${initrd}/initrd";
  }))
    (if p.build == "ok" then { }
    else if p.build == "fails" then { broken = "1"; }
    else if fault p.build "slow:" then { delay = seconds p.build; }
    else throw "build: ${p.build}?");
in
assert fwKnown || throw "fw: ${p.fw}?";
if p.eval == "throws" then throw "the lab: ${name} does not evaluate"
else if p.eval == "aborts" then 1 + "a type error"
else toplevel
