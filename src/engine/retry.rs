//! Tries one order again until its host has answered or its time is over. Every script is idempotent on its host: if a
//! reply was lost, the order is sent again, and the host says how it stands instead of doing it twice.

use std::future::Future;
use std::time::Duration;

use super::clock::{Clock, within};
use super::hosts::{Order, StepNote, StepNotes};
use crate::decide::vocabulary::{Answer, Step};
use crate::event::reason::cause::Cause;
use crate::facts::host::Standing;
use crate::facts::step_answer::{StepAnswer, StepOutcome};

/// The pause between two tries to reach a host: short at first, then so long that sshd does not punish the address
/// (docs/facts.md, "Penalties of sshd").
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The shortest pause after an sshd has refused the account: that costs this address a penalty of 5 s, and a run that
/// collects more than it waits off is soon let in nowhere there.
const REFUSED_PAUSE: Duration = Duration::from_secs(6);

/// The shortest time in which a script can answer.
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// How long the way there and back may take beyond a script's own limit on the host.
pub(super) const WAY: Duration = Duration::from_secs(10);

/// How much later than the try itself we give it up. The try's own limit can say more about what hung, so it comes
/// first; but it counts on a clock that stands still in a suspend, so ours is needed as well.
const GRACE: Duration = Duration::from_secs(1);

/// If the time between two tries is longer than it may be by this much, the workstation was suspended.
const SUSPENDED: Duration = Duration::from_secs(10);

/// How long the way to a host may need to come up again after a suspend.
const AFTER_SUSPEND: Duration = Duration::from_secs(60);

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    Answer(Answer),
    /// It is not known what came of it; another try may tell.
    Lost {
        why: Cause,
        /// Whether this try may have reached the host all the same.
        may_have_run: bool,
    },
    /// The host answered, and is not yet in the state that the order waits for.
    NotYet(Box<Standing>),
}

/// Tries until there is an answer, or until `order.until`. `attempt` is told how long it may take.
pub async fn until_answered<Attempt: Future<Output = Try>>(
    clock: &dyn Clock,
    order: &Order,
    notes: &StepNotes,
    attempt: impl Fn(Duration) -> Attempt,
) -> Answer {
    let mut pause = FIRST_PAUSE;
    let mut refused = false;
    // The first reason says most, because the later tries have less and less time.
    let mut why: Option<Cause> = None;
    let mut lost = false;
    let mut may_have_run = false;
    let mut seen: Option<Box<Standing>> = None;
    let mut until = order.until;
    // The notes are for the screen, and the receiver is gone only when the push is over.
    let note = |note| drop(notes.send(note));
    loop {
        let begun = clock.now();
        let left = until.saturating_sub(begun);
        if left < SHORTEST_TRY {
            // The host that answered last, and was not yet where it should be, is no unknown host: its state is an
            // answer, and the decider judges it.
            return match seen {
                Some(standing) => {
                    let (outcome, log) = (StepOutcome::Done, Vec::new());
                    Answer::Said(Box::new(StepAnswer { outcome, standing: *standing, log }))
                }
                None => Answer::Unknown { why: why.unwrap_or(Cause::NoTimeToAsk) },
            };
        }
        let limit = left.min(order.limit + WAY);
        // A take-over may first wait until a switch has ended there.
        let more = if matches!(order.step, Step::TakeOver { .. }) { order.limit + WAY * 4 } else { GRACE };
        let came = within(clock, limit + more, attempt(limit)).await;
        let over = || Try::Lost { why: Cause::SilentTooLong { waited: limit }, may_have_run: true };
        match came.unwrap_or_else(over) {
            Try::Answer(answer) => {
                if lost {
                    note(StepNote::Made);
                }
                return match answer {
                    // An earlier try may have run before the host began to refuse the login, so nothing is known of it.
                    Answer::Denied { why } if may_have_run => Answer::Unknown { why },
                    answer => answer,
                };
            }
            Try::NotYet(standing) => seen = Some(standing),
            Try::Lost { why: reason, may_have_run: this_one } => {
                may_have_run |= this_one;
                refused = matches!(reason, Cause::AccountRefused { .. });
                // Once is enough for the screen; and a host that its guard brings back is expected to be away.
                if !lost && !matches!(order.step, Step::Return { .. } | Step::TakeOver { by_guard: true }) {
                    note(StepNote::Lost { why: reason.clone() });
                    lost = true;
                }
                why.get_or_insert(reason);
                // It was seen before the contact was lost, and may be somewhere else by now.
                seen = None;
            }
        }
        note(StepNote::StillAway { answers: seen.is_some() });
        let next = if refused { pause.max(REFUSED_PAUSE) } else { pause };
        clock.sleep_until(clock.now() + next.min(left)).await;
        // `clock` goes on in a suspend, so after one the order's time may be over before the network is up again.
        let awake = clock.now();
        if awake > begun + limit + more + next + SUSPENDED && begins_nothing(&order.step) {
            // An order that begins nothing gets more time; a step forward must not, since its guard went on counting.
            // A state that was seen before the suspend is no answer any more.
            until = until.max(awake + AFTER_SUSPEND);
            seen = None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether the order may go out at any time, because it only asks how a guard stands, or ends one.
fn begins_nothing(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::Disarm { .. } | Step::TakeOver { .. } | Step::Ask)
}
