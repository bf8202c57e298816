{
  description = "Push NixOS systems to a fleet as one guarded transaction that cannot lock you out";

  # With Rust 1.88 or later: NixOS 25.11 has it, 25.05 has not.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      forEachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
      pkgsOf = system: nixpkgs.legacyPackages.${system};
    in
    {
      overlays.default = final: _: { fleetdeploy = final.callPackage ./package.nix { }; };

      nixosModules = {
        # A host that is pushed to.
        target = ./nix/target.nix;
        # A machine to push from.
        workstation = ./nix/workstation.nix;
      };
      homeModules.default = ./nix/home.nix;

      templates.default = {
        path = ./nix/template;
        description = "Two hosts that are pushed together by fleetdeploy";
        welcomeText = ''
          - `cp ~/.ssh/id_ed25519.pub deploy.pub`: the key that may log in; in a git repository, `git add` it.
          - The hosts' addresses go into inventory.yaml, and their hardware and configuration into hosts/.
          - Where your clone of fleetdeploy is goes into flake.nix.
          - `fleetdeploy inventory check`, `fleetdeploy doctor homelab`, `fleetdeploy plan homelab`
        '';
      };

      packages = forEachSystem (system: rec {
        default = fleetdeploy;
        fleetdeploy = (pkgsOf system).callPackage ./package.nix { };
      });

      apps = forEachSystem (system: {
        default = {
          type = "app";
          program = nixpkgs.lib.getExe self.packages.${system}.default;
          meta = { inherit (self.packages.${system}.default.meta) description; };
        };
      });

      # What scripts/test.sh asks for, but for the lab: that takes a Debian.
      devShells = forEachSystem (system: {
        default = (pkgsOf system).mkShell {
          inputsFrom = [ self.packages.${system}.default ];
          packages = with (pkgsOf system); [
            cargo-nextest
            clippy
            dash
            gawk
            mawk
            openssh
            rustfmt
            shellcheck
            util-linux
          ];
        };
      });

      checks = forEachSystem (system: {
        # Its tests run in its build.
        package = self.packages.${system}.default;
        installed =
          (pkgsOf system).runCommand "fleetdeploy-installed"
            { nativeBuildInputs = [ self.packages.${system}.default ]; }
            ''
              fleetdeploy --version
              cd ${self.packages.${system}.default}
              grep -q '/nix/store/[^:]*-openssh' bin/fleetdeploy
              cd share
              ls man/man1/fleetdeploy.1* man/man1/fleetdeploy-push.1*
              grep -q fleetdeploy bash-completion/completions/fleetdeploy.bash
              grep -q fleetdeploy fish/vendor_completions.d/fleetdeploy.fish
              grep -q fleetdeploy zsh/site-functions/_fleetdeploy
              touch $out
            '';
      });

      formatter = forEachSystem (system: (pkgsOf system).nixfmt-tree);
    };
}
