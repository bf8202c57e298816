//! Asks a flake or a file what another tool for NixOS fleets has written into it: data only, and nothing is built.
//!
//! Both expressions name what they look at one by one. A profile's `path`, and with it a whole system, is never among
//! them; of secrets only the names are. Names stand in lists, never as names of attributes: a node may be called
//! `outPath`, which means something to Nix.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::eval::{EvalError, ensure_flake_reference};
use super::invoke::{message_of, nix};
use super::plain::{cut, without_credentials};

/// Long enough to fetch the inputs of a flake.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Reads a value as data: a path would be copied into the store, a function or a set is no text. What throws is said
/// to.
const READ: &str = r#"
  plain = value: let kind = builtins.typeOf value; in
    if kind == "string" then builtins.unsafeDiscardStringContext value
    else if builtins.elem kind [ "bool" "int" "null" ] then value
    else if kind == "list" then map plain value
    else { unreadable = kind; };
  attempt = value: builtins.tryEval (builtins.deepSeq value value);
  read = value: let tried = attempt (plain value); in if tried.success then tried.value else { unreadable = "error"; };
  take = names: set: builtins.listToAttrs
    (map (name: { inherit name; value = read set.${name}; }) (builtins.filter (name: set ? ${name}) names));
"#;

const DEPLOY_RS: &str = r#"
  shared = [ "sshUser" "user" "sudo" "sshOpts" "fastConnection" "autoRollback" "magicRollback" "confirmTimeout"
    "activationTimeout" "tempPath" "interactiveSudo" "remoteBuild" ];
  # Of a secret it is enough that there is one.
  settings = names: set: take (shared ++ names) set // builtins.listToAttrs
    (map (name: { inherit name; value = true; }) (builtins.filter (name: set ? ${name}) [ "sudoFile" "sudoSecret" ]));
  named = set: read: map (name: { inherit name; } // read set.${name}) (builtins.attrNames set);
in deploy: if builtins.isAttrs deploy && deploy ? nodes then {
  settings = settings [ ] deploy;
  nodes = named deploy.nodes (node: {
    settings = settings [ "hostname" ] node;
    profiles = named (node.profiles or { }) (profile: { settings = settings [ "profilePath" ] profile; });
  });
} else null
"#;

/// The options of `deployment`; of `keys` only their names.
const OPTIONS: &str = r#"
  options = [ "targetHost" "targetUser" "targetPort" "tags" "buildOnTarget" "allowLocalDeployment"
    "replaceUnknownProfiles" "privilegeEscalationCommand" "sshOptions" "keys" ];
  data = option: value: if option == "keys" then builtins.attrNames value else plain value;
"#;

/// Calls the modules of a hive with arguments that throw when they are looked into, so that what depends on the whole
/// configuration says so, and the rest is read without it. Lists of `defaults` and of a node are put together, as the
/// module system does; else the node wins.
const HIVE: &str = r#"
  callable = value: builtins.isFunction value || (builtins.isAttrs value && value ? __functor);
  unknown = throw "only the whole configuration tells";
in given: let
  hive = if callable given then given { } else given;
  meta = hive.meta or hive.network or { };
  nixpkgs = meta.nixpkgs or unknown;
  lib = if builtins.isAttrs nixpkgs then nixpkgs.lib or unknown
    else if callable nixpkgs then (nixpkgs { }).lib or unknown
    else if builtins.isPath nixpkgs || builtins.isString nixpkgs then import (nixpkgs + "/lib")
    else unknown;
  arguments = name: { inherit name lib; nodes = unknown; pkgs = unknown; config = unknown; options = unknown; }
    // (meta.specialArgs or { }) // ((meta.nodeSpecialArgs or { }).${name} or { });
  call = name: module: let
    known = arguments name;
    formal = builtins.functionArgs module;
    has = argument: known ? ${argument} || !formal.${argument};
    value = argument: { name = argument; value = known.${argument} or unknown; };
    wanted = builtins.filter has (builtins.attrNames formal);
  in module (if formal == { } then known else builtins.listToAttrs (map value wanted));
  open = name: module:
    if builtins.isList module then builtins.concatMap (open name) module
    else if builtins.isPath module then open name (import module)
    else if callable module then open name (call name module)
    else [ module ];
  # What stands in `mkIf`, `mkMerge`, `mkForce` and their like, each with its priority: the lowest number wins.
  bare = priority: value: if builtins.isAttrs value && value ? _type then
      if value._type == "override" then bare value.priority value.content
      else if value._type == "order" then bare priority value.content
      else if value._type == "if" then (if value.condition then bare priority value.content else [ ])
      else if value._type == "merge" then builtins.concatMap (bare priority) value.contents
      else unknown
    else [ { inherit priority value; } ];
  inside = name: builtins.concatMap
    ({ priority, value }: if value ? ${name} then bare priority value.${name} else [ ]);
  node = name: let
    parts = module: builtins.concatMap (bare 100) (open name module);
    ofDefaults = parts (hive.defaults or { });
    own = parts hive.${name};
    modules = ofDefaults ++ own;
    deployments = inside "deployment" (modules ++ inside "config" modules);
    joined = option: let
      found = inside option deployments;
      least = builtins.foldl' (least: one: if one.priority < least then one.priority else least)
        (builtins.head found).priority found;
      values = map (one: data option one.value) (builtins.filter (one: one.priority == least) found);
      last = builtins.elemAt values (builtins.length values - 1);
    in if found == [ ] then [ ]
      else if builtins.isList last && option != "privilegeEscalationCommand" then [ (builtins.concatLists values) ]
      else [ last ];
    looked = attempt (builtins.concatMap (one: builtins.attrNames one.value) deployments);
    tried = map (option: { inherit option; answer = attempt (joined option); }) options;
    fine = builtins.filter (one: one.answer.success && one.answer.value != [ ]) tried;
    imports = modules: let tried = attempt (builtins.any (one: one.value ? imports) modules);
      in !tried.success || tried.value;
  in if looked.success then {
    inherit name;
    deployment = builtins.listToAttrs (map (one: { name = one.option; value = builtins.head one.answer.value; }) fine);
    unknown = map (one: one.option) (builtins.filter (one: !one.answer.success) tried);
    others = builtins.filter (name: !(builtins.elem name options)) looked.value;
    imports = (if imports ofDefaults then [ "defaults" ] else [ ]) ++ (if imports own then [ name ] else [ ]);
  } else { inherit name; deployment = { }; unknown = [ "deployment" ]; others = [ ]; imports = [ ]; };
in if builtins.isAttrs hive && !(hive ? drvPath)
  then map node
    (builtins.filter (name: !(builtins.elem name [ "meta" "network" "defaults" ])) (builtins.attrNames hive))
  else null
"#;

/// The whole configurations are there: their `deployment` is asked for, and nothing else of them is evaluated.
const MADE: &str = r"
in hive: if builtins.isAttrs hive && hive ? nodes then map (name: let
    deployment = hive.nodes.${name}.config.deployment;
    tried = map (option: { inherit option; answer = attempt (data option deployment.${option}); })
      (builtins.filter (option: deployment ? ${option}) options);
  in {
    inherit name;
    deployment = builtins.listToAttrs (map (one: { name = one.option; value = one.answer.value; })
      (builtins.filter (one: one.answer.success) tried));
    unknown = map (one: one.option) (builtins.filter (one: !one.answer.success) tried);
    # Whole configurations have every option there is.
    others = [ ];
    imports = [ ];
  }) (builtins.attrNames hive.nodes) else null
";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("{source_name} has no output `{output}`")]
    NoOutput { source_name: String, output: String },
    /// For example a package of the same name.
    #[error("`{output}` of {source_name} is not what it should be")]
    Strange { source_name: String, output: String },
    #[error(transparent)]
    Eval(#[from] EvalError),
}

/// The nodes of deploy-rs, as JSON: what `import::from_deploy_rs` reads.
///
/// # Errors
/// See [`ForeignError`].
pub async fn deploy_rs(flake: &str, folder: &Path) -> Result<String, ForeignError> {
    ask(&ForeignRoot::Flake { flake, folder, output: "deploy" }, &format!("let {READ}{DEPLOY_RS}")).await
}

/// The place of a hive.
#[derive(Debug, Clone)]
pub enum HiveSource {
    Flake { flake: String, folder: PathBuf },
    File(PathBuf),
}

/// A hive's nodes, as JSON: what `import::from_colmena` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiveAnswer {
    pub nodes: String,
    /// Whether they come from the flake's `colmenaHive`, which has whole configurations.
    pub is_made: bool,
}

/// Asks for the nodes of a hive: modules where there are such, since they are quick to read; else `colmenaHive`.
///
/// # Errors
/// See [`ForeignError`].
pub async fn hive(source: &HiveSource) -> Result<HiveAnswer, ForeignError> {
    let modules = format!("let {READ}{OPTIONS}{HIVE}");
    let (flake, folder) = match source {
        HiveSource::File(file) => {
            return Ok(HiveAnswer { nodes: ask(&ForeignRoot::File(file), &modules).await?, is_made: false });
        }
        HiveSource::Flake { flake, folder } => (flake, folder),
    };
    match ask(&ForeignRoot::Flake { flake, folder, output: "colmena" }, &modules).await {
        Err(ForeignError::NoOutput { .. } | ForeignError::Strange { .. }) => {}
        answer => return Ok(HiveAnswer { nodes: answer?, is_made: false }),
    }
    let made = format!("let {READ}{OPTIONS}{MADE}");
    Ok(HiveAnswer {
        nodes: ask(&ForeignRoot::Flake { flake, folder, output: "colmenaHive" }, &made).await?,
        is_made: true,
    })
}

/// The names of a flake's `nixosConfigurations`; `None` if it has none, or they cannot be read.
pub async fn configurations(flake: &str, folder: &Path) -> Option<Vec<String>> {
    let root = ForeignRoot::Flake { flake, folder, output: "nixosConfigurations" };
    serde_json::from_str(&ask(&root, "builtins.attrNames").await.ok()?).ok()
}

/// Checks that an inventory can name this flake.
///
/// # Errors
/// [`ForeignError::Eval`] with why not.
pub fn ensure_can_be_named(flake: &str) -> Result<(), ForeignError> {
    Ok(ensure_flake_reference(flake)?)
}

enum ForeignRoot<'a> {
    Flake { flake: &'a str, folder: &'a Path, output: &'a str },
    File(&'a Path),
}

async fn ask(root: &ForeignRoot<'_>, expression: &str) -> Result<String, ForeignError> {
    // A person who moves in has not asked for a build, and the source must not change.
    let eval = nix(LIMIT).args(["eval", "--json", "--option", "allow-import-from-derivation", "false"]);
    let eval = eval.args(["--no-write-lock-file", "--apply", expression]);
    let (invocation, source_name, output) = match root {
        ForeignRoot::Flake { flake, folder, output } => {
            ensure_flake_reference(flake)?;
            let invocation = eval.folder(folder).arg("--").arg(format!("{flake}#{output}"));
            (invocation, format!("the flake {}", without_credentials(flake)), *output)
        }
        ForeignRoot::File(file) => (eval.arg("--file").arg(file), format!("the file {}", file.display()), "hive"),
    };
    let finished = invocation.run().await.map_err(EvalError::from)?;
    if !finished.succeeded() {
        let message = message_of(&finished.stderr_text());
        // Source: `flake '...' does not provide attribute '...', ... or '...'`, in Nix since 2.4 and in Lix.
        return Err(if message.contains("does not provide attribute") {
            ForeignError::NoOutput { source_name, output: output.to_owned() }
        } else {
            EvalError::Source { source_name, message: cut(&message, 4000).to_owned() }.into()
        });
    }
    let answer = finished.stdout_text().trim().to_owned();
    if answer == "null" { Err(ForeignError::Strange { source_name, output: output.to_owned() }) } else { Ok(answer) }
}
