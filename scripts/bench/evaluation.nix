# A fleet whose evaluation takes time and memory as that of a NixOS does, and that builds in a moment.
{
  outputs = { self }: let
    # A list of lists, as large as a configuration: all of it is alive until the end.
    numbers = seed: builtins.genList (n: { value = [ n seed ]; name = toString n; }) @NUMBERS@;
    # Time, with little memory.
    count = seed: builtins.foldl' (all: _:
      builtins.foldl' (sum: n: sum + n * seed) all (builtins.genList (n: n) 1000)) 0 (builtins.genList (n: n) @ROUNDS@);
    host = name: let
      seed = builtins.stringLength name;
      kept = numbers seed;
      sum = builtins.foldl' (sum: one: sum + builtins.elemAt one.value 1 + builtins.stringLength one.name) 0 kept;
    in {
      config.system.build.toplevel = derivation {
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-c" "echo ${toString sum} ${toString (count seed)} > $out" ];
      } // { inherit kept; };
    };
    pad = n: builtins.substring 0 (3 - builtins.stringLength (toString n)) "000" + toString n;
  in {
    nixosConfigurations = builtins.listToAttrs (builtins.genList
      (n: { name = "h${pad (n + 1)}"; value = host "h${pad (n + 1)}"; }) 999);
  };
}
