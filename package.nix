{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  makeWrapper,
  versionCheckHook,
  nix,
  openssh,
}:

rustPlatform.buildRustPackage {
  pname = "fleetdeploy";
  inherit ((lib.importTOML ./Cargo.toml).package) version;

  # What the build and its tests read, and nothing that would only make them run again.
  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.lock
      ./Cargo.toml
      ./README.md
      ./docs
      ./events.schema.json
      ./examples
      ./inventory.example.yaml
      ./inventory.schema.json
      ./nix
      ./src
      ./tests
    ];
  };

  cargoLock.lockFile = ./Cargo.lock;

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];

  # As scripts/test.sh builds them.
  checkType = "debug";
  # The tests that need neither an sshd nor a host; scripts/test.sh runs the others, too.
  cargoTestFlags = [
    "--lib"
    "--test=display"
    "--test=events"
    "--test=forecast"
    "--test=inventory"
    "--test=live"
    "--test=old_runs"
    "--test=two_phase"
  ];

  postInstall =
    lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      $out/bin/fleetdeploy man --all man1
      installManPage man1/*
      installShellCompletion --cmd fleetdeploy \
        --bash <($out/bin/fleetdeploy completions bash) \
        --fish <($out/bin/fleetdeploy completions fish) \
        --zsh <($out/bin/fleetdeploy completions zsh)
    ''
    # Last, so that the ones that the workstation has itself go before these.
    + ''
      wrapProgram $out/bin/fleetdeploy --suffix PATH : ${
        lib.makeBinPath [
          nix
          openssh
        ]
      }
    '';

  nativeInstallCheckInputs = [ versionCheckHook ];
  doInstallCheck = true;

  meta = {
    description = "Push NixOS systems to a fleet as one guarded transaction that cannot lock you out";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "fleetdeploy";
    platforms = lib.platforms.linux;
  };
}
