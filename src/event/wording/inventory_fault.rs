use std::fmt;

use super::Worded;
use crate::event::reason::inventory_fault::{ImportFault, ImportRefusal, InventoryRefusal};

impl fmt::Display for InventoryRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl Worded for InventoryRefusal {
    fn mend(&self) -> Option<String> {
        self.mend.clone()
    }
}

impl fmt::Display for ImportRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl Worded for ImportRefusal {
    fn mend(&self) -> Option<String> {
        let mend = match &self.fault {
            // The words of a note say it.
            ImportFault::NotCarriedOver { .. } => return None,
            ImportFault::SourceUnreadable { .. } => "name a file that is there and that you may read",
            ImportFault::SourceNotUnderstood { .. } => {
                "nothing was written: mend what is named above, and import again"
            }
            ImportFault::SourceHasNoHosts { .. } => "is it the right file? Another one is named as the last word",
            ImportFault::ImportMistaken { .. } | ImportFault::ImportAnswerSenseless { .. } => {
                "please report this, with the source as far as it may be shown"
            }
            ImportFault::OutputMissing { output, .. } if output == "deploy" => {
                "a flake for deploy-rs has `deploy.nodes`"
            }
            ImportFault::OutputMissing { .. } => {
                "a flake for colmena has `colmena` or `colmenaHive`; a hive.nix is named as a file"
            }
            ImportFault::OutputStrange { .. } => "is there a package of that name? It hides the output from `nix eval`",
            ImportFault::SourceNotEvaluated { .. } => {
                "it must evaluate: `nix flake show`, or `nix-instantiate --eval` of a file, says more"
            }
        };
        Some(mend.to_owned())
    }
}
