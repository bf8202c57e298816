//! `plan`: what a push would do.

use super::Ended;
use super::ground::Ground;
use super::push::{Wanted, go};
use crate::cli::{Global, Plan};
use crate::decide::survey::Allowed;
use crate::decide::waves::Waves;
use crate::engine::push::First;
use crate::inventory::Overrides;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Plan) -> Ended {
    let overrides = Overrides { guard: arguments.guard, settle: arguments.settle };
    let ground = Ground::prepare(global, &arguments.fleet, &overrides)?;
    let allowed = Allowed { drift: arguments.accept_drift, broken: arguments.allow_broken };
    let waves = Waves { canaries: ground.canaries(&arguments.canary)?, sizes: arguments.waves.clone() };
    let first = First::ShowPlan { units: arguments.units };
    go(global, mode, &ground, Wanted { allowed, waves, first, reboot: false, back: None }).await
}
