//! One order is tried again until its host has answered or its time is over. Every script is idempotent on its host, so
//! an order whose reply was lost is sent again, and the host says how it stands.

use std::future::Future;
use std::time::Duration;

use super::clock::{Clock, within};
use super::hosts::{Order, StepNote, StepNotes};
use crate::decide::vocabulary::{Answer, Step};
use crate::facts::host::Standing;
use crate::facts::step_answer::{StepAnswer, StepOutcome};

/// Between two tries to reach a host: short at first, then no more than sshd forgives
/// (docs/facts.md, "Penalties of sshd").
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Less than this is no time for a script to answer in.
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// What the way there and back may take beyond a script's own limit on the host.
pub(super) const WAY: Duration = Duration::from_secs(10);

/// A try has a limit of its own, which can say more about what hung; but it is counted on a clock that stands still in
/// suspend.
const GRACE: Duration = Duration::from_secs(1);

/// Between two tries nothing takes so much longer than it may, but a suspend.
const SUSPENDED: Duration = Duration::from_secs(10);

/// What the way to a host may need to come up again after a suspend.
const AFTER_SUSPEND: Duration = Duration::from_secs(60);

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    Answer(Answer),
    /// Nobody knows; worth another try.
    Lost {
        why: String,
        /// Whether this try may have reached the host all the same.
        may_have_run: bool,
    },
    /// The host answered, and is not yet where it is waited for.
    NotYet(Box<Standing>),
}

/// Tries until there is an answer, or `order.until` has come. `attempt` is given how long it may take.
pub async fn until_answered<Attempt: Future<Output = Try>>(
    clock: &dyn Clock,
    order: &Order,
    notes: &StepNotes,
    attempt: impl Fn(Duration) -> Attempt,
) -> Answer {
    let mut pause = FIRST_PAUSE;
    // The first reason tells most: the later tries have less and less time.
    let mut why: Option<String> = None;
    let mut lost = false;
    let mut may_have_run = false;
    let mut seen: Option<Box<Standing>> = None;
    let mut until = order.until;
    // The notes are for the screen: whoever listened is gone only when the push is over.
    let note = |note| drop(notes.send(note));
    loop {
        let begun = clock.now();
        let left = until.saturating_sub(begun);
        if left < SHORTEST_TRY {
            return match seen {
                Some(standing) => {
                    let (outcome, log) = (StepOutcome::Done, Vec::new());
                    Answer::Said(Box::new(StepAnswer { outcome, standing: *standing, log }))
                }
                None => Answer::Unknown { why: why.unwrap_or_else(|| "there was no time to ask it".to_owned()) },
            };
        }
        let limit = left.min(order.limit + WAY);
        // Whoever takes a host over may first let a switch end there.
        let more = if matches!(order.step, Step::TakeOver { .. }) { order.limit + WAY * 4 } else { GRACE };
        let came = within(clock, limit + more, attempt(limit)).await;
        let over = || Try::Lost { why: format!("no answer within {} s", limit.as_secs()), may_have_run: true };
        match came.unwrap_or_else(over) {
            Try::Answer(answer) => {
                if lost {
                    note(StepNote::Made);
                }
                return match answer {
                    // That the host lets us in no more says nothing of a try before.
                    Answer::Denied { why } if may_have_run => Answer::Unknown { why },
                    answer => answer,
                };
            }
            Try::NotYet(standing) => seen = Some(standing),
            Try::Lost { why: reason, may_have_run: this_one } => {
                may_have_run |= this_one;
                if !lost && !matches!(order.step, Step::Return { .. } | Step::TakeOver { by_guard: true }) {
                    note(StepNote::Lost { why: reason.clone() });
                    lost = true;
                }
                why.get_or_insert(reason);
                // Where it was seen long ago says nothing about where it is.
                seen = None;
            }
        }
        note(StepNote::StillAway { answers: seen.is_some() });
        clock.sleep_until(clock.now() + pause.min(left)).await;
        let awake = clock.now();
        if awake > begun + limit + more + pause + SUSPENDED && begins_nothing(&order.step) {
            // What was seen before the suspend is no answer any more.
            until = until.max(awake + AFTER_SUSPEND);
            seen = None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the order may go out at any time: it asks how a guard stands, or ends one.
fn begins_nothing(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::Disarm { .. } | Step::TakeOver { .. } | Step::Ask)
}
