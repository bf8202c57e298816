# All that this host is, beside its login.
{
  imports = [ ./hardware.nix ];

  # The version that it was installed with; it stays.
  system.stateVersion = "25.11";
}
