//! The options of nix that a fleet asks for. Each value stands behind its option as an argument of its own, so that
//! none can be taken for another option.

use crate::inventory::model::{EvaluationTerms, Source};
use crate::local::process::Invocation;
use crate::nix::invoke::with_settings;

/// Settings of Nix that let a pure evaluation see more than its flake.
const IMPURE_OPTIONS: [&str; 4] =
    ["accept-flake-config", "allow-unsafe-native-code-during-evaluation", "plugin-files", "pure-eval"];

/// Adds what an evaluation, and a question about its flake, must have in common.
pub(super) fn with_terms(invocation: Invocation, terms: &EvaluationTerms, source: &Source) -> Invocation {
    let mut invocation = if terms.impure { invocation.arg("--impure") } else { invocation };
    // Said each way: a flake must not be asked about on a terminal that is not there, and what a person has set for
    // their own work is not meant for a fleet.
    let accepts = if terms.accept_flake_config { "true" } else { "false" };
    invocation = invocation.args(["--option", "accept-flake-config", accepts]);
    if let Source::Flake { .. } = source {
        for (input, reference) in &terms.override_inputs {
            invocation = invocation.args(["--override-input", input, reference]);
        }
    }
    with_settings(invocation, &terms.options)
}

/// Whether nothing but the flake, its inputs and these terms can have a part in the result.
///
/// A flake's own settings of Nix are not among what may: `nixConfig.pure-eval = false` would take effect (seen with Nix
/// 2.26).
pub(super) fn is_pure(terms: &EvaluationTerms) -> bool {
    let is_impure_option = |name: &String| IMPURE_OPTIONS.contains(&name.trim_start_matches("extra-"));
    !terms.impure && !terms.accept_flake_config && !terms.options.keys().any(is_impure_option)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_could_let_an_evaluation_see_more_is_impure() {
        let with = |name: &str| EvaluationTerms {
            options: BTreeMap::from([(name.to_owned(), "false".to_owned())]),
            ..EvaluationTerms::default()
        };
        assert!(is_pure(&EvaluationTerms::default()) && is_pure(&with("cores")));
        for name in ["pure-eval", "extra-plugin-files", "accept-flake-config"] {
            assert!(!is_pure(&with(name)), "{name}");
        }
        assert!(!is_pure(&EvaluationTerms { impure: true, ..EvaluationTerms::default() }));
        assert!(!is_pure(&EvaluationTerms { accept_flake_config: true, ..EvaluationTerms::default() }));
    }
}
