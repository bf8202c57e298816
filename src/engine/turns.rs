//! The window: at most so many logins, and so many copies, are under way at once, and the other hosts wait for their
//! turn. Connections that are open are not counted.
//!
//! A turn of a login is for the whole way to its host: the masters of jumps on it are made within it, by whichever host
//! behind them has its turn first. So no holder of a turn waits for another turn, also where all hosts stand behind
//! each other and the window is 1.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::event::Event;
use crate::event::activity::Doing;
use crate::event::stream::Events;
use crate::inventory::model::HostName;

/// The part of a login's time that it waits for its turn once guards count down; then it begins without one.
const SHARE_IN_HASTE: u32 = 4;

/// The turns of one run.
#[derive(Debug)]
pub struct Turns {
    logins: Semaphore,
    copies: Semaphore,
    at_once: u16,
    in_haste: AtomicBool,
    events: Events,
}

/// The turn of one login, and how long the login may take from now on.
#[derive(Debug)]
pub(super) struct LoginTurn<'a> {
    /// `None`: it begins without one.
    _permit: Option<SemaphorePermit<'a>>,
    pub(super) limit: Duration,
}

impl Turns {
    /// Lets this many logins, and as many copies, be under way at once. Who waits is told of.
    #[must_use]
    pub fn new(at_once: u16, events: &Events) -> Self {
        let window = || Semaphore::new(usize::from(at_once.max(1)));
        let (logins, copies) = (window(), window());
        Self { logins, copies, at_once, in_haste: AtomicBool::new(false), events: events.clone() }
    }

    /// From now on guards may count down: a login waits only for a part of its time, and then begins all the same. A
    /// host that does not answer must not keep another one from being proven, or brought back.
    pub(super) fn make_haste(&self) {
        self.in_haste.store(true, Ordering::Relaxed);
    }

    /// Waits for the turn of a login that may take `connect`; with what follows it, `limit`.
    ///
    /// Before anything is touched the wait is not taken from the login's own time: else hosts at the end of the line
    /// would fail for those before them. It has an end, because each login that is under way has its limit.
    pub(super) async fn login(&self, host: &HostName, connect: Duration, limit: Duration) -> LoginTurn<'_> {
        if let Ok(permit) = self.logins.try_acquire() {
            return LoginTurn { _permit: Some(permit), limit };
        }
        if self.in_haste.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let permit = timeout(connect.min(limit) / SHARE_IN_HASTE, self.logins.acquire()).await;
            let permit = permit.ok().and_then(Result::ok);
            return LoginTurn { _permit: permit, limit: limit.saturating_sub(begun.elapsed()) };
        }
        self.events.publish(Event::moved(host, Doing::WaitingToLogIn { at_once: self.at_once }));
        // The window is never closed.
        let permit = self.logins.acquire().await.ok();
        self.events.publish(Event::moved_within(host, Doing::Connecting, connect.min(limit)));
        LoginTurn { _permit: permit, limit }
    }

    /// Tells that a host has let the run in for the first time, and how long its answer may take.
    pub(super) fn logged_in(&self, host: &HostName, limit: Duration) {
        self.events.publish(Event::moved_within(host, Doing::Answering, limit));
    }

    /// Waits for the turn of a copy. Each copy that is under way has its limit.
    pub(super) async fn copy(&self, host: &HostName) -> Option<SemaphorePermit<'_>> {
        self.copy_or_build([host], Doing::WaitingForCopy { at_once: self.at_once }).await
    }

    /// Waits for the turn of a build of these hosts' systems in the store of a host. It has a nix here and a connection
    /// that carries much, as a copy has, and so it has its turn among the copies.
    pub(super) async fn build(&self, of: impl IntoIterator<Item = &HostName>) -> Option<SemaphorePermit<'_>> {
        self.copy_or_build(of, Doing::WaitingToBuild { at_once: self.at_once }).await
    }

    async fn copy_or_build(
        &self,
        of: impl IntoIterator<Item = &HostName>,
        waiting: Doing,
    ) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.copies.try_acquire() {
            return Some(permit);
        }
        for host in of {
            self.events.publish(Event::moved(host, waiting));
        }
        self.copies.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;
    use pretty_assertions::assert_eq;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn hosts(count: usize) -> Vec<HostName> {
        (0..count).map(|number| HostName::new(format!("host{number}")).unwrap()).collect()
    }

    /// Takes a turn for each host, holds it for a second, and returns how many were held at once at most.
    async fn most_at_once<Turn>(take: impl AsyncFn(&HostName) -> Turn) -> usize {
        let (now, most, hosts) = (AtomicUsize::new(0), AtomicUsize::new(0), hosts(40));
        let one = async |host| {
            let turn = take(host).await;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            drop(turn);
        };
        join_all(hosts.iter().map(one)).await;
        most.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_logins_and_no_more_copies_are_under_way_than_the_window_has_room_for() {
        for at_once in [1, 3, 16] {
            let turns = Turns::new(at_once, &Events::new(None));
            let logins = most_at_once(async |host: &HostName| {
                let turn = turns.login(host, LIMIT, LIMIT).await;
                assert_eq!(turn.limit, LIMIT, "the wait is taken from no login's own time");
                turn
            });
            let copies = most_at_once(async |host: &HostName| turns.copy(host).await);
            assert_eq!(tokio::join!(logins, copies), (usize::from(at_once), usize::from(at_once)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_says_for_what_and_a_copy_does_not_wait_for_logins() {
        let events = Events::new(None);
        let (told, heard) = std::sync::mpsc::channel();
        let listener =
            events.listen("test", move |line| told.send(line.event.clone()).map_err(std::io::Error::other)).unwrap();
        let (turns, hosts) = (Turns::new(1, &events), hosts(3));
        let held = turns.login(&hosts[0], LIMIT, LIMIT).await;
        let copying = turns.copy(&hosts[0]).await;
        assert!(timeout(Duration::from_secs(1), turns.login(&hosts[1], LIMIT, LIMIT)).await.is_err());
        assert!(timeout(Duration::from_secs(1), turns.copy(&hosts[2])).await.is_err());
        assert!(timeout(Duration::from_secs(1), turns.build(&hosts[..2])).await.is_err());
        drop((held, copying));
        let _ = listener.finish(LIMIT);
        let moved = |host: &HostName, doing: &str| Event::moved(host, doing);
        assert_eq!(
            heard.iter().collect::<Vec<_>>(),
            [
                moved(&hosts[1], "waiting for its turn to connect: 1 at once"),
                moved(&hosts[2], "waiting for its turn to be copied to: 1 at once"),
                moved(&hosts[0], "waiting for the turn of its build: 1 at once"),
                moved(&hosts[1], "waiting for the turn of its build: 1 at once"),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn once_guards_count_down_no_login_waits_for_one_that_hangs() {
        let (turns, hosts) = (Turns::new(1, &Events::new(None)), hosts(2));
        let hangs = turns.login(&hosts[0], LIMIT, LIMIT).await;
        turns.make_haste();
        let begun = Instant::now();
        let turn = turns.login(&hosts[1], LIMIT, LIMIT * 3).await;
        let waited = begun.elapsed();
        assert_eq!((waited, waited + turn.limit), (LIMIT / SHARE_IN_HASTE, LIMIT * 3));
        drop(hangs);
    }
}
