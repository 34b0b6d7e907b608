//! Rebalances around a member that does not poll for too long.

use super::{PATIENCE, create};
use ottla_tests::{Asker, Target, unique};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use serde_json::json;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The shortest session that the server grants is shorter: see [`SETTINGS`].
const SESSION_MS: &str = "1000";

/// So long a member may leave its polls.
const MAX_POLL_MS: &str = "1500";

/// For the server that this is done at.
pub(super) const SETTINGS: (&str, &str) = ("group.min.session.timeout.ms", "500");

/// How long the group is watched for a rebalance that nobody has asked for.
const WATCHED: Duration = Duration::from_secs(3);

/// What is polled for at a time.
const POLL: Duration = Duration::from_millis(20);

/// Notes how many partitions came and went.
#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl ClientContext for Noted {}

impl ConsumerContext for Noted {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => self.note(format!("+{}", partitions.count())),
            Rebalance::Revoke(partitions) => self.note(format!("-{}", partitions.count())),
            Rebalance::Error(error) => self.note(error.to_string()),
        }
    }
}

impl Noted {
    fn note(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn member(target: &Target, group: &str) -> BaseConsumer<Noted> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", target.bootstrap()).set("group.id", group);
    config.set("session.timeout.ms", SESSION_MS).set("heartbeat.interval.ms", "100");
    config.set("max.poll.interval.ms", MAX_POLL_MS);
    let member: BaseConsumer<Noted> = config.create_with_context(Noted::default()).unwrap();
    member.subscribe(&["stalled"]).unwrap();
    member
}

/// Polls these members until the last event of each is the wanted one.
fn poll_until(members: &[(&BaseConsumer<Noted>, &[&str])]) {
    let end = Instant::now() + PATIENCE;
    while members.iter().any(|(member, wanted)| member.context().all() != *wanted) {
        let seen: Vec<_> = members.iter().map(|(member, _)| member.context().all()).collect();
        assert!(Instant::now() < end, "{seen:?}");
        for (member, _) in members {
            // An error here is that of the poll that came too late, which is what is done on purpose.
            let _ = member.poll(POLL);
        }
    }
}

/// A member of two stops to poll, is left out, and comes back: each is one rebalance, and no other follows.
pub(super) fn a_member_that_polls_too_late_is_out_and_in_by_one_rebalance_each(target: &Target) {
    create(&mut Asker::new(target.bootstrap()), "stalled", 2, &json!([]));
    let group = unique("stalled");
    let stays = member(target, &group);
    poll_until(&[(&stays, &["+2"])]);
    let stalls = member(target, &group);
    poll_until(&[(&stays, &["+2", "-2", "+1"]), (&stalls, &["+1"])]);
    let out = ["+2", "-2", "+1", "-1", "+2"];
    poll_until(&[(&stays, &out)]);
    assert_eq!(stalls.context().all(), ["+1"], "who does not poll hears of nothing");
    let back = ["+2", "-2", "+1", "-1", "+2", "-2", "+1"];
    poll_until(&[(&stays, &back), (&stalls, &["+1", "-1", "+1"])]);
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        let _ = (stays.poll(POLL), stalls.poll(POLL));
    }
    assert_eq!(
        (stays.context().all(), stalls.context().all()),
        (back.map(str::to_owned).to_vec(), vec!["+1".to_owned(), "-1".to_owned(), "+1".to_owned()])
    );
}
