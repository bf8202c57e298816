//! Finds each host's system by one evaluation for the whole fleet.
//!
//! Builds nothing (but what the evaluation itself imports), and touches no host. Only when the one evaluation fails it
//! goes host by host, to say which host it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use tokio::time::Instant;

use super::invoke::{lock, message_of, nix, run_with_ticks};
use super::plain::{cut, plain, without_credentials};
use super::printout::Printout;
use crate::facts::attr_path::{AttrPath, BadAttrPath, HOST, as_fragment, nix_strings, show};
use crate::facts::store_path::{BadStorePath, StorePath};
use crate::inventory::model::{Host, HostName, Source};
use crate::local::process::{Finished, Invocation, ProcessError};

/// Walks from the evaluated root to each host's system, and says how far it came where it did not get there. The names
/// stand in a list, never as names of attributes: a host may be called `outPath`, which means something to Nix.
const WALK: &str = r#"
root: let
  open = value: if builtins.isFunction value then value { } else value;
  look = at: path:
    if path == [ ] then
      if builtins.isAttrs at && at ? drvPath && at ? outPath
      then { found = { derivation = at.drvPath; output = at.outPath; }; }
      else { strange = builtins.typeOf at; }
    else if builtins.isAttrs at && at ? ${builtins.head path}
    then look at.${builtins.head path} (builtins.tail path)
    else { missing = { left = builtins.length path; has = if builtins.isAttrs at then builtins.attrNames at else [ ]; }; };
  start = open root;
in builtins.seq start (map (host: look start (map (builtins.replaceStrings [ "{host}" ] [ host ]) template)) hosts)
"#;

/// The most evaluations at a time while looking for the host to blame: one of a whole NixOS takes a gigabyte and more.
const BLAME_AT_A_TIME: usize = 2;

/// Names of existing attributes that an error lists.
const LISTED_NAMES: usize = 12;

/// The system that a host is to run, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalTarget {
    /// To be built, or substituted.
    Derivation { derivation: StorePath, output: StorePath },
    /// Named by its store path: valid already, or to be substituted.
    Path(StorePath),
}

impl EvalTarget {
    /// The system itself.
    #[must_use]
    pub fn output(&self) -> &StorePath {
        match self {
            Self::Derivation { output, .. } | Self::Path(output) => output,
        }
    }

    /// The derivation it is built from, if it is to be built.
    #[must_use]
    pub fn derivation(&self) -> Option<&StorePath> {
        match self {
            Self::Derivation { derivation, .. } => Some(derivation),
            Self::Path(_) => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(transparent)]
    Attr(#[from] BadAttrPath),
    /// It would be taken for an option, or for a reference and an attribute.
    #[error(
        "`{}` cannot be a flake reference: it is empty, begins with `-`, or has `#` or a control character in it",
        .0.escape_debug()
    )]
    Flake(String),
    /// It is about no one host: no such flake, a syntax error, a download that failed.
    #[error("cannot evaluate {source_name}: {message}")]
    Source { source_name: String, message: String },
    #[error("no system of {}", list(failed.keys()))]
    Hosts {
        failed: BTreeMap<HostName, HostProblem>,
        /// These evaluate.
        fine: Vec<HostName>,
        /// The time was over before it was their turn.
        not_asked: Vec<HostName>,
    },
    #[error("cannot evaluate the fleet")]
    Process(#[from] ProcessError),
    #[error("nix's answer about {source_name} makes no sense: {answer}")]
    Answer { source_name: String, answer: String },
}

/// Why one host has no system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    #[error("{source_name} has no `{attribute}`; {}", has_instead(parent, has))]
    Missing { source_name: String, attribute: String, parent: String, has: Vec<String> },
    #[error("`{attribute}` of {source_name} is no derivation but a {kind}")]
    NotADerivation { source_name: String, attribute: String, kind: String },
    /// Throws, or is wrong; the text is the end of nix's message.
    #[error("{0}")]
    Fails(String),
    /// A content-addressed derivation has no path before it is built.
    #[error("its path is not known before it is built (a content-addressed derivation?): {0}")]
    NoPath(BadStorePath),
    #[error("the inventory names no `system` for it")]
    NotNamed,
    #[error("its `system` {} is no store path: {reason}", path.display())]
    NotInTheStore { path: PathBuf, reason: String },
}

/// Hears what nix prints while it evaluates, for the record: its warnings, `trace:`, and errors with where they come
/// from; of all hosts together, or of one host, while the host to blame is looked for.
pub type HearPrinted<'run> = dyn Fn(Option<&HostName>, Vec<String>) + Send + Sync + 'run;

/// Gives each host's system. `base` is the folder of the inventory: what relative references are relative to. `limit`
/// is for everything, with the search for the host to blame.
///
/// # Errors
/// See [`EvalError`]; with [`EvalError::Hosts`] every other host is known to be fine.
pub async fn evaluate(
    source: &Source,
    hosts: &[Host],
    base: &Path,
    limit: Duration,
    hear: &HearPrinted<'_>,
) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
    let names = || hosts.iter().map(|host| host.name.clone());
    let questions = match source {
        Source::System => return Answers::from_paths(hosts, base).into_result(),
        Source::File { file, attr } => {
            let path = AttrPath::parse(attr)?;
            let source = EvalRoot::File(base.join(file));
            vec![EvalQuestion {
                root: source,
                template: path.components().to_vec(),
                above: Vec::new(),
                hosts: names().collect(),
            }]
        }
        Source::Flake { flake, attr } => {
            ensure_flake_reference(flake)?;
            let path = AttrPath::parse(attr)?;
            // One question for each attribute of the flake that is entered: that is one, unless its very first part
            // depends on the host.
            let mut groups: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
            for host in names() {
                groups.entry(path.first_for(host.as_str())).or_default().push(host);
            }
            let question = |(first, hosts): (String, Vec<HostName>)| EvalQuestion {
                root: EvalRoot::Flake { reference: flake.clone(), folder: base.to_owned(), attribute: first.clone() },
                template: path.below_first().to_vec(),
                above: vec![first],
                hosts,
            };
            groups.into_iter().map(question).collect()
        }
    };
    let deadline = Instant::now() + limit;
    let mut answers = Answers::default();
    for question in questions {
        question.answer(deadline, hear, &mut answers).await?;
    }
    answers.into_result()
}

/// # Errors
/// [`EvalError::Flake`] if nix would read something else than a flake reference in it.
pub(super) fn ensure_flake_reference(flake: &str) -> Result<(), EvalError> {
    let wrong = flake.is_empty()
        || flake.starts_with('-')
        || flake.contains(|character: char| character == '#' || character.is_control());
    if wrong { Err(EvalError::Flake(flake.to_owned())) } else { Ok(()) }
}

/// The place where an evaluation starts.
enum EvalRoot {
    Flake { reference: String, folder: PathBuf, attribute: String },
    File(PathBuf),
}

impl EvalRoot {
    fn name(&self) -> String {
        match self {
            Self::Flake { reference, .. } => format!("the flake {reference}"),
            Self::File(file) => format!("the file {}", file.display()),
        }
    }

    fn invocation(&self, expression: &str, limit: Duration) -> Invocation {
        let eval = nix(limit).args(["eval", "--json", "--apply", expression]);
        match self {
            Self::Flake { reference, folder, attribute } => {
                eval.folder(folder).arg("--").arg(format!("{reference}#{}", as_fragment(attribute)))
            }
            Self::File(file) => eval.arg("--file").arg(file),
        }
    }
}

/// One evaluation: hosts under one root.
struct EvalQuestion {
    root: EvalRoot,
    /// The path below the root, `{host}` in it.
    template: Vec<String>,
    /// The path of the root itself, for messages.
    above: Vec<String>,
    hosts: Vec<HostName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EvalLook {
    Found { derivation: String, output: String },
    Strange(String),
    Missing { left: usize, has: Vec<String> },
}

impl EvalQuestion {
    async fn answer(&self, deadline: Instant, hear: &HearPrinted<'_>, answers: &mut Answers) -> Result<(), EvalError> {
        let finished = self.ask_aloud(deadline, hear).await?;
        if finished.succeeded() {
            return self.take(&self.hosts, &finished, answers);
        }
        // The root without any host: cheap, and if that fails no host is to blame.
        let root = self.ask(&[], deadline).await?;
        if !root.succeeded() {
            let message = message_of(&root.stderr_text());
            return Err(EvalError::Source { source_name: self.root.name(), message });
        }
        if let [host] = self.hosts.as_slice() {
            answers.fails(host, &finished);
            return Ok(());
        }
        let looks =
            self.hosts.iter().map(|host| async move { (host, self.ask(std::slice::from_ref(host), deadline).await) });
        let mut looks = futures::stream::iter(looks).buffer_unordered(BLAME_AT_A_TIME);
        while let Some((host, asked)) = looks.next().await {
            match asked {
                Ok(finished) if finished.succeeded() => {
                    self.take(std::slice::from_ref(host), &finished, answers)?;
                }
                Ok(finished) => {
                    answers.fails(host, &finished);
                    let mut printout = Printout::default();
                    printout.take(&readable(&finished.stderr_text()));
                    hear(Some(host), printout.drain());
                }
                Err(ProcessError::TimedOut { .. }) => answers.not_asked.push(host.clone()),
                Err(error) => return Err(error.into()),
            }
        }
        if answers.failed.is_empty() && answers.not_asked.is_empty() {
            // Together they failed, one by one they do not: memory, most likely.
            let message = message_of(&finished.stderr_text());
            return Err(EvalError::Source { source_name: self.root.name(), message });
        }
        Ok(())
    }

    /// The one question about all hosts. What nix prints is told as it comes: a warning in an evaluation that takes
    /// minutes, not after it.
    async fn ask_aloud(&self, deadline: Instant, hear: &HearPrinted<'_>) -> Result<Finished, ProcessError> {
        let printout = Mutex::new(Printout::default());
        let give = || {
            let lines = lock(&printout).drain();
            if !lines.is_empty() {
                hear(None, lines);
            }
        };
        let take = |line: &str| {
            let is_full = {
                let mut printout = lock(&printout);
                printout.take(&readable(line));
                printout.is_full()
            };
            if is_full {
                give();
            }
        };
        let finished = run_with_ticks(self.invocation(&self.hosts, deadline), take, give).await;
        give();
        finished
    }

    async fn ask(&self, hosts: &[HostName], deadline: Instant) -> Result<Finished, ProcessError> {
        self.invocation(hosts, deadline).run().await
    }

    fn invocation(&self, hosts: &[HostName], deadline: Instant) -> Invocation {
        let limit = deadline.saturating_duration_since(Instant::now());
        self.root.invocation(&self.expression(hosts), limit)
    }

    fn expression(&self, hosts: &[HostName]) -> String {
        let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
        format!("let template = {}; hosts = {}; in {}", nix_strings(&self.template), nix_strings(&hosts), WALK.trim())
    }

    fn take(&self, hosts: &[HostName], finished: &Finished, answers: &mut Answers) -> Result<(), EvalError> {
        let text = finished.stdout_text();
        let nonsense =
            || EvalError::Answer { source_name: self.root.name(), answer: cut(&plain(&text), 200).to_owned() };
        let looks: Vec<EvalLook> = serde_json::from_str(&text).map_err(|_| nonsense())?;
        if looks.len() != hosts.len() {
            return Err(nonsense());
        }
        for (host, look) in hosts.iter().zip(looks) {
            match self.judge(host, look) {
                Ok(target) => drop(answers.found.insert(host.clone(), target)),
                Err(problem) => drop(answers.failed.insert(host.clone(), problem)),
            }
        }
        Ok(())
    }

    fn judge(&self, host: &HostName, look: EvalLook) -> Result<EvalTarget, HostProblem> {
        let below = self.template.iter().map(|part| part.replace(HOST, host.as_str()));
        let path: Vec<String> = self.above.iter().cloned().chain(below).collect();
        let source_name = self.root.name();
        match look {
            EvalLook::Found { derivation, output } => Ok(EvalTarget::Derivation {
                derivation: StorePath::new(derivation).map_err(HostProblem::NoPath)?,
                output: StorePath::new(output).map_err(HostProblem::NoPath)?,
            }),
            EvalLook::Strange(kind) => Err(HostProblem::NotADerivation { source_name, attribute: show(&path), kind }),
            EvalLook::Missing { left, has } => {
                // `left` counts the missing part too.
                let end = (path.len() + 1).saturating_sub(left).clamp(1, path.len());
                let (attribute, parent) = (show(&path[..end]), show(&path[..end - 1]));
                Err(HostProblem::Missing { source_name, attribute, parent, has })
            }
        }
    }
}

#[derive(Default)]
struct Answers {
    found: BTreeMap<HostName, EvalTarget>,
    failed: BTreeMap<HostName, HostProblem>,
    not_asked: Vec<HostName>,
}

impl Answers {
    fn from_paths(hosts: &[Host], base: &Path) -> Self {
        let mut answers = Self::default();
        for host in hosts {
            match named_system(host, base) {
                Ok(path) => drop(answers.found.insert(host.name.clone(), EvalTarget::Path(path))),
                Err(problem) => drop(answers.failed.insert(host.name.clone(), problem)),
            }
        }
        answers
    }

    fn fails(&mut self, host: &HostName, finished: &Finished) {
        self.failed.insert(host.clone(), HostProblem::Fails(message_of(&finished.stderr_text())));
    }

    fn into_result(mut self) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
        if self.failed.is_empty() && self.not_asked.is_empty() {
            return Ok(self.found);
        }
        self.not_asked.sort();
        Err(EvalError::Hosts { failed: self.failed, fine: self.found.into_keys().collect(), not_asked: self.not_asked })
    }
}

/// A `system` is a store path, here or to be substituted, or a link to one (`./result`, a profile's generation).
fn named_system(host: &Host, base: &Path) -> Result<StorePath, HostProblem> {
    let path = host.system.as_deref().ok_or(HostProblem::NotNamed)?;
    if let Some(Ok(system)) = path.to_str().map(StorePath::new) {
        return Ok(system);
    }
    let refuse = |reason| HostProblem::NotInTheStore { path: path.to_owned(), reason };
    let real = base.join(path).canonicalize().map_err(|error| refuse(error.to_string()))?;
    let real = real.to_str().ok_or_else(|| refuse("it is not UTF-8".to_owned()))?;
    StorePath::new(real).map_err(|error| refuse(error.to_string()))
}

fn readable(printed: &str) -> String {
    without_credentials(&plain(printed)).into_owned()
}

fn has_instead(parent: &str, has: &[String]) -> String {
    let place = if parent.is_empty() { "it".to_owned() } else { format!("`{parent}`") };
    match has {
        [] => format!("{place} has nothing"),
        few if few.len() <= LISTED_NAMES => format!("{place} has: {}", few.join(", ")),
        many => format!("{place} has: {} and {} more", many[..LISTED_NAMES].join(", "), many.len() - LISTED_NAMES),
    }
}

fn list<'names>(names: impl Iterator<Item = &'names HostName>) -> String {
    names.map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(template: &[&str]) -> EvalQuestion {
        EvalQuestion {
            root: EvalRoot::Flake {
                reference: ".".into(),
                folder: "/".into(),
                attribute: "nixosConfigurations".into(),
            },
            template: template.iter().map(ToString::to_string).collect(),
            above: vec!["nixosConfigurations".into()],
            hosts: vec![HostName::new("vps").unwrap()],
        }
    }

    fn answered(json: &str) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
        let question = question(&["{host}", "config", "toplevel"]);
        let finished = Finished { status: Some(0), stdout: json.into(), stderr: Vec::new() };
        let mut answers = Answers::default();
        question.take(&question.hosts, &finished, &mut answers)?;
        answers.into_result()
    }

    #[test]
    fn a_found_system_is_a_derivation_and_its_path() {
        let output = "/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1";
        let derivation = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";
        let found = answered(&format!(r#"[{{"found":{{"derivation":"{derivation}","output":"{output}"}}}}]"#)).unwrap();
        assert_eq!(found.values().next().unwrap().output().as_str(), output);
    }

    #[test]
    fn a_missing_attribute_is_named_with_what_is_there() {
        let error = answered(r#"[{"missing":{"left":3,"has":["home","edge"]}}]"#).unwrap_err();
        let EvalError::Hosts { failed, .. } = error else { panic!("{error}") };
        assert_eq!(
            failed.values().next().unwrap().to_string(),
            "the flake . has no `nixosConfigurations.vps`; `nixosConfigurations` has: home, edge"
        );
        let error = answered(r#"[{"missing":{"left":1,"has":[]}}]"#).unwrap_err();
        let EvalError::Hosts { failed, .. } = error else { panic!("{error}") };
        assert_eq!(
            failed.values().next().unwrap().to_string(),
            "the flake . has no `nixosConfigurations.vps.config.toplevel`; `nixosConfigurations.vps.config` has nothing"
        );
    }

    #[test]
    fn a_path_that_is_only_a_placeholder_is_refused() {
        let json = r#"[{"found":{"derivation":"/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-x.drv","output":"/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"}}]"#;
        let EvalError::Hosts { failed, .. } = answered(json).unwrap_err() else { panic!() };
        assert!(matches!(failed.values().next(), Some(HostProblem::NoPath(_))));
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        for json in ["", "{}", "[]", r#"[{"found":{}}]"#, r#"[{"new":1}]"#] {
            assert!(matches!(answered(json), Err(EvalError::Answer { .. })), "{json}");
        }
    }

    #[test]
    fn names_stand_in_the_expression_as_strings_only() {
        let question = question(&["{host}", "a\"b${c}"]);
        let expression = question.expression(&question.hosts);
        assert!(
            expression.starts_with(r#"let template = [ "{host}" "a\"b\${c}" ]; hosts = [ "vps" ]; in root:"#),
            "{expression}"
        );
    }

    #[test]
    fn a_flake_that_would_be_an_option_or_an_attribute_is_refused() {
        for flake in ["", "--impure", ".#x", "a\nb"] {
            assert!(matches!(ensure_flake_reference(flake), Err(EvalError::Flake(_))), "{flake}");
        }
        for flake in [".", "..", "/etc/nixos", "git+ssh://git@example.org/x?ref=main", "path:./x"] {
            assert!(ensure_flake_reference(flake).is_ok(), "{flake}");
        }
    }
}
