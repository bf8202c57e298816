{
  description = "The lab's fleet: NixOS systems that build in milliseconds, without inputs and without the internet";
  outputs = _: import ./default.nix;
}
