//! Everything that is asked of Nix on the workstation: evaluate, build, copy, compare.
//!
//! Runs the `nix` on the PATH and reads what it prints; it decides nothing about the fleet and knows no remote step.
//! From Nix 2.18 to 2.34 and Lix. The crate `nix` (the unix API) is `::nix` in here.

pub mod build;
mod builder;
pub mod cache;
pub mod closure;
pub mod copy;
pub mod diff;
pub mod eval;
pub mod foreign;
mod invoke;
pub mod log;
pub mod needs;
mod ping;
mod plain;
mod printout;
pub mod progress;
pub mod said;
mod signing;
mod tracker;
pub mod version;

pub use build::{BuildError, BuildStore, FailedBuild, build, build_log};
pub use builder::BuilderTrouble;
pub use cache::{FillError, fill_by_command, fill_host, fill_store, sign_in_store};
pub use closure::{Closure, closure, store_graph};
pub use copy::{CopyError, Destination, copy, printed_before};
pub use diff::diff;
pub use eval::{
    EvalError, EvalNews, EvalRequest, EvalTarget, Evaluation, Evaluator, FlakeLook, HearEvaluation, HostProblem,
    KeptEvaluations,
};
pub use invoke::{AskError, Heard};
pub use needs::Needs;
pub use ping::{Pinged, ping};
pub use plain::without_credentials;
pub use progress::{Amount, Count, NixProgress, RunningBuild};
pub use said::{
    MissingBuilder, UntrackedFile, evaluation_traces, evaluation_warnings, missing_builder, untracked_file,
};
pub use signing::{KeyFault, OwnKey, SigningKeys, Verified, are_signed, public_key, sign, signatures, signing_keys};
pub use version::{NixHere, NixVersion, OLDEST_TEXT, version};
