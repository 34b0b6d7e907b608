//! Everything that clients do to one node, at once: plain, idempotent and transactional producers, groups of both
//! protocols, topics that come, change and go, compaction, retention and deleted records. What they were told goes into
//! one [`History`]. The loads outlive the server, and go on when it is back.

mod client_loads;
mod committed_reader;
mod fenced;
mod log_writer;
mod money;
mod observer;
mod plain;
mod reader;
mod stranger;
mod topic_changes;
mod topics;
mod wire;
mod world;

pub use committed_reader::{Committed, read_committed};
pub use log_writer::{Entry, LogWriter, Written};
pub use observer::{Observer, commit_offset};
pub use plain::delete_records;
pub use reader::LogReader;
pub use topics::{configure, created, look_at_topic};
pub use wire::Wire;
pub use world::{Stage, World, now_ms};

use crate::group_member::{GroupPlan, Member, Mood, Partition, Speech, Witness};
use crate::history::{Compacted, History, Lease, LogName, Policy, Postings, Scan};
use ottla_client::GroupProtocol;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the server is to be set to, so that everything happens within seconds.
pub const SETTINGS: [(&str, &str); 14] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "1500"),
    ("group.consumer.min.heartbeat.interval.ms", "200"),
    ("group.consumer.heartbeat.interval.ms", "300"),
    ("group.consumer.assignment.interval.ms", "100"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("log.retention.check.interval.ms", "500"),
    ("log.cleaner.backoff.ms", "200"),
    ("log.flush.offset.checkpoint.interval.ms", "500"),
    ("log.segment.delete.delay.ms", "200"),
    ("log.segment.bytes", "1048576"),
    ("log.initial.task.delay.ms", "100"),
];

/// The session of members of groups.
pub const SESSION: Duration = Duration::from_millis(1500);
const REBALANCE: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_millis(100);

/// Members that speak by single requests, of each group.
const MEMBERS: usize = 3;

/// How much of the log that is kept to a size stays.
const RETENTION_BYTES: u64 = 300_000;

const MONEY: &str = "money";
const STRANGERS: &str = "strangers";

/// What is kept small, so that segments are closed, compacted and removed within a run.
const SMALL_SEGMENTS: (&str, &str) = ("internal.segment.bytes", SMALL_SEGMENT_BYTES);

/// A segment's size in a run of minutes.
pub const SMALL_SEGMENT_BYTES: &str = "65536";

/// A segment's size in a run of hours, in which logs that keep everything would have too many small ones.
pub const LARGE_SEGMENT_BYTES: &str = "268435456";

/// The logs that stay for the whole run.
#[derive(Clone, Debug)]
struct Logs {
    steady: Vec<LogName>,
    weak: Vec<LogName>,
    orders: Vec<LogName>,
    postings: Vec<LogName>,
    fenced: Vec<LogName>,
    keyed: Vec<LogName>,
    short: Vec<LogName>,
    trimmed: Vec<LogName>,
    strange: Vec<LogName>,
}

impl Logs {
    fn create(address: &str, segment_bytes: &str) -> io::Result<Self> {
        let segments = ("internal.segment.bytes", segment_bytes);
        let topic = |name: &str, partitions, configs: &[(&str, &str)]| created(address, name, partitions, configs);
        let retention = RETENTION_BYTES.to_string();
        let compaction = [
            SMALL_SEGMENTS,
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "1000"),
        ];
        Ok(Self {
            steady: topic("steady", 3, &[segments])?,
            weak: topic("weak", 2, &[segments])?,
            orders: topic("orders", 2, &[segments])?,
            postings: topic("postings", 3, &[segments])?,
            fenced: topic("fenced", 1, &[])?,
            keyed: topic("keyed", 1, &compaction)?,
            short: topic("short", 1, &[SMALL_SEGMENTS, ("retention.bytes", &retention)])?,
            trimmed: topic("trimmed", 1, &[SMALL_SEGMENTS])?,
            strange: topic("strange", 1, &[])?,
        })
    }

    fn all(&self) -> Vec<LogName> {
        let Self { steady, weak, orders, postings, fenced, keyed, short, trimmed, strange } = self;
        [steady, weak, orders, postings, fenced, keyed, short, trimmed, strange]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// All loads of one run.
pub struct MixedLoad {
    /// What they share.
    pub world: Arc<World>,
    /// Looks at the server after each restart.
    pub observer: Observer,
    logs: Logs,
    readers: Vec<String>,
    loads: Vec<(String, JoinHandle<()>)>,
}

/// Whether a client that is not ours takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// confluent-kafka does.
    Welcome,
    /// None does.
    Absent,
}

impl MixedLoad {
    /// Creates the topics on a server that answers, with segments of this size where nothing is ever removed, and starts the
    /// loads.
    ///
    /// # Errors
    /// The topics can't be created.
    pub fn start(world: World, strangers: Strangers, segment_bytes: &str) -> io::Result<Self> {
        let logs = Logs::create(&world.address, segment_bytes)?;
        let shared = created(&world.address, "shared", 8, &[])?;
        {
            let history = &mut *world.history();
            history.compacted.insert(logs.keyed[0].clone(), Compacted::default());
            let policy = Policy { retention_bytes: Some(RETENTION_BYTES), ..Policy::default() };
            history.policies.insert(logs.short[0].clone(), policy);
        }
        let observer = Observer::new(&world, &logs.all());
        let world = Arc::new(world);
        let mut load = Self { world, observer, logs, readers: Vec::new(), loads: Vec::new() };
        load.start_writers();
        load.start_groups(&shared);
        if strangers == Strangers::Welcome {
            let log = load.logs.strange[0].clone();
            load.readers.push(STRANGERS.to_owned());
            load.spawn("strangers", move |world| {
                if let Err(error) = stranger::strange_load(world, &log, STRANGERS) {
                    world.fail(format!("the foreign client: {error}"));
                }
            });
        }
        Ok(load)
    }

    fn spawn(&mut self, name: &str, load: impl FnOnce(&World) + Send + 'static) {
        let world = self.world.clone();
        self.loads.push((name.to_owned(), thread::spawn(move || load(&world))));
    }

    fn start_writers(&mut self) {
        let Logs { steady, weak, orders, fenced, keyed, short, trimmed, .. } = self.logs.clone();
        for logs in [steady[..2].to_vec(), steady[1..].to_vec(), orders] {
            self.spawn("idempotent producer", move |world| client_loads::produce(world, &logs));
        }
        for (log, acks) in weak.into_iter().zip([1, 0]) {
            self.spawn("plain producer", move |world| plain::write_plainly(world, log, acks));
        }
        self.spawn("fencing", move |world| fenced::fence(world, fenced[0].clone()));
        self.spawn("keys", move |world| plain::write_keys(world, keyed[0].clone()));
        self.spawn("retention", move |world| {
            plain::write_much(world, short[0].clone(), &[RETENTION_BYTES, 2 * RETENTION_BYTES])
        });
        self.spawn("deleted records", move |world| plain::write_and_trim(world, trimmed[0].clone()));
        self.spawn("topics", topic_changes::change_topics);
    }

    fn start_groups(&mut self, shared: &[LogName]) {
        let Logs { steady, orders, postings, .. } = self.logs.clone();
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            let group = format!("readers-{protocol:?}").to_lowercase();
            self.readers.push(group.clone());
            for _ in 0..2 {
                let (group, logs) = (group.clone(), steady.clone());
                self.spawn("reader", move |world| client_loads::read_in_group(world, &group, protocol, &logs));
            }
        }
        for number in 0..2 {
            let (orders, postings) = (orders[0].clone(), postings.clone());
            self.spawn("money", move |world| money::post(world, number, MONEY, &orders, &postings));
        }
        for speech in [Speech::Classic, Speech::Consumer, Speech::Mixed] {
            self.start_members(speech, shared);
        }
    }

    fn start_members(&mut self, speech: Speech, shared: &[LogName]) {
        let topic = &shared[0];
        let plan = Arc::new(GroupPlan {
            group: format!("members-{speech:?}").to_lowercase(),
            topics: vec![(topic.topic.to_string(), shared.len() as i32)],
            ids: BTreeMap::from([(topic.topic.to_string(), topic.id.to_string())]),
            session: SESSION,
            rebalance: REBALANCE,
            beat: BEAT,
        });
        for number in 0..MEMBERS {
            let plan = plan.clone();
            let witness = Arc::new(GroupWitness { world: self.world.clone(), group: plan.group.clone() });
            self.spawn("member", move |world| {
                let member = Member::new(number, speech, &world.address, plan, witness);
                member.live(100, || match world.stage() {
                    Stage::Busy => Mood::Stormy,
                    Stage::Calm => Mood::Calm,
                    Stage::Over => Mood::Over,
                });
            });
        }
    }

    /// How many records the group with the most to do is behind; `None` when nobody answers.
    pub fn lag(&mut self) -> Option<i64> {
        let Self { observer, logs, .. } = self;
        let mut most = observer.lag(MONEY, &logs.orders)?;
        for group in &self.readers {
            let logs = if group == STRANGERS { &logs.strange } else { &logs.steady };
            most = most.max(observer.lag(group, logs)?);
        }
        Some(most)
    }

    /// Nothing new is begun. Waits until everything that was written has been read and worked on.
    pub fn calm_down(&mut self, within: Duration) {
        self.world.enter(Stage::Calm);
        // Producers end by themselves; only then it is clear what there is to read.
        let is_writer =
            |(name, _): &(String, JoinHandle<()>)| !["reader", "money", "member", "strangers"].contains(&name.as_str());
        let (writers, others) = std::mem::take(&mut self.loads).into_iter().partition(is_writer);
        self.loads = others;
        join(&self.world, writers);
        let end = Instant::now() + within;
        let mut owed: Vec<(&str, &[LogName])> = vec![(MONEY, &self.logs.orders)];
        for group in &self.readers {
            owed.push((group, if group == STRANGERS { &self.logs.strange } else { &self.logs.steady }));
        }
        while let Some((group, logs)) = owed.pop() {
            while !self.observer.has_read_all(group, logs) {
                if Instant::now() > end {
                    self.world.fail(format!("group {group} has not read all of {}", logs[0].topic));
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Ends everything and checks it all.
    pub fn finish(mut self) -> Arc<World> {
        self.world.enter(Stage::Over);
        join(&self.world, std::mem::take(&mut self.loads));
        self.observer.await_quiet(&self.world, Duration::from_secs(20));
        self.observer.look(&self.world);
        let mut ends = BTreeMap::new();
        let mut inputs = HashSet::new();
        for log in self.logs.all() {
            let Some(scan) = self.observer.check(&self.world, &log) else { continue };
            if self.logs.postings.contains(&log) || self.logs.fenced.contains(&log) {
                ends.insert(log, scan.end);
            } else if self.logs.orders.contains(&log) {
                inputs.extend(orders(&scan));
            }
        }
        self.check_money(&ends, &inputs);
        self.world
    }

    fn check_money(&self, ends: &BTreeMap<LogName, i64>, inputs: &HashSet<u32>) {
        let mut postings = Postings::default();
        let committed = read_committed(&self.world, ends);
        let history = &mut *self.world.history();
        for record in committed {
            history.transactions.read_committed(record.value);
            if let Some(order) = record.key {
                postings.add(order, record.amount);
            }
        }
        history.transactions.check(&mut history.violations);
        postings.check(inputs, &mut history.violations);
    }
}

/// By what the orders of a log are known: partition and number, in one.
fn orders(scan: &Scan) -> impl Iterator<Item = u32> {
    scan.records().filter_map(|record| record.key)
}

fn join(world: &World, loads: Vec<(String, JoinHandle<()>)>) {
    for (name, load) in loads {
        if load.join().is_err() {
            world.fail(format!("the load {name} panicked"));
        }
    }
}

/// Notes what members say in the history.
struct GroupWitness {
    world: Arc<World>,
    group: String,
}

impl GroupWitness {
    fn place(&self, (topic, partition): &Partition) -> (String, String, i64) {
        (self.group.clone(), topic.clone(), *partition)
    }
}

impl Witness for GroupWitness {
    fn take(&self, partition: &Partition, member: usize, until: Instant) {
        let History { ownership, violations, .. } = &mut *self.world.history();
        ownership.take(self.place(partition), Lease { member, until }, Instant::now(), violations);
    }

    fn keep(&self, partition: &Partition, member: usize, until: Instant) {
        self.world.history().ownership.keep(&self.place(partition), Lease { member, until });
    }

    fn give_up(&self, partition: &Partition, member: usize) {
        self.world.history().ownership.give_up(&self.place(partition), member);
    }

    fn die_with(&self, _: &BTreeSet<Partition>) {}

    fn joined(&self) {}

    fn next_commit(&self, (topic, partition): &Partition) -> i64 {
        let offsets = &mut self.world.history().offsets;
        let value = offsets.count as i64 + 1;
        offsets.ask(&self.group, topic, *partition as i32, value);
        value
    }

    fn committed(&self, (topic, partition): &Partition, value: i64) {
        self.world.history().offsets.acknowledge(&self.group, topic, *partition as i32, value);
    }
}
