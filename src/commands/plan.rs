//! `plan`: what a push would do.

use super::Ended;
use super::ground::Ground;
use super::push::{Wanted, go};
use crate::cli::{Global, Plan};
use crate::decide::survey::Allowed;
use crate::inventory::Overrides;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Plan) -> Ended {
    let overrides = Overrides { guard: arguments.guard, settle: arguments.settle };
    let ground = Ground::prepare(global, &arguments.fleet, &overrides)?;
    let allowed = Allowed { drift: arguments.accept_drift, broken: arguments.allow_broken };
    let wanted = Wanted { dry_run: true, units: arguments.units, ..Wanted::push(allowed) };
    go(global, mode, &ground, wanted).await
}
