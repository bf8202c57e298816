//! `check`: the matrix alone.

use std::path::PathBuf;
use std::sync::Arc;

use super::fleet_context::Ground;
use super::history::colour;
use super::query::{Query, Reply};
use super::{Ended, Trouble};
use crate::cli::{Check, Global};
use crate::decide::survey::Allowed;
use crate::engine::queries::{Checked, check};
use crate::engine::shutdown::Shutdown;
use crate::inventory::Overrides;
use crate::ui::mode::Mode;
use crate::ui::{columns_of_stdout, matrix};

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Check) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    // Before anything is asked: a signal from here on is ours.
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let workspace = ground.workspace(&mut shutdown).await?;
    let query = Query::begin("check", mode, &ground)?;
    let scope = ground.scope(Allowed::default(), PathBuf::new());
    let events = query.events.clone();
    let checking = async {
        let Checked { links, is_well } = check(&scope, Arc::clone(&workspace), &events).await?;
        let page = if global.quiet && is_well {
            String::new()
        } else {
            format!("{}\n{}", matrix::count(&links), matrix::render(&links, columns_of_stdout(), colour(global)))
        };
        let answer = serde_json::json!({ "every_required_link_is_up": is_well, "links": links });
        Ok(Reply { yes: is_well, answer, page })
    };
    query.end(checking, &workspace, &mut shutdown).await
}
