# Put in its place what `nixos-generate-config --show-hardware-config` prints on the host, and its boot loader;
# and bring its configuration.nix, too: what is not in this flake is gone from the host after a push.
{
  nixpkgs.hostPlatform = "x86_64-linux";

  boot.loader.systemd-boot.enable = true;

  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  fileSystems."/boot" = {
    device = "/dev/disk/by-label/boot";
    fsType = "vfat";
  };
}
