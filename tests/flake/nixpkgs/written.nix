# What NixOS writes into /etc of these options, in its own words and order, as read in nixpkgs.
config:
let
  inherit (builtins) attrNames attrValues concatMap concatStringsSep filter isBool isList listToAttrs map;
  lines = texts: concatStringsSep "" (map (text: text + "\n") texts);
  there = set: filter (name: set.${name} != null) (attrNames set);

  sshd = config.services.openssh;
  ofSshd = value: if isBool value then (if value then "yes" else "no") else toString value;
  ofNix = value: if isBool value then (if value then "true" else "false") else toString value;

  command = one: "${concatStringsSep "" (map (word: word + ":") one.options)} ${one.command}";
  rule = one: map
    (who: "${who}\t${one.host}=(${one.runAs})\t${concatStringsSep ", " (map command one.commands)}")
    (one.users ++ map (group: "%${group}") one.groups);

  keysOf = user: user.openssh.authorizedKeys.keys;
in
{
  sshd = lines (
    map (name: "${name} ${ofSshd sshd.settings.${name}}") (there sshd.settings)
    ++ [ "AuthorizedKeysFile ${toString sshd.authorizedKeysFiles}" ]
  );
  sudoers = lines ([ "root ALL=(ALL:ALL) SETENV: ALL" ] ++ concatMap rule config.security.sudo.extraRules);
  nix = lines (map (name: "${name} = ${ofNix config.nix.settings.${name}}") (attrNames config.nix.settings));
  keys = listToAttrs (map
    (name: { inherit name; value = lines (keysOf config.users.users.${name}); })
    (filter (name: keysOf config.users.users.${name} != [ ]) (attrNames config.users.users)));
}
