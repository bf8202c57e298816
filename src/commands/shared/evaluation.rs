//! Arguments of the commands that evaluate a fleet: push, plan, build and diff.

use clap::Args;

use crate::commands::Trouble;
use crate::event::reason::command_fault::Misuse;
use crate::inventory::model::EvaluationTerms;
use crate::inventory::{nix_option, override_input};

/// How the systems are evaluated, beside what the inventory says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Evaluation")]
pub struct EvaluationArgs {
    /// Let the evaluation read everything of this workstation; its results are not kept
    #[arg(long)]
    pub impure: bool,
    /// Take this flake in the place of one of the flake's inputs, for this run
    #[arg(long, num_args = 2, value_names = ["INPUT", "FLAKE"], allow_hyphen_values = true)]
    pub override_input: Vec<String>,
    /// Evaluate, and build here, with this setting of Nix, as in nix.conf
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    pub option: Vec<String>,
    /// Show every step of the evaluation that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Evaluate every system anew, also where nothing has changed since the last time
    #[arg(long)]
    pub no_eval_cache: bool,
}

impl EvaluationArgs {
    /// Lays these over what the inventory says. A relative flake is relative to the working folder.
    pub(in crate::commands) fn lay_over(&self, terms: &mut EvaluationTerms) -> Result<(), Trouble> {
        let wrong = |said| Trouble::not_understood(Misuse::OptionNotUnderstood { said });
        if !self.override_input.is_empty() {
            let here = std::env::current_dir();
            let unknown = |error: std::io::Error| Misuse::FolderUnknown { said: error.to_string() };
            let here = here.map_err(|error| Trouble::not_understood(unknown(error)))?;
            for pair in self.override_input.chunks_exact(2) {
                let (input, flake) = override_input(&pair[0], &pair[1], &here).map_err(wrong)?;
                terms.override_inputs.insert(input, flake);
            }
        }
        for pair in self.option.chunks_exact(2) {
            let (name, value) = nix_option(&pair[0], &pair[1]).map_err(wrong)?;
            terms.options.insert(name, value);
        }
        terms.impure |= self.impure;
        terms.show_trace |= self.show_trace;
        terms.anew |= self.no_eval_cache;
        Ok(())
    }
}
