# The stub of nixpkgs whose systems are hosts of the lab. Beside it lie copies of the stub (nixpkgs) and of what a
# workstation of the lab has (fleet).
{
  outputs = _:
    let
      stub = (import ./nixpkgs/flake.nix).outputs { };
      nixosSystem = { modules }: stub.lib.nixosSystem { modules = modules ++ [ ./host.nix ]; };
    in
    stub // { lib = stub.lib // { inherit nixosSystem; }; };
}
