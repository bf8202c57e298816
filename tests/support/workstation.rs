//! A person's workstation: a folder with an inventory and a record, and the program that is run there.

use std::time::Duration;

use fleetdeploy::local::process::{Finished, Invocation};

pub(crate) struct Workstation {
    pub(crate) home: tempfile::TempDir,
}

impl Workstation {
    /// Nothing is there yet.
    pub(crate) fn empty() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// The program with this command line, to be run.
    pub(crate) fn invocation(&self, words: &[&str]) -> Invocation {
        Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
            .args(words)
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("TZ", "UTC")
            .folder(self.home.path())
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Finished {
        self.run_with(words, |program| program).await
    }

    /// The same in a world that was made for it.
    pub(crate) async fn run_with(&self, words: &[&str], world: impl Fn(Invocation) -> Invocation) -> Finished {
        let finished = world(self.invocation(words)).run().await.unwrap();
        if crate::codes::folder().is_some() {
            // What a person reads has the same reasons: as events they have codes.
            let words: Vec<&str> = std::iter::once("--json").chain(words.iter().copied()).collect();
            crate::codes::keep_lines(&world(self.invocation(&words)).run().await.unwrap().stdout_text());
            crate::codes::keep_lines(&finished.stdout_text());
        }
        finished
    }
}
