//! The moments, with what the truth answers and the words of the screen that say so.

/// An answer: what is true, and the words of the screen that say it. A `#` there is any time.
pub(crate) type Answered = (&'static str, &'static [&'static str]);

pub(crate) enum At {
    /// So many seconds after the first event whose JSON has this in it.
    After {
        event: &'static str,
        seconds: f64,
    },
    End,
}

pub(crate) struct Moment {
    pub(crate) title: &'static str,
    /// What was typed.
    pub(crate) typed: &'static str,
    /// The record: `tests/fixtures/screens/NAME.jsonl`.
    pub(crate) record: &'static str,
    pub(crate) at: At,
    pub(crate) happens: Answered,
    pub(crate) lost: Answered,
    pub(crate) todo: Answered,
}

pub(crate) const MOMENTS: &[Moment] = &[
    Moment {
        title: "Guards are being armed",
        typed: "fleetdeploy push homelab",
        record: "good",
        at: At::After { event: r#""waits_for":["web"],"why":"first-alone""#, seconds: 0.1 },
        happens: (
            "Nothing is changed. web gets its guard first and alone, then vps and homeserver. If \
 nobody does anything, the push goes on; if the laptop died, a host with a guard \
 would reboot into what it runs.",
            &["nothing is changed yet", "0 of 3 are", "begins after web"],
        ),
        lost: ("No.", &["nothing is changed yet"]),
        todo: (
            "Nothing. Ctrl-C takes the guard away again.",
            &[
                "Ctrl-C takes the guards away",
                "fleetdeploy recover homelab, at any time, from any other, takes them away",
            ],
        ),
    },
    Moment {
        title: "New systems are being activated",
        typed: "fleetdeploy push homelab",
        record: "good",
        at: At::After { event: r#""event":"phase_started","phase":"test""#, seconds: 1.5 },
        happens: (
            "Each host activates its new system, for now. Whatever happens, each goes back by a \
 reboot unless the push ends well.",
            &["every host goes back to its old system, by a reboot, back at the latest in #", "activating", "# of"],
        ),
        lost: ("No: every host is under a guard.", &["guarded: if anything breaks now, even this computer"]),
        todo: (
            "Nothing. Ctrl-C takes all back at once; if this laptop dies: `fleetdeploy recover \
 homelab`, now or later, on any workstation, which takes all back.",
            &["Ctrl-C takes all back at once; if this computer dies: fleetdeploy recover homelab, at any time, from \
 any other, takes all back, too"],
        ),
    },
    Moment {
        title: "Why do the guards count down from different times?",
        typed: "fleetdeploy push homelab",
        record: "good",
        at: At::After { event: r#""event":"phase_started","phase":"verify""#, seconds: 0.2 },
        happens: (
            "The guard of web is longer in the inventory. None of them fires if the push ends \
 well.",
            &[
                "each guard is as long as the inventory says: the first fires in #, the last in #; then hosts boot",
                "if nothing does, the guards are disarmed in time",
            ],
        ),
        lost: ("No.", &["guarded: if anything breaks now"]),
        todo: ("Nothing: the links are waited for, and then all go on or all go back.", &["# more, else all go back"]),
    },
    Moment {
        title: "The decision was written, the boot defaults move",
        typed: "fleetdeploy push homelab",
        record: "good",
        at: At::After { event: r#""event":"phase_started","phase":"switch""#, seconds: 0.4 },
        happens: (
            "All is proven, and each host makes its new system what a reboot brings, still under \
 its guard.",
            &[
                "proven: the new systems are being made permanent",
                "if this computer dies now, every host goes back by a reboot",
            ],
        ),
        lost: ("No.", &["proven:"]),
        todo: (
            "Nothing: Ctrl-C does not stop it any more. If this laptop dies: recover, before the guards fire, \
 finishes it on this laptop, and takes all back from any other.",
            &[
                "Ctrl-C does not stop that",
                "fleetdeploy recover homelab, before the first guard fires in #, finishes it if it is typed on this \
 computer, and takes all back if on any other",
            ],
        ),
    },
    Moment {
        title: "A good push has ended",
        typed: "fleetdeploy push homelab",
        record: "good",
        at: At::End,
        happens: (
            "Every host runs its new system, without a guard. web should be rebooted for its new \
 kernel some day.",
            &[
                "COMMITTED",
                "every host runs what it was to run; all 14 required links are up",
                "no guard of this run is armed any more",
                "a reboot of web is needed",
            ],
        ),
        lost: ("No.", &["COMMITTED"]),
        todo: (
            "Nothing now; `fleetdeploy reboot homelab --on web` some day.",
            &["at any time: fleetdeploy reboot homelab --on web", "look closer: fleetdeploy show"],
        ),
    },
    Moment {
        title: "A tunnel does not come up",
        typed: "fleetdeploy push homelab",
        record: "mesh",
        at: At::After { event: r#""event":"phase_started","phase":"verify""#, seconds: 6.0 },
        happens: (
            "All hosts run their new systems, under their guards, and the links of web through \
 the VPN are down. If that stays so, all go back.",
            &["of all 14 links up, waits for all", "from and to web", "# more, else all go back"],
        ),
        lost: ("No: web is reached, and under a guard.", &["guarded: if anything breaks now"]),
        todo: (
            "Nothing: wait for the end of the settle time.",
            &["# more, else all go back", "Ctrl-C takes all back at once"],
        ),
    },
    Moment {
        title: "The push goes back",
        typed: "fleetdeploy push homelab",
        record: "mesh",
        at: At::After { event: r#""event":"phase_started","phase":"roll_back""#, seconds: 1.0 },
        happens: (
            "Every host activates its old system again; the guards stay until the old links are \
 proven.",
            &["going back: 0 of 3 hosts run their old systems again", "from and to web are down"],
        ),
        lost: ("No.", &["if this computer dies, they go back by a reboot, back at the latest in #"]),
        todo: (
            "Nothing. Ctrl-C twice would leave it to the guards.",
            &[
                "Ctrl-C twice stops here, and leaves those that are not back to their guards",
                "fleetdeploy recover homelab, at any time, from any other computer, then ends the run",
            ],
        ),
    },
    Moment {
        title: "The roll back has ended",
        typed: "fleetdeploy push homelab",
        record: "mesh",
        at: At::End,
        happens: (
            "Every host runs its old system, without a guard, and the network is as it was.",
            &["ROLLED BACK", "the network is as before: every link that was up is up again"],
        ),
        lost: ("No.", &["the network is as before"]),
        todo: (
            "Mend the key of web and push again; the record has what was seen.",
            &["all 9 links from and to web are down", "look closer: fleetdeploy show"],
        ),
    },
    Moment {
        title: "A host drops out of reach in the middle of its activation",
        typed: "fleetdeploy push homelab",
        record: "vpn",
        at: At::After { event: r#""event":"contact_lost","host":"homeserver""#, seconds: 5.0 },
        happens: (
            "vps and web are through, and homeserver is tried again; after the settle time all go \
 back. homeserver is under its guard.",
            &["out of reach: # more", "waits for hosts out of reach: # more, else all go back"],
        ),
        lost: (
            "No: if it stays away, its guard reboots it into its old system.",
            &["every host goes back to its old system, by a reboot, back at the latest in #"],
        ),
        todo: ("Nothing: wait.", &["# more, else all go back"]),
    },
    Moment {
        title: "Two are back, one is out of reach",
        typed: "fleetdeploy push homelab",
        record: "left",
        at: At::After { event: r#""event":"may_leave","may":true"#, seconds: 1.0 },
        happens: (
            "vps and web run their old systems, and keep their guards until homeserver is back; \
 homeserver is tried, and then its guard reboots it.",
            &[
                "2 of 3 hosts run their old systems again",
                "kept until homeserver is back",
                "guard kept",
                "out of reach: tried",
            ],
        ),
        lost: (
            "No: the guard of homeserver brings it back.",
            &["kept guards then fire, too, and reboot their hosts", "what is out of reach now is back within #"],
        ),
        todo: (
            "Nothing; or leave: nothing is lost by it.",
            &[
                "every host that answers is on its old system: who waits has kept guards disarmed at the end",
                "Ctrl-C twice leaves, and nothing is lost by that",
                "later, to look: fleetdeploy show last, to end it: fleetdeploy recover homelab",
            ],
        ),
    },
    Moment {
        title: "A person has left",
        typed: "fleetdeploy push homelab",
        record: "left",
        at: At::End,
        happens: (
            "vps and web were seen on their old systems; the guards of all three restart them \
 once.",
            &[
                "left at once, as asked",
                "was seen on its old system with its guard armed",
                "its guard brings it back to its old system; back at the latest in #",
            ],
        ),
        lost: ("No.", &["every guard has fired, and its host is back, in # at the latest"]),
        todo: (
            "`fleetdeploy recover homelab`, now or after the times on the screen.",
            &["next: fleetdeploy recover homelab, now or after that: it ends this with every host on what it \
 ran before this run"],
        ),
    },
    Moment {
        title: "A recovery looks how the hosts stand",
        typed: "fleetdeploy recover homelab",
        record: "after-left",
        at: At::After { event: r#""event":"phase_started","phase":"take_over""#, seconds: 0.3 },
        happens: (
            "Nothing is moved before every host has said how it stands.",
            &["nothing is moved yet: looking how each host stands"],
        ),
        lost: ("No.", &["guards stay armed meanwhile, and bring their hosts back when they fire"]),
        todo: (
            "Nothing: it goes forward or back by itself.",
            &[
                "then all hosts go to one side: to their new systems if that was decided and all can, else to \
 their old ones",
                "Ctrl-C leaves all as it is",
            ],
        ),
    },
    Moment {
        title: "The recovery has ended",
        typed: "fleetdeploy recover homelab",
        record: "after-left",
        at: At::End,
        happens: (
            "Every host runs its old system, and no guard of the run is left.",
            &["ROLLED BACK", "the interrupted run is undone"],
        ),
        lost: ("No.", &["the interrupted run is undone"]),
        todo: ("Nothing.", &["look closer: fleetdeploy show"]),
    },
    Moment {
        title: "A boot loader cannot be installed, after the decision",
        typed: "fleetdeploy push homelab",
        record: "loader",
        at: At::After { event: r#""event":"phase_started","phase":"roll_back""#, seconds: 0.5 },
        happens: (
            "The decision to commit is taken back: every host goes back. A reboot of web would \
 still bring its old system.",
            &[
                "though it was decided to commit",
                "boots is unchanged: a reboot now would still start its old system",
                "going back: 0 of 3 hosts",
            ],
        ),
        lost: ("No: web would survive a reboot.", &["a reboot now would still start its old system"]),
        todo: ("Nothing.", &["if this computer dies, they go back by a reboot"]),
    },
    Moment {
        title: "That push has ended",
        typed: "fleetdeploy push homelab",
        record: "loader",
        at: At::End,
        happens: ("Every host runs its old system, and would boot it.", &["ROLLED BACK", "the network is as before"]),
        lost: ("No.", &["ROLLED BACK"]),
        todo: (
            "Look why the boot loader of web could not be installed, mend it, and push again.",
            &[
                "switch failed on web: `switch` could not install its boot loader: the boot loader cannot be installed",
                "look there whether /boot is full or cannot be written",
                "nothing is left to do on the hosts",
                "the log of web: fleetdeploy logs",
            ],
        ),
    },
    Moment {
        title: "A rollback to what ran before",
        typed: "fleetdeploy rollback homelab",
        record: "rollback",
        at: At::After { event: r#""event":"phase_started","phase":"test""#, seconds: 0.5 },
        happens: (
            "Each host activates the system that it ran before the last committed push, under a \
 guard.",
            &[
                "rollback of homelab",
                "activating the earlier system",
                "guarded: if anything breaks now, even this computer, every host goes back to what it ran until now",
            ],
        ),
        lost: ("No.", &["guarded:"]),
        todo: ("Nothing.", &["Ctrl-C takes all back at once"]),
    },
    Moment {
        title: "Hosts are rebooted one after the other",
        typed: "fleetdeploy reboot homelab",
        record: "reboot",
        at: At::After { event: r#""event":"phase_started","phase":"reboot""#, seconds: 1.5 },
        happens: (
            "One host reboots into its own system; the next begins when that is proven.",
            &[
                "homeserver reboots now, and no other host does",
                "it is waited for, at most # more; the next host begins when that is proven, else none does",
                "begins after homeserver",
            ],
        ),
        lost: ("No.", &["what its boot loader starts by default comes up, without a guard"]),
        todo: (
            "Nothing.",
            &[
                "Ctrl-C: no further reboot",
                "if this computer dies: fleetdeploy recover homelab, at any time, from any other, ends this without a \
 further reboot",
            ],
        ),
    },
    Moment {
        title: "The laptop has died in the middle, another one recovers",
        typed: "fleetdeploy recover homelab",
        record: "killed",
        at: At::After { event: r#""event":"phase_started","phase":"roll_back""#, seconds: 0.5 },
        happens: (
            "The run is undone: every host goes back, under the guard of the run.",
            &["going back:", "the interrupted run is undone"],
        ),
        lost: ("No.", &["if this computer dies, they go back by a reboot"]),
        todo: ("Nothing.", &["fleetdeploy recover homelab, at any time, from any other computer, then ends the run"]),
    },
    Moment {
        title: "A guard by hand",
        typed: "fleetdeploy guard arm homelab --guard 5m",
        record: "hand",
        at: At::After { event: r#""event":"guard_armed","host":"homeserver""#, seconds: 0.1 },
        happens: (
            "Nothing changes. Whatever a person does there, each host goes back by a reboot when \
 its guard fires.",
            &["else every host goes back to the one that it ran before, by a reboot, back at the latest in #, \
 whatever you do there"],
        ),
        lost: ("No.", &["guarded:"]),
        todo: (
            "`fleetdeploy guard disarm homelab`, before the first guard fires, to keep what runs then.",
            &["within # type fleetdeploy guard disarm homelab, which keeps the systems that run then"],
        ),
    },
    Moment {
        title: "A cable was pulled: only the guard can help",
        typed: "fleetdeploy push homelab",
        record: "cable",
        at: At::After { event: r#""event":"left_to_guard""#, seconds: 8.0 },
        happens: (
            "vps and web are back. homeserver is out of reach, and its guard reboots it.",
            &[
                "homeserver is out of reach",
                "comes back by a reboot, at the latest in #",
                "kept until homeserver is back",
            ],
        ),
        lost: ("Not yet: its guard brings it back by itself.", &["comes back by a reboot, at the latest in #"]),
        todo: (
            "Nothing; or leave, and look later.",
            &["Ctrl-C twice leaves, and nothing is lost by that", "to end it: fleetdeploy recover homelab"],
        ),
    },
    Moment {
        title: "It did not come back",
        typed: "fleetdeploy push homelab",
        record: "cable",
        at: At::End,
        happens: (
            "vps and web run their old systems. homeserver does not answer although its guard has \
 fired: its cable is out.",
            &["LOST", "its guard should have brought it back, and it does not answer"],
        ),
        lost: ("homeserver: somebody must look at it.", &["LOST"]),
        todo: (
            "Go there; then `fleetdeploy recover homelab`.",
            &["next: fleetdeploy recover homelab, when homeserver answers again (if not by itself: \
 switch off and on)"],
        ),
    },
    Moment {
        title: "A first Ctrl-C, while one is out of reach",
        typed: "fleetdeploy push homelab",
        record: "left",
        at: At::After { event: r#""code":"signal-while-going-back""#, seconds: 0.5 },
        happens: (
            "It goes on going back: vps and web run their old systems, homeserver is tried until its guard reboots it.",
            &[
                "it is going back already, and goes on",
                "2 of 3 hosts run their old systems again",
                "out of reach: tried",
            ],
        ),
        lost: ("No: the guard of homeserver brings it back.", &["kept guards then fire, too, and reboot their hosts"]),
        todo: (
            "Nothing; or Ctrl-C once more, which leaves: nothing is lost by it.",
            &["Ctrl-C once more leaves, and nothing is lost by that", "fleetdeploy recover homelab"],
        ),
    },
];
