//! Decides when the connection to a master is given up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;

/// The longest time for which no connection is opened because a replica is being promoted. Sentinels
/// notice a promotion within about a second; they give it up only after their `failover-timeout`.
const PROMOTION: Duration = Duration::from_secs(5);

/// When most sentinels have named the same other master for this long, and none has named this one, it is given up
/// although their epochs are not higher. It is longer than a sentinel needs to hear of a fail-over from the others,
/// two seconds. An operator makes sentinels forget a master and monitor another one; then their epochs begin again.
const UNNAMED: Duration = Duration::from_secs(5);

/// The messages of sentinels that matter. The first one is published just before a replica is promoted.
pub(super) const CHANNELS: [&str; 6] = [
    PROMOTING,
    SWITCHED,
    "+failover-end",
    "-failover-abort-slave-timeout",
    "-failover-abort-master-timeout",
    "-failover-abort-no-good-slave",
];
const PROMOTING: &str = "+selected-slave";
const SWITCHED: &str = "+switch-master";

/// The master as a sentinel sees it. The epoch increases with each replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) epoch: u64,
    pub(super) host: String,
    pub(super) port: u16,
}

/// A message of a sentinel about the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A replica is promoted now.
    Promoting,
    /// The promotion has ended, or was given up.
    Ended,
    /// The sentinel has another master now, with this host and port.
    Switched(String, u16),
}

impl Event {
    /// Reads a message. Returns `None` if it is about something else, or about another master.
    pub(super) fn of(push: &PushInfo, master: &str) -> Option<Self> {
        let (PushKind::Message, [channel, text]) = (&push.kind, &push.data[..]) else {
            return None;
        };
        let (channel, text) = (words(channel)?, words(text)?);
        // `m OLD-HOST PORT …`, `master m HOST PORT`, or `slave NAME HOST PORT @ m HOST PORT`.
        let words: Vec<&str> = text.split(' ').collect();
        let ([_, _, _, _, "@", name, ..] | ["master", name, _, _] | [name, ..]) = words[..] else {
            return None;
        };
        if name != master {
            return None;
        }
        match (channel, &words[..]) {
            (PROMOTING, _) => Some(Self::Promoting),
            (SWITCHED, [_, _, _, host, port]) => {
                Some(Self::Switched((*host).to_owned(), port.parse().ok()?))
            }
            _ => Some(Self::Ended),
        }
    }
}

fn words(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The state of a master that may be replaced.
pub(super) struct Switch {
    /// Connections of an earlier generation must be given up.
    generation: watch::Sender<u64>,
    /// The number of sentinels.
    sentinels: usize,
    // Locked for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The master of the last connection.
    master: Option<View>,
    /// When a promotion began that has not ended.
    promotion: Option<Instant>,
    /// The master that a sentinel announced last.
    announced: Option<(String, u16)>,
    /// The sentinels that name another master than that of the last connection, with that master and since when.
    others: BTreeMap<usize, (String, u16, Instant)>,
}

impl Switch {
    pub(super) fn new(sentinels: usize) -> Self {
        Self { generation: watch::Sender::new(0), sentinels, state: Mutex::default() }
    }

    pub(super) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Waits until the generation is another one.
    pub(super) async fn superseded(&self, generation: u64) {
        let mut changes = self.generation.subscribe();
        // The sender lives as long as `self`.
        let _ = changes.wait_for(|current| *current != generation).await;
    }

    /// Returns whether the master is being replaced, so that its writes may be lost.
    pub(super) fn is_promoting(&self) -> bool {
        self.state().promotion.is_some_and(|since| since.elapsed() < PROMOTION)
    }

    /// Remembers the master to which a connection was opened.
    pub(super) fn connected(&self, view: View) {
        let mut state = self.state();
        state.master = Some(view);
        state.others.clear();
    }

    /// Returns whether a promotion has been announced and has not ended, however long ago.
    pub(super) fn is_waiting(&self) -> bool {
        self.state().promotion.is_some()
    }

    /// Returns the master that a sentinel announced last.
    pub(super) fn announced(&self) -> Option<(String, u16)> {
        self.state().announced.clone()
    }

    /// Gives the connection up if a replica is promoted, or another server has become the master.
    pub(super) fn notice(&self, event: Event) {
        let mut state = self.state();
        let running = state.promotion.filter(|since| since.elapsed() < PROMOTION);
        match event {
            Event::Promoting if running.is_some() => return,
            Event::Promoting => state.promotion = Some(Instant::now()),
            Event::Ended if running.is_none() => {
                state.promotion = None;
                return;
            }
            Event::Ended => state.promotion = None,
            Event::Switched(host, port) => {
                let is_known = |view: &View| (&view.host, view.port) == (&host, port);
                let is_connected = state.master.as_ref().is_some_and(is_known);
                state.announced = Some((host, port));
                if is_connected && running.is_none() {
                    return;
                }
                state.promotion = None;
            }
        }
        self.supersede();
    }

    /// Gives the connection up if this sentinel knows a newer master, or if most of them have named this other one for
    /// [`UNNAMED`] and none has named the present one meanwhile.
    pub(super) fn learn(&self, sentinel: usize, view: View) {
        let mut state = self.state();
        let Some(master) = &state.master else { return };
        let is_another = (&view.host, view.port) != (&master.host, master.port);
        let is_newer = view.epoch > master.epoch;
        let is_given_up = is_another && state.has_replaced(sentinel, &view, self.sentinels / 2 + 1);
        if !is_another {
            state.others.clear();
        }
        if is_newer || is_given_up {
            state.master = Some(view);
            state.others.clear();
        }
        if is_another && (is_newer || is_given_up) {
            state.promotion = None;
            self.supersede();
        }
    }

    /// Notes that a sentinel cannot be asked: what it named does not count until it names it again.
    pub(super) fn lost(&self, sentinel: usize) {
        self.state().others.remove(&sentinel);
    }

    fn supersede(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that a sentinel names another master. Returns whether so many have named this one for so long that it has
    /// replaced the master.
    fn has_replaced(&mut self, sentinel: usize, view: &View, most: usize) -> bool {
        let is_named = |host: &str, port| (host, port) == (view.host.as_str(), view.port);
        let new = || (view.host.clone(), view.port, Instant::now());
        let other = self.others.entry(sentinel).or_insert_with(new);
        if !is_named(&other.0, other.1) {
            *other = new();
        }
        let agree = |(host, port, since): &&(String, u16, Instant)| {
            is_named(host, *port) && since.elapsed() >= UNNAMED
        };
        self.others.values().filter(agree).count() >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(epoch: u64, port: u16) -> View {
        View { epoch, host: "10.0.0.1".to_owned(), port }
    }

    fn message(channel: &str, text: &str) -> PushInfo {
        let data = [channel, text].map(|word| Value::BulkString(word.into()));
        PushInfo { kind: PushKind::Message, data: data.into() }
    }

    #[test]
    fn messages_about_other_masters_are_passed_over() {
        let (promoting, ended) = (Some(Event::Promoting), Some(Event::Ended));
        let switched = Some(Event::Switched("10.0.0.2".to_owned(), 6379));
        for (channel, text, event) in [
            ("+selected-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ m 10.0.0.1 6379", promoting),
            ("+selected-slave", "slave m 10.0.0.2 6379 @ other 10.0.0.1 6379", None),
            ("+switch-master", "m 10.0.0.1 6379 10.0.0.2 6379", switched),
            ("+switch-master", "other 10.0.0.1 6379 10.0.0.2 6379", None),
            ("-failover-abort-slave-timeout", "master m 10.0.0.1 6379", ended),
            ("+failover-end", "master other 10.0.0.1 6379", None),
            ("+switch-master", "", None),
        ] {
            assert_eq!(Event::of(&message(channel, text), "m"), event, "{channel} {text}");
        }
        let confirmation = PushInfo { kind: PushKind::Subscribe, data: Vec::new() };
        assert_eq!(Event::of(&confirmation, "m"), None);
    }

    #[test]
    fn a_connection_is_given_up_before_the_promotion_and_after_it() {
        let switch = Switch::new(3);
        switch.connected(view(0, 1));
        switch.notice(Event::Promoting);
        assert_eq!((switch.generation(), switch.is_promoting()), (1, true));
        // A second sentinel does not begin it again, and an old answer does not end it.
        switch.notice(Event::Promoting);
        switch.learn(0, view(0, 1));
        assert_eq!((switch.generation(), switch.is_promoting()), (1, true));
        switch.learn(0, view(1, 2));
        assert_eq!((switch.generation(), switch.is_promoting()), (2, false));
        // The others report the same master later, and one has not noticed yet.
        switch.connected(view(1, 2));
        for late in [view(1, 2), view(0, 1)] {
            switch.learn(1, late);
        }
        switch.notice(Event::Ended);
        assert_eq!((switch.generation(), switch.is_promoting()), (2, false));
    }

    #[test]
    fn a_promotion_that_is_given_up_ends() {
        let switch = Switch::new(3);
        switch.connected(view(3, 1));
        switch.notice(Event::Promoting);
        switch.notice(Event::Ended);
        assert_eq!((switch.generation(), switch.is_promoting()), (2, false));
    }

    #[test]
    fn a_promotion_whose_end_nobody_announced_does_not_hide_the_next_one() {
        let switch = Switch::new(3);
        switch.connected(view(3, 1));
        switch.notice(Event::Promoting);
        switch.state().promotion = Instant::now().checked_sub(PROMOTION);
        assert!(!switch.is_promoting());
        let before = switch.generation();
        switch.notice(Event::Promoting);
        assert_eq!((switch.generation(), switch.is_promoting()), (before + 1, true));
    }

    #[test]
    fn a_switch_counts_even_if_the_epochs_are_unknown() {
        let switch = Switch::new(3);
        switch.connected(view(0, 1));
        switch.notice(Event::Switched("10.0.0.1".to_owned(), 1));
        assert_eq!(switch.generation(), 0);
        switch.notice(Event::Switched("10.0.0.1".to_owned(), 2));
        assert_eq!(switch.generation(), 1);
        assert_eq!(switch.announced(), Some(("10.0.0.1".to_owned(), 2)));
    }

    #[test]
    fn a_master_that_most_sentinels_have_forgotten_is_given_up() {
        let switch = Switch::new(3);
        switch.connected(view(2, 1));
        // One alone may be cut off, and two may not have heard of a fail-over yet.
        switch.learn(0, view(0, 2));
        wait(&switch);
        switch.learn(0, view(0, 2));
        assert_eq!(switch.generation(), 0);
        switch.learn(2, view(2, 1));
        switch.learn(0, view(0, 2));
        switch.learn(1, view(0, 2));
        assert_eq!(switch.generation(), 0);
        wait(&switch);
        switch.learn(1, view(0, 2));
        assert_eq!(switch.generation(), 1);
        switch.connected(view(0, 2));
        switch.learn(2, view(0, 2));
        assert_eq!(switch.generation(), 1);
    }

    #[test]
    fn each_of_most_sentinels_must_have_named_the_same_master_for_long() {
        let switch = Switch::new(3);
        switch.connected(view(2, 1));
        // A stale sentinel and one that starts without its configuration name the old master.
        switch.learn(0, view(0, 2));
        wait(&switch);
        switch.learn(1, view(0, 2));
        assert_eq!(switch.generation(), 0);
        // Two that disagree, and one that cannot be asked any more.
        switch.learn(1, view(0, 3));
        wait(&switch);
        switch.learn(1, view(0, 3));
        assert_eq!(switch.generation(), 0);
        switch.lost(0);
        switch.learn(1, view(0, 2));
        wait(&switch);
        switch.learn(1, view(0, 2));
        assert_eq!(switch.generation(), 0);
    }

    /// Makes all that sentinels name as old as it must be.
    fn wait(switch: &Switch) {
        for (_, _, since) in switch.state().others.values_mut() {
            *since = since.checked_sub(UNNAMED).expect("the machine has run for longer");
        }
    }

    #[tokio::test]
    async fn a_connection_can_be_held_until_its_end() {
        let switch = Switch::new(3);
        switch.connected(view(0, 1));
        let ended = async {
            tokio::task::yield_now().await;
            switch.learn(0, view(1, 2));
        };
        tokio::join!(switch.superseded(0), ended);
        switch.superseded(0).await;
    }
}
