# As much of the module system as modules of ours use: typed options with defaults, `imports`, conditions, priorities
# and order. A name that is not here is an error, as in the rest of this stub.
let
  inherit (builtins)
    all any attrNames catAttrs concatLists concatMap elem filter foldl' head isAttrs isBool isFunction isInt isList
    isString listToAttrs mapAttrs match replaceStrings sort tail;

  property = _type: more: { inherit _type; } // more;
  is = kind: value: isAttrs value && value._type or "" == kind;
  unique = names: attrNames (listToAttrs (map (name: { inherit name; value = null; }) names));

  # The plain sets in a definition. A condition goes down with each attribute: which ones there are must be known
  # without it, for it may ask for the value of another one.
  sets = value:
    if is "merge" value then concatMap sets value.contents
    else if is "if" value then map (mapAttrs (_: lib.mkIf value.condition)) (sets value.content)
    else [ value ];

  # The values in a definition, with how strong they are and where they belong.
  values = value:
    if is "merge" value then concatMap values value.contents
    else if is "if" value then (if value.condition then values value.content else [ ])
    else if is "override" value then map (one: one // { inherit (value) priority; }) (values value.content)
    else if is "order" value then map (one: one // { inherit (value) order; }) (values value.content)
    else [ { inherit value; priority = 100; order = 1000; } ];

  strongest = all: let
    priority = foldl' (least: one: if one.priority < least then one.priority else least) 9999 all;
  in sort (a: b: a.order < b.order) (filter (one: one.priority == priority) all);

  # What an option is, by all its definitions.
  valueOf = path: option: definitions: let
    default = if option ? default then [ { value = option.default; priority = 1500; order = 1000; } ] else [ ];
    kept = strongest (concatMap values definitions ++ default);
    merged = option.type.merge path (map (one: one.value) kept);
  in
    if kept == [ ] then throw "`${path}` is used, and has no value"
    else (option.apply or (value: value)) merged;

  below = path: name: if path == "" then name else "${path}.${name}";

  # The values of a tree of options. `freeform`: the type of what is no option.
  tree = freeform: path: options: definitions: let
    given = concatMap sets definitions;
    others = filter (name: !(options ? ${name})) (unique (concatMap attrNames given));
    of = name: option: (if is "option" option then valueOf else tree null) (below path name) option
      (catAttrs name given);
  in
    if others != [ ] && freeform == null then throw "there is no option `${below path (head others)}`"
    else mapAttrs of options
      // (types.attrsOf freeform).merge path (map (set: removeAttrs set (attrNames options)) given);

  mergeOptions = path: a: b: a // mapAttrs (name: option:
    if !(a ? ${name}) then option
    else if is "option" option || is "option" a.${name} then throw "`${below path name}` is an option twice"
    else mergeOptions (below path name) a.${name} option) b;

  # `arguments`: what a module may ask for, beside `config` and `options`.
  evaluate = { modules, arguments ? { }, path ? "" }: let
    load = module: let
      made = if isFunction module || isAttrs module then module else import module;
      called = if isFunction made then made ({ inherit lib config options; } // arguments) else made;
      whole = called ? options || called ? config;
      strange = filter (name: !(elem name [ "config" "freeformType" "imports" "options" ])) (attrNames called);
      plain =
        if !whole then { config = removeAttrs called [ "imports" ]; }
        else if strange != [ ] then throw "a module with options has a strange `${head strange}`"
        else called;
    in concatMap load (called.imports or [ ]) ++ [ ({ options = { }; config = { }; } // plain) ];
    loaded = concatMap load modules;
    freeform = concatMap (module: if module ? freeformType then [ module.freeformType ] else [ ]) loaded;
    options = foldl' (mergeOptions path) { } (catAttrs "options" loaded);
    config = tree (if freeform == [ ] then null else head freeform) path options (catAttrs "config" loaded);
  in { inherit config options; };

  # A type: how the values of its definitions become one.
  one = name: is: {
    merge = path: given:
      if !(all is given) then throw "`${path}` is not ${name}"
      else if any (value: value != head given) (tail given) then throw "`${path}` has two values"
      else head given;
  };
  isText = value: isString value && match "[^\n]*\n?" value != null;
  trimmed = text: head (match "([^\n]*)\n?" text);
  attrs = there: type: {
    merge = path: given: let
      of = name: catAttrs name given;
      isThere = name: there (of name) != [ ];
      value = name: valueOf (below path name) { inherit type; } (of name);
    in listToAttrs (map (name: { inherit name; value = value name; })
      (filter isThere (unique (concatMap attrNames given))));
  };
  types = {
    bool = one "true or false" isBool;
    int = one "a number" isInt;
    str = one "a text" isString;
    raw = one "anything" (_: true);
    # A derivation.
    package = one "a package" (value: value ? outPath);
    singleLineStr = { merge = path: given: trimmed ((one "a text of one line" isText).merge path given); };
    strMatching = pattern: one "a text like ${pattern}" (value: isString value && match pattern value != null);
    enum = words: one "one of its words" (value: elem value words);
    nullOr = type: {
      merge = path: given: if all (value: value == null) given then null else type.merge path given;
    };
    listOf = type: {
      merge = path: given:
        if !(all isList given) then throw "`${path}` is not a list"
        else map (value: type.merge path [ value ]) (concatLists given);
    };
    # A name whose conditions are all false is not there.
    attrsOf = attrs (concatMap values);
    # It is there, and has no value: which names there are is known without the conditions.
    lazyAttrsOf = attrs (definitions: definitions);
    submodule = module: {
      merge = path: given: let
        found = match "(.*[.])?([^.]+)" path;
        arguments = { name = builtins.elemAt found 1; };
      in (evaluate { inherit path arguments; modules = [ module ] ++ map (config: { inherit config; }) given; }).config;
    };
  };

  lib = {
    inherit all any elem filter types;
    mkOption = property "option";
    mkEnableOption = what: lib.mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
    mkIf = condition: content: property "if" { inherit condition content; };
    mkMerge = contents: property "merge" { inherit contents; };
    mkOverride = priority: content: property "override" { inherit priority content; };
    mkDefault = lib.mkOverride 1000;
    mkForce = lib.mkOverride 50;
    mkOrder = order: content: property "order" { inherit order content; };
    mkAfter = lib.mkOrder 1500;
    literalExpression = text: { inherit text; };
    inherit (builtins) concatStringsSep;
    toLower = let letters = text: filter isString (concatLists (filter isList (builtins.split "(.)" text))); in
      replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");
    inherit (builtins) attrNames;
    filterAttrs = wanted: set: removeAttrs set (filter (name: !(wanted name set.${name})) (attrNames set));
    escapeRegex = let special = [ "\\" "[" "{" "(" ")" "^" "$" "?" "*" "+" "|" "." ]; in
      replaceStrings special (map (letter: "\\${letter}") special);
    hasInfix = part: text: replaceStrings [ part ] [ "" ] text != text;
    splitString = separator: text: filter isString (builtins.split (replaceStrings [ "." ] [ "[.]" ] separator) text);
  };
in
lib // { inherit evaluate; }
