//! `plan`: shows what a push would do.

use super::Ended;
use super::push::{Wanted, go, prepare};
use crate::cli::{Global, Plan};
use crate::engine::push::First;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Plan) -> Ended {
    let ground = prepare(global, &arguments.fleet, &arguments.terms)?;
    let wanted = Wanted::new(&ground, &arguments.terms, First::ShowPlan { units: arguments.units })?;
    go(global, mode, &ground, wanted).await
}
