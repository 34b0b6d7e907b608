use super::log_writer::{Entry, LogWriter};
use super::reader::LogReader;
use super::topics;
use super::wire::{Wire, error};
use super::world::{World, now_ms};
use crate::Dice;
use crate::history::{Change, Found, History, LogName, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::{CreatePartitionsRequest, DeleteTopicsRequest};
use ottla_types::TopicId;
use std::collections::BTreeMap;
use std::io;

const DELETE_TOPICS: i16 = 6;
const CREATE_PARTITIONS: i16 = 3;
const TIMEOUT_MS: i32 = 10_000;

/// So many names are used again and again.
const NAMES: u64 = 4;
const PARTITIONS_MAX: i32 = 4;

/// Settings and what they are set to. None of them lets records go within the time of a run.
const SETTINGS: [(&str, &[&str]); 4] = [
    ("retention.ms", &["86400000", "172800000", "-1"]),
    ("retention.bytes", &["1073741824", "2147483648"]),
    ("max.message.bytes", &["500000", "600000", "700000"]),
    ("min.compaction.lag.ms", &["0", "1000"]),
];

/// Creates, changes, deletes and re-creates topics of a few names, and writes to them.
pub(super) fn change_topics(world: &World) {
    let dice = Dice(world.seed ^ 0x746f);
    let mut load = Changes { world, wire: Wire::new(&world.address), reader: LogReader::new(&world.address), dice };
    let mut topics: Vec<Topic> = (0..NAMES).map(|number| Topic::new(&format!("changed-{number}"))).collect();
    while world.goes_on() {
        let place = load.dice.roll(NAMES) as usize;
        load.step(&mut topics[place]);
    }
}

/// One name, and the life that is known to be its present one.
struct Topic {
    name: String,
    now: Option<Found>,
    /// What it is was not looked at since something was uncertain.
    is_uncertain: bool,
    writers: BTreeMap<i32, LogWriter>,
}

impl Topic {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), now: None, is_uncertain: true, writers: BTreeMap::new() }
    }

    /// It is this now; what belonged to another life is put away.
    fn become_this(&mut self, world: &World, now: Option<Found>) {
        let id = |found: &Option<Found>| found.as_ref().map(|found| found.id);
        if id(&self.now) != id(&now) {
            self.writers.clear();
            if let Some(old) = id(&self.now) {
                world.history().forget_topic(old);
            }
        }
        self.now = now;
        self.is_uncertain = false;
    }
}

struct Changes<'a> {
    world: &'a World,
    wire: Wire,
    reader: LogReader,
    dice: Dice,
}

impl Changes<'_> {
    fn step(&mut self, topic: &mut Topic) {
        if topic.is_uncertain || self.dice.roll(5) == 0 {
            // Not there or not ready: the topic is as uncertain as it was.
            let Ok(now) = topics::look_at_topic(&mut self.wire, &topic.name) else { return };
            self.look(topic, now);
            return;
        }
        match topic.now.clone() {
            None => self.create(topic),
            Some(now) => match self.dice.roll(12) {
                0 => self.delete(topic),
                1 if now.partitions < PARTITIONS_MAX => self.add_partitions(topic, &now),
                2..4 => self.configure(topic),
                4 => self.check(topic, &now),
                _ => self.write(topic, &now),
            },
        }
    }

    fn look(&self, topic: &mut Topic, now: Option<Found>) {
        {
            let History { catalog, violations, .. } = &mut *self.world.history();
            catalog.look(&topic.name, now.as_ref(), violations);
        }
        topic.become_this(self.world, now);
    }

    /// Notes what became of a change. What is not certain is looked at before the next.
    fn note(&self, topic: &mut Topic, change: &Change, answer: io::Result<(ErrorCode, Option<TopicId>)>) {
        let outcome = match answer {
            Ok((ErrorCode::None, id)) => Outcome::Done(id),
            Ok((ErrorCode::RequestTimedOut | ErrorCode::UnknownServerError, _)) | Err(_) => Outcome::Unknown,
            Ok(_) => Outcome::Refused,
        };
        let History { catalog, violations, .. } = &mut *self.world.history();
        catalog.note(&topic.name, change, outcome, violations);
        topic.is_uncertain = true;
    }

    fn some_settings(&mut self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for (key, values) in SETTINGS {
            if self.dice.roll(2) == 0 {
                settings.insert(key.to_owned(), self.dice.pick(values).to_owned());
            }
        }
        settings
    }

    fn create(&mut self, topic: &mut Topic) {
        let partitions = 1 + self.dice.roll(2) as i32;
        let configs = self.some_settings();
        let pairs = configs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let request = topics::creation(&topic.name, partitions, pairs);
        let answer = topics::create(&mut self.wire, &request).map(|created| match created {
            Ok(id) => (ErrorCode::None, Some(id)),
            Err(error) => (error, None),
        });
        self.note(topic, &Change::Create { partitions, configs }, answer);
    }

    fn delete(&mut self, topic: &mut Topic) {
        let state = DeleteTopicState { name: Some(topic.name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![state], timeout_ms: TIMEOUT_MS, ..Default::default() };
        let answer = self
            .wire
            .ask(DELETE_TOPICS, &request)
            .map(|answer| (error(answer.responses.first().map_or(-1, |topic| topic.error_code)), None));
        self.note(topic, &Change::Delete, answer);
    }

    fn add_partitions(&mut self, topic: &mut Topic, now: &Found) {
        let count = now.partitions + 1;
        let more = CreatePartitionsTopic { name: topic.name.clone(), count, assignments: None, ..Default::default() };
        let request = CreatePartitionsRequest { topics: vec![more], timeout_ms: TIMEOUT_MS, ..Default::default() };
        let answer = self
            .wire
            .ask(CREATE_PARTITIONS, &request)
            .map(|answer| (error(answer.results.first().map_or(-1, |topic| topic.error_code)), None));
        self.note(topic, &Change::Partitions(count), answer);
    }

    fn configure(&mut self, topic: &mut Topic) {
        let (key, values) = self.dice.pick(&SETTINGS);
        let value = (self.dice.roll(4) > 0).then(|| self.dice.pick(values).to_owned());
        let answer = topics::configure(&mut self.wire, &topic.name, key, value.as_deref());
        let answer = answer.map(|error| (error, None));
        self.note(topic, &Change::Configure(key.to_owned(), value), answer);
    }

    fn log(&mut self, topic: &Topic, now: &Found) -> LogName {
        let partition = self.dice.roll(now.partitions.unsigned_abs().into()) as i32;
        LogName { topic: topic.name.as_str().into(), id: now.id, partition }
    }

    fn write(&mut self, topic: &mut Topic, now: &Found) {
        let log = self.log(topic, now);
        let writer = topic.writers.entry(log.partition).or_insert_with(|| LogWriter::new(self.world, log, 20));
        writer.write(self.world, &[Entry::PLAIN; 3], -1, None);
    }

    /// Nobody else writes there: all of a log can be checked at once.
    fn check(&mut self, topic: &Topic, now: &Found) {
        let log = self.log(topic, now);
        if let Ok(scan) = self.reader.scan(&log) {
            self.world.history().check_log(&scan, now_ms());
        }
    }
}
