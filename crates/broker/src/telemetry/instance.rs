use super::subscription::Subscriptions;
use super::{Client, Push};
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many clients are remembered; the one that was silent for longest is forgotten for the next. Kafka's figure.
const INSTANCES_MAX: usize = 16_384;
/// How long a client is remembered at least. Kafka's figure.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The last of the known compression types; they are numbered from 0.
const LAST_COMPRESSION_TYPE: i8 = 4;

/// The clients that were heard of lately. At most [`INSTANCES_MAX`].
#[derive(Default)]
pub(super) struct Instances {
    by_id: BTreeMap<Uuid, Instance>,
    /// In the order in which they were heard of. One entry for each of `by_id`.
    by_turn: BTreeMap<u64, Uuid>,
    next_turn: u64,
}

/// What is remembered of a client.
pub(super) struct Instance {
    version: u64,
    id: i32,
    metrics: BTreeSet<String>,
    interval_ms: i32,
    turn: u64,
    heard: Monotonic,
    asked: Option<Monotonic>,
    pushed: Option<Monotonic>,
    is_terminating: bool,
    last_error: ErrorCode,
}

/// A client's subscription.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Subscribed {
    pub(crate) instance: Uuid,
    pub(crate) id: i32,
    pub(crate) metrics: Vec<String>,
    pub(crate) push_interval_ms: i32,
}

impl Instances {
    /// The client, made anew when it is not known or the subscriptions have changed since.
    pub(super) fn heard_of(
        &mut self,
        id: Uuid,
        now: Monotonic,
        subscriptions: &Subscriptions,
        client: &Client,
    ) -> &mut Instance {
        if let Some(known) = self.by_id.get(&id) {
            self.by_turn.remove(&known.turn);
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.by_turn.insert(turn, id);
        let instance = self.by_id.entry(id).or_insert_with(|| Instance::new(id, subscriptions, client));
        let is_forgotten = instance.asked.or(instance.pushed).is_some() && now.since(instance.heard) >= instance.kept();
        if is_forgotten || instance.version != subscriptions.version {
            *instance = Instance::new(id, subscriptions, client);
        }
        (instance.turn, instance.heard) = (turn, now);
        if self.by_turn.len() > INSTANCES_MAX
            && let Some((_, silent)) = self.by_turn.pop_first()
        {
            self.by_id.remove(&silent);
        }
        // It is the last of its order, so never the one that was just forgotten.
        self.by_id.entry(id).or_insert_with(|| Instance::new(id, subscriptions, client))
    }
}

impl Instance {
    fn new(id: Uuid, subscriptions: &Subscriptions, client: &Client) -> Self {
        let (metrics, interval_ms) = subscriptions.of(id, client);
        Self {
            version: subscriptions.version,
            id: subscription_id(id, &metrics, interval_ms),
            metrics,
            interval_ms,
            turn: 0,
            heard: Monotonic::default(),
            asked: None,
            pushed: None,
            is_terminating: false,
            last_error: ErrorCode::None,
        }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.interval_ms).unwrap_or(0))
    }

    fn kept(&self) -> Duration {
        REMEMBERED.max(self.interval() * 3)
    }

    fn is_due(&self, last: Option<Monotonic>, now: Monotonic) -> bool {
        last.is_none_or(|last| now.since(last) >= self.interval())
    }

    /// The client asks. It may do so once in an interval, and at once after it has been told that its subscription or
    /// compression is none.
    pub(super) fn ask(&mut self, now: Monotonic) -> Result<(), ErrorCode> {
        let may_ask_again =
            matches!(self.last_error, ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType);
        if self.is_due(self.asked.max(self.pushed), now) {
            self.asked = Some(now);
        } else if !may_ask_again {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        self.last_error = ErrorCode::None;
        Ok(())
    }

    /// The client pushes. It may do so at once after it has asked, and then once in an interval; and a last time.
    pub(super) fn push(&mut self, push: &Push, now: Monotonic) -> Result<(), ErrorCode> {
        let checked = self.check(push, now);
        self.is_terminating = push.is_terminating;
        self.last_error = checked.err().unwrap_or(ErrorCode::None);
        checked
    }

    fn check(&mut self, push: &Push, now: Monotonic) -> Result<(), ErrorCode> {
        if self.is_terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        if self.asked > self.pushed || self.is_due(self.pushed, now) {
            self.pushed = Some(now);
        } else if !push.is_terminating {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        if push.subscription_id != self.id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        if !(0..=LAST_COMPRESSION_TYPE).contains(&push.compression_type) {
            return Err(ErrorCode::UnsupportedCompressionType);
        }
        if push.bytes > push.bytes_max {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        Ok(())
    }

    pub(super) fn subscribed(&self, instance: Uuid) -> Subscribed {
        Subscribed {
            instance,
            id: self.id,
            metrics: self.metrics.iter().cloned().collect(),
            push_interval_ms: self.interval_ms,
        }
    }
}

/// Kafka's rule (KIP-714): a checksum of what is subscribed, mixed with the client's id, so that each change has another
/// number. Kafka's order of several metrics is that of a hash table; its numbers then differ from ours, and no client
/// compares them.
fn subscription_id(instance: Uuid, metrics: &BTreeSet<String>, interval_ms: i32) -> i32 {
    let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
    let text = format!("[{}]{interval_ms}", metrics.join(", "));
    let checksum = crc_fast::crc32_iscsi(text.as_bytes());
    let bits = instance.as_u128();
    let halves = (bits >> 64) as u64 ^ bits as u64;
    (checksum ^ (halves >> 32) as u32 ^ halves as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn at(ms: u64) -> Monotonic {
        Monotonic::default() + Duration::from_millis(ms)
    }

    fn instance() -> Instance {
        Instance::new(ID, &Subscriptions::default(), &Client::default())
    }

    fn push(instance: &Instance) -> Push {
        Push {
            instance: ID,
            subscription_id: instance.id,
            is_terminating: false,
            compression_type: 0,
            bytes: 1,
            bytes_max: 1,
        }
    }

    #[test]
    fn a_client_asks_and_pushes_once_in_an_interval() {
        let mut client = instance();
        let good = push(&client);
        assert_eq!(client.ask(at(1)), Ok(()));
        assert_eq!(client.ask(at(2)), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(client.push(&good, at(3)), Ok(()), "at once after it has asked");
        assert_eq!(client.push(&good, at(300_002)), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(client.push(&good, at(300_003)), Ok(()));
    }

    #[test]
    fn a_client_that_pushed_for_another_subscription_may_ask_at_once() {
        let mut client = instance();
        let other = Push { subscription_id: client.id ^ 1, ..push(&client) };
        assert_eq!(client.push(&other, at(1)), Err(ErrorCode::UnknownSubscriptionId));
        assert_eq!(client.ask(at(2)), Ok(()));
        assert_eq!(client.ask(at(3)), Err(ErrorCode::ThrottlingQuotaExceeded));
    }

    #[test]
    fn a_push_is_refused_for_its_compression_and_its_size() {
        let mut client = instance();
        let strange = Push { compression_type: 5, ..push(&client) };
        assert_eq!(client.push(&strange, at(1)), Err(ErrorCode::UnsupportedCompressionType));
        let large = Push { bytes: 2, ..push(&client) };
        assert_eq!(client.push(&large, at(300_001)), Err(ErrorCode::TelemetryTooLarge));
    }

    #[test]
    fn nothing_comes_after_a_last_push() {
        let mut client = instance();
        let last = Push { is_terminating: true, ..push(&client) };
        assert_eq!(client.push(&push(&instance()), at(1)), Ok(()));
        assert_eq!(client.push(&last, at(2)), Ok(()), "whenever it comes");
        assert_eq!(client.push(&last, at(3)), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn only_so_many_clients_are_remembered_and_none_for_longer_than_three_intervals() {
        let mut instances = Instances::default();
        let (subscriptions, client) = (Subscriptions::default(), Client::default());
        let mut hear = |id: usize, ms| {
            let id = Uuid::from_u128(id as u128);
            let asked = instances.heard_of(id, at(ms), &subscriptions, &client).ask(at(ms));
            assert!(instances.by_id.len() <= INSTANCES_MAX && instances.by_id.len() == instances.by_turn.len());
            asked
        };
        for id in 0..=INSTANCES_MAX {
            assert_eq!(hear(id, 1), Ok(()));
        }
        assert_eq!(hear(0, 2), Ok(()), "it was forgotten, being the first");
        assert_eq!(hear(INSTANCES_MAX, 2), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(hear(INSTANCES_MAX, 900_002), Ok(()));
    }
}
