//! `plan`: shows what a push would do.

use clap::Args;

use super::CommandResult;
use super::push::{Wanted, go, overrides};
use super::shared::fleet_context::FleetContext;
use crate::commands::shared::evaluation::EvaluationArgs;
use crate::commands::shared::fleet_hosts::{AskedHostsArgs, BuildOnArgs};
use crate::commands::shared::global::GlobalArgs;
use crate::commands::shared::terms::{SourceArgs, TermsArgs};
use crate::engine::push::Preview;
use crate::ui::mode::Mode;

/// Show what a push would do, host by host and link by link
///
/// Builds the systems, asks the hosts, probes the links as they are now, and says which hosts would change, in which
/// order, which packages differ, whether a reboot will be needed, and how long it may take before the guards fire. It
/// warns of what in the new configuration would lock you out, each with the option and the mend. It
/// copies nothing and runs nothing of the new systems, unless --units asks for that. Of the inventory it evaluates the
/// systems, and runs no hook and no `command` check: those are listed as not run. `push --dry-run` is the same.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy plan homelab            what would a push do?
  fleetdeploy plan homelab --on vps   and if only one host were pushed?
  fleetdeploy plan homelab --units    also which units would stop and start; copies the systems
  fleetdeploy plan homelab --json     all of it in one `answer` event

Exit status:
  0  a push could go on, or there is nothing to do
  1  a push would be refused
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct PlanArgs {
    #[command(flatten)]
    pub fleet: AskedHostsArgs,
    /// Copy the new systems, and ask each on its host which units it would stop, start, restart and reload
    /// (`dry-activate`); changes nothing
    #[arg(long)]
    pub units: bool,
    #[command(flatten)]
    pub terms: TermsArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub building: BuildOnArgs,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &PlanArgs) -> CommandResult {
    let mut context = FleetContext::prepare_asked(global, &arguments.fleet, &overrides(&arguments.terms))?
        .built_on(&arguments.building)?;
    arguments.evaluation.lay_over(&mut context.fleet.evaluation)?;
    let wanted = Wanted::new(&context, &arguments.terms, Preview::ShowPlan { units: arguments.units })?;
    go(global, mode, &context, Wanted { clean: arguments.source.clean, ..wanted }).await
}
