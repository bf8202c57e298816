//! How the systems of a fleet are evaluated.

use std::collections::BTreeMap;

/// More processes than that have no use on any workstation.
pub const MOST_WORKERS: u16 = 256;

/// Settings of Nix by name, as in nix.conf.
pub type NixSettings = BTreeMap<String, String>;

/// The settings of Nix that no fleet has: with them Nix would work in another store than fleetdeploy looks into, or
/// speak of its progress in another language than fleetdeploy reads.
pub const TAKEN_SETTINGS: [&str; 3] = ["eval-store", "log-format", "store"];

/// What `evaluate:` and the fleet's part of `nix:` say, and the options of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key or an option of its own")]
pub struct EvaluationTerms {
    /// How many evaluations run at once; `None`: as processors and free memory allow.
    pub workers: Option<u16>,
    /// How much memory they may take, all together, in bytes; `None`: so much for each as one host takes.
    pub memory: Option<u64>,
    /// The evaluation may read everything of this workstation, so that its result is never kept.
    pub impure: bool,
    /// Settings of Nix that the flake itself brings are taken over.
    pub accept_flake_config: bool,
    /// Flake references in the place of the flake's inputs, by name.
    pub override_inputs: BTreeMap<String, String>,
    /// Settings of Nix, for the evaluation and for the builds.
    pub options: NixSettings,
    /// Errors tell every step of the evaluation that led to them.
    pub show_trace: bool,
    /// Everything is evaluated, whether or not it was before.
    pub anew: bool,
}
