# Every parameter of a host and its default. A key that is not here is an error, so that a test cannot mistype a fault.
{
  # What is healthy
  version = "1"; # part of the system's name, of `nixos-version` and of the application's answer
  kernel = "6.12.1"; # another one needs a reboot (autoUpgrade's test)
  reboot_needed = false; # the same, as a switch: kernel 6.12.2
  size = 0; # MB of padding in the closure, new ones for each version
  app = null; # the http server on port 8080; null: on the vps only
  extra_units = [ ]; # names of harmless services more

  # Network
  address = null; # the outer address; null: the host's own
  vpn_address = null;
  ssh_port = 22;
  fw = "ok"; # drop-new-ssh | drop-new-vpn | drop-handshake | drop-all-new; established connections stay

  # What a NixOS module has set, in place of the lab's own logins: { sshd, sudoers, nix: lines of these files; keys: the
  # authorized keys, by user }. The accounts are the base's all the same.
  login = null;

  # WireGuard
  wg_key = 1; # own key: 1 | 2 | "wrong"
  wg_peer_keys = { }; # other host -> which key of it is expected here (default 1)
  psk = 0; # preshared key with every peer: 0 none | 1 | 2; or { other host -> n }
  wg_apply = "anew"; # anew: the interface is deleted and made again | in-place: `wg syncconf`
  wg_port = 51820; # own UDP port
  wg_endpoint_port = 51820; # the hub's port as a spoke believes it
  wg_no_peer = false; # no peer at all, or a list of the ones left out
  wg_keepalive = 5; # seconds; 0: none
  wg_ping = true; # spokes ping the hub every 5 s, as monitoring does; without it a tunnel may sleep for two minutes

  # Faults
  eval = "ok"; # throws | aborts
  build = "ok"; # fails | slow:SECONDS
  host_name = null; # the system of another host
  arch = null; # e.g. aarch64-linux
  pre_switch = "ok"; # fails
  init_interface = 2; # another one: exit 100
  activate = "ok"; # fails | slow:SECONDS | talks:LINES (20 a second) | kills-ssh | crash
  # fails | full | slow:SECONDS | truncates (the kernel that it has copied) | none (an installer that does nothing)
  loader = "ok";
  # systemd-boot | grub | init | init-script (as `init`, but its installer writes a script); null: the host's own
  loader_kind = null;
  menu_limit = 20; # how many generations systemd-boot's installer leaves on the menu (configurationLimit)
  grub_reads_ours = false; # GRUB's menu reads fleetdeploy.cfg, as its extraEntries may say
  grub_version = "2.12";
  # dark: never comes up | panics (the same, without `panic=` on the kernel's line) | no-network | slow:SECONDS; of a vm
  # also initrd-panics | initrd-hangs
  boot = "ok";
  sshd = "ok"; # down | no-user | hangs (accepts, never answers) | one-session | no-forwarding
  sudo = true; # false: `deploy` may no longer use sudo
  unit_fails = false;
  unit_never_stops = false; # on stop it ignores SIGTERM, for ever
  unit_crash_loops = false;
  unit_slow_start = 0; # seconds
  raw_units = { }; # name -> the text of a unit file
  raw_unwanted = [ ]; # those of them that no target wants
  fstab = ""; # lines more of /etc/fstab
  reload_loop = false; # a service that does daemon-reload four times a second
}
