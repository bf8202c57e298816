# What flake.nix, package.nix and nix/ name of nixpkgs, and no more: where an attribute is missing here, it is mistyped
# there, or was looked up in the real nixpkgs and is to be added. A package of it is the program that the workstation of
# the lab has.
{
  outputs =
    _:
    let
      attrs = make: names: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
      bins = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
      systems = [ "aarch64-linux" "x86_64-linux" ];
      lib = import ./modules.nix // {
        fileset.toSource = { root, fileset }: assert builtins.all builtins.pathExists fileset; root;
        fileset.unions = files: files;
        genAttrs = names: make: attrs make names;
        getExe = package: "${package}/bin/${package.meta.mainProgram}";
        importTOML = file: fromTOML (builtins.readFile file);
        licenses = attrs (name: name) [ "asl20" "mit" ];
        makeBinPath = bins;
        optionalString = wanted: text: if wanted then text else "";
        # Without `...`: its other arguments are of no use to us.
        nixosSystem = { modules }: lib.evaluate {
          modules = [ ./nixos.nix ] ++ modules;
          arguments = { inherit lib; pkgs = pkgsOf "x86_64-linux"; };
        };
        platforms.linux = systems;
      };
      pkgsOf = system: let
        build = name: inputs: script: derivation {
          inherit name system;
          builder = "/bin/bash";
          # The shell itself ends the build: Nix kills a builder that has closed its output before it has ended, as
          # `touch` does.
          args = [ "-euo" "pipefail" "-c" "PATH=${bins inputs}:/usr/bin:/bin\n${script}\nexit 0" ];
        };
        leaf = name: build name [ ] "mkdir $out";
        pkgs = attrs leaf [
          "cargo-nextest" "clippy" "dash" "gawk" "installShellFiles" "makeWrapper" "mawk" "nix" "nixfmt-tree" "openssh"
          "rustfmt" "shellcheck" "util-linux" "versionCheckHook"
        ] // {
          inherit lib;
          # What an account has for a shell that is given none.
          shadow = leaf "shadow" // { shellPath = "/bin/nologin"; };
          callPackage = file: more:
            import file (builtins.intersectAttrs (builtins.functionArgs (import file)) pkgs // more);
          mkShell = { inputsFrom, packages }: build "shell" (inputsFrom ++ packages) "exit 1";
          runCommand = name: { nativeBuildInputs }: build name nativeBuildInputs;
          stdenv = { buildPlatform.canExecute = other: other == system; hostPlatform = system; };
          # Without `...`: it knows these arguments only.
          rustPlatform.buildRustPackage =
            { pname, version, src, cargoLock, nativeBuildInputs, checkType, cargoTestFlags, postInstall
            , nativeInstallCheckInputs, doInstallCheck, meta }:
            assert builtins.pathExists (src + "/Cargo.toml") && builtins.pathExists cargoLock.lockFile;
            assert doInstallCheck;
            build "${pname}-${version}" (nativeBuildInputs ++ nativeInstallCheckInputs) ''
              share=$out/share program=$out/bin/${pname}
              mkdir -p $out/bin && cp /usr/local/bin/${pname} $program
              installManPage() { mkdir -p $share/man/man1 && cp "$@" $share/man/man1; }
              installShellCompletion() {
                [ "$1 $3 $5 $7" = "--cmd --bash --fish --zsh" ]
                mkdir -p $share/bash-completion/completions $share/fish/vendor_completions.d $share/zsh/site-functions
                cat "$4" >$share/bash-completion/completions/$2.bash
                cat "$6" >$share/fish/vendor_completions.d/$2.fish
                cat "$8" >$share/zsh/site-functions/_$2
              }
              wrapProgram() {
                [ "$2 $3 $4" = "--suffix PATH :" ]
                mv $1 $1-unwrapped
                printf '#!/bin/bash\nPATH=$PATH:%s exec -a "$0" %s "$@"\n' "$5" $1-unwrapped >$1 && chmod +x $1
              }
              ${postInstall}
              env -i $program --version | grep -F " ${version}"
            '' // { inherit meta; };
        };
        in pkgs;
    in
    { inherit lib; legacyPackages = attrs pkgsOf systems; };
}
