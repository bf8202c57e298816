//! `diff`: which packages a push would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fleet_context::Ground;
use super::history::{colour, columns};
use super::query::{Query, Reply};
use super::{Ended, Trouble};
use crate::cli::{Diff, Global};
use crate::decide::survey::Allowed;
use crate::engine::queries::diff;
use crate::engine::shutdown::Shutdown;
use crate::event::forecast::Comparison;
use crate::inventory::Overrides;
use crate::inventory::model::HostName;
use crate::ui::forecast::{Style, differences};
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Diff) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let workspace = ground.workspace(&mut shutdown).await?;
    // The systems are kept from a collector for as long as they are compared.
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    let query = Query::begin("diff", mode, &ground)?;
    let scope = ground.scope(Allowed::default(), roots.path().to_owned());
    let events = query.events.clone();
    let comparing = async {
        let differing = diff(&scope, Arc::clone(&workspace), &events).await?;
        let style = Style { colour: colour(global), columns: columns() };
        let page = differences(differing.iter().map(|(host, comparison)| (host, comparison)), style);
        Ok(Reply { yes: true, answer: answer(&differing), page })
    };
    query.end(comparing, &workspace, &mut shutdown).await
}

fn answer(differing: &[(HostName, Comparison)]) -> serde_json::Value {
    let hosts: BTreeMap<&HostName, &Comparison> =
        differing.iter().map(|(host, comparison)| (host, comparison)).collect();
    serde_json::json!({ "hosts": hosts })
}
