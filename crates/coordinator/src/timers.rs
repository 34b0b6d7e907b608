use ottla_env::Monotonic;
use std::collections::BTreeMap;
use std::time::Duration;

/// The timers of one machine: at most one a key. Those that are due fire in the order of their deadlines, and of
/// their setting.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_deadline: BTreeMap<(Monotonic, u64), K>,
    by_key: BTreeMap<K, (Monotonic, u64)>,
    sequence: u64,
}

impl<K: Ord + Clone> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { by_deadline: BTreeMap::new(), by_key: BTreeMap::new(), sequence: 0 }
    }

    /// Sets or replaces a timer. A delay below zero is none.
    pub(crate) fn set(&mut self, key: K, now: Monotonic, delay_ms: i64) {
        let deadline = now + Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
        self.sequence += 1;
        let place = (deadline, self.sequence);
        if let Some(old) = self.by_key.insert(key.clone(), place) {
            self.by_deadline.remove(&old);
        }
        self.by_deadline.insert(place, key);
    }

    /// Sets a timer unless there is one of this key.
    pub(crate) fn set_if_absent(&mut self, key: K, now: Monotonic, delay_ms: i64) {
        if !self.by_key.contains_key(&key) {
            self.set(key, now, delay_ms);
        }
    }

    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(place) = self.by_key.remove(key) {
            self.by_deadline.remove(&place);
        }
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Monotonic) -> Option<K> {
        let entry = self.by_deadline.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let key = entry.remove();
        self.by_key.remove(&key);
        Some(key)
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.by_deadline.first_key_value().map(|((deadline, _), _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timers: &mut Timers<&'static str>, now: u64) -> Vec<&'static str> {
        std::iter::from_fn(|| timers.pop_due(Monotonic(now * 1_000_000))).collect()
    }

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let mut timers = Timers::new();
        timers.set("c", Monotonic(0), 30);
        timers.set("a", Monotonic(0), 10);
        timers.set("b", Monotonic(0), 10);
        assert_eq!(timers.next_deadline(), Some(Monotonic(10_000_000)));
        assert_eq!(due(&mut timers, 9), Vec::<&str>::new());
        assert_eq!(due(&mut timers, 30), ["a", "b", "c"]);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_timer_that_is_set_again_fires_only_at_its_new_time() {
        let mut timers = Timers::new();
        timers.set("a", Monotonic(0), 10);
        timers.set("a", Monotonic(5_000_000), 10);
        timers.set("b", Monotonic(0), 1);
        timers.cancel(&"b");
        timers.cancel(&"never set");
        assert_eq!(due(&mut timers, 14), Vec::<&str>::new());
        assert_eq!(due(&mut timers, 15), ["a"]);
    }

    #[test]
    fn a_timer_that_runs_is_not_set_again_when_only_an_absent_one_is_to_be() {
        let mut timers = Timers::new();
        timers.set_if_absent("a", Monotonic(0), 10);
        timers.set_if_absent("a", Monotonic(5_000_000), 10);
        assert_eq!(due(&mut timers, 10), ["a"]);
        timers.set_if_absent("a", Monotonic(10_000_000), 10);
        assert_eq!(due(&mut timers, 20), ["a"]);
    }

    #[test]
    fn a_negative_delay_is_due_at_once() {
        let mut timers = Timers::new();
        timers.set("a", Monotonic(7), -1);
        assert_eq!(timers.pop_due(Monotonic(7)), Some("a"));
    }
}
