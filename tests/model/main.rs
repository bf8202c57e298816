//! The real decider on every way that a small fleet's world can take: stateright explores them all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod host;
mod mistakes;
mod properties;
mod scripts;
mod station;
mod words;
mod world;

use stateright::{Checker, Model};

#[test]
fn probe() {
    use faults::*;
    let kinds: Vec<Fault> = match std::env::var("KINDS").ok() {
        None => ALL.to_vec(),
        Some(list) => list.split(',').filter(|x| !x.is_empty()).map(|at| ALL[at.parse::<usize>().unwrap()]).collect(),
    };
    let n = |name: &str, or: u8| std::env::var(name).ok().map_or(or, |x| x.parse().unwrap());
    let fleet = world::Fleet {
        plan: words::plan(n("HOSTS", 2).into(), n("JUMP", 0) > 0),
        changes: [world::Change::Good, world::Change::CutsLinks, world::Change::CutsHosts, world::Change::Lasts]
            .into_iter()
            .enumerate()
            .filter(|(at, _)| n("CHANGES", 15) & (1 << at) != 0)
            .map(|(_, c)| c)
            .collect(),
        budget: Budget::of(&kinds, n("FAULTS", 0), n("DEATHS", 0)),
        switch_back: n("SB", 0) > 0,
        foreign: n("FOREIGN", 0) > 0,
        mistake: None,
    };
    let began = std::time::Instant::now();
    let mut builder = fleet.checker().threads(2).target_state_count(n("MILLIONS", 3) as usize * 1_000_000);
    if n("FIRST", 1) > 0 {
        builder = builder.finish_when(stateright::HasDiscoveries::AnyFailures);
    }
    fn places(host: &host::Host) -> String {
        let h = host;
        format!(
            "b{} {:?}{:?}{:?} {:?}/{:?}{} lease {:?} saved {} test {:?} switch {:?} rb {:?}{}",
            h.boot,
            h.on.current,
            h.on.profile,
            h.on.boot,
            h.token,
            h.guard,
            if h.short { " short" } else { "" },
            h.lease.map(|l| l.epoch),
            h.saved.is_some(),
            (h.test.starting, h.test.started_by, h.test.state),
            (h.switch.starting, h.switch.started_by, h.switch.state),
            (h.rollback.starting, h.rollback.started_by, h.rollback.state),
            if h.cut { " CUT" } else { "" }
        )
    }
    fn tell<C: Checker<world::Fleet>>(checker: &C, began: std::time::Instant) {
        eprintln!(
            "states {} unique {} depth {} in {:?}",
            checker.state_count(),
            checker.unique_state_count(),
            checker.max_depth(),
            began.elapsed()
        );
        for (name, path) in checker.discoveries() {
            eprintln!("==== {name}");
            for (state, action) in path.into_vec() {
                for h in &state.hosts {
                    eprintln!("      {}", places(h));
                }
                for s in &state.stations {
                    let outs: Vec<String> = s
                        .out
                        .iter()
                        .map(|o| {
                            o.as_ref().map_or("-".into(), |o| {
                                format!(
                                    "{} {}",
                                    format!("{:?}", o.step)
                                        .replace("/nix/store/00000000000000000000000000000000-", "")
                                        .replace("StorePath", ""),
                                    format!("{:?}", o.heard).chars().take(8).collect::<String>()
                                )
                            })
                        })
                        .collect();
                    eprintln!(
                        "      station {} {} verdict {:?} timers {:?} {:?} out {outs:?}",
                        s.speaker.epoch,
                        s.mind.as_ref().map_or("dead".into(), |m| format!("{m:?}")
                            .split("stage: ")
                            .nth(1)
                            .unwrap()
                            .split(',')
                            .next()
                            .unwrap()
                            .to_owned()),
                        s.verdict,
                        s.timers,
                        s.probing
                    );
                }
                if action.is_none() {
                    eprintln!("    {:?} {:?} {:?}", state.change, state.history, state.late);
                }
                eprintln!("  {action:?}");
            }
        }
    }
    if n("BFS", 1) > 0 { tell(&builder.spawn_bfs().join(), began) } else { tell(&builder.spawn_dfs().join(), began) }
}
