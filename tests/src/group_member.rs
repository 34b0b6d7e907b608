//! A member of a group, by single requests and by either protocol, that joins, commits, leaves and dies at random.

use crate::Dice;
use crate::embedded::{self, Partitions};
use crate::raw::Connection;
use ottla_protocol::ApiKey;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A partition of a topic by its name.
pub type Partition = (String, i64);

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// JoinGroup and SyncGroup.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
    /// Each life another.
    Mixed,
}

/// A group and what its members want.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// The group.
    pub group: String,
    /// The topics, with how many partitions each has.
    pub topics: Vec<(String, i32)>,
    /// The topics' ids as JSON has them.
    pub ids: BTreeMap<String, String>,
    /// The session of every member.
    pub session: Duration,
    /// How long a rebalance may take.
    pub rebalance: Duration,
    /// How long a member rests between two steps.
    pub beat: Duration,
}

/// Who is told what members have and do.
pub trait Witness: Send + Sync {
    /// A member has been given a partition; nobody else may have it before then.
    fn take(&self, partition: &Partition, member: usize, until: Instant);
    /// A member was heard and still has it.
    fn keep(&self, partition: &Partition, member: usize, until: Instant);
    /// A member gives it up.
    fn give_up(&self, partition: &Partition, member: usize);
    /// A member died with these.
    fn die_with(&self, partitions: &BTreeSet<Partition>);
    /// A member has joined.
    fn joined(&self);
    /// What to commit next for a partition: more than ever before.
    fn next_commit(&self, partition: &Partition) -> i64;
    /// That was acknowledged.
    fn committed(&self, partition: &Partition, value: i64);
}

/// What a member is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It commits, leaves and dies now and then.
    Stormy,
    /// It commits.
    Calm,
    /// It ends.
    Over,
}

/// One member.
pub struct Member {
    number: usize,
    life: u32,
    speech: Speech,
    is_classic: bool,
    /// Given by the server, if it speaks the classic protocol.
    classic_id: String,
    /// The epoch, or the generation.
    epoch: i64,
    owns: BTreeSet<Partition>,
    /// It has to say what it has, or (by the classic protocol) to join again.
    is_unsettled: bool,
    /// When it was sent what last gave it a session (by the classic protocol).
    session_from: Instant,
    connection: Option<Connection>,
    dice: Dice,
    address: String,
    plan: Arc<GroupPlan>,
    witness: Arc<dyn Witness>,
}

/// The error of an answer.
fn error_code(answer: &Value) -> i64 {
    answer["errorCode"].as_i64().unwrap_or(-1)
}

impl Member {
    /// A member that has not joined yet.
    pub fn new(number: usize, speech: Speech, address: &str, plan: Arc<GroupPlan>, witness: Arc<dyn Witness>) -> Self {
        Self {
            number,
            life: 0,
            speech,
            is_classic: speech == Speech::Classic || speech == Speech::Mixed && number.is_multiple_of(2),
            classic_id: String::new(),
            epoch: 0,
            owns: BTreeSet::new(),
            is_unsettled: false,
            session_from: Instant::now(),
            connection: None,
            dice: Dice(0x9e37_79b9_u64.wrapping_mul(number as u64 + 1)),
            address: address.to_owned(),
            plan,
            witness,
        }
    }

    fn id(&self) -> String {
        if self.is_classic { self.classic_id.clone() } else { format!("m{}-{}", self.number, self.life) }
    }

    /// The answer, unless the server is not there.
    fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> Option<Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address).ok()?,
        };
        let answer = connection.ask(api, version, body).ok()?;
        self.connection = Some(connection);
        Some(answer)
    }

    fn beat(&mut self) {
        if self.is_classic { self.classic_heartbeat() } else { self.heartbeat() }
    }

    fn heartbeat(&mut self) {
        let mut body = json!({ "groupId": self.plan.group, "memberId": self.id(), "memberEpoch": self.epoch,
            "rebalanceTimeoutMs": -1, "subscribedTopicNames": null, "topicPartitions": null });
        if self.epoch == 0 {
            body["rebalanceTimeoutMs"] = json!(self.plan.rebalance.as_millis());
            body["subscribedTopicNames"] = self.plan.topics.iter().map(|(name, _)| name.as_str()).collect();
            body["topicPartitions"] = json!([]);
        } else if self.is_unsettled {
            body["topicPartitions"] = self.owned();
        }
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::ConsumerGroupHeartbeat, 1, &body) else {
            // Whether it was heard is not known: it is said again.
            self.is_unsettled = true;
            return;
        };
        match error_code(&answer) {
            0 => self.hear(&answer, sent),
            // Not ready, not there: later again.
            14..=16 => self.is_unsettled = true,
            _ => self.begin_again(),
        }
    }

    fn hear(&mut self, answer: &Value, sent: Instant) {
        if self.epoch == 0 {
            self.witness.joined();
        }
        self.epoch = answer["memberEpoch"].as_i64().unwrap_or_default();
        self.is_unsettled = false;
        if let Some(topics) = answer["assignment"]["topicPartitions"].as_array() {
            let assigned = self.named(topics);
            self.is_unsettled = assigned != self.owns;
            self.own(assigned, sent);
        }
        self.keep(sent);
    }

    /// From now on it has these.
    fn own(&mut self, assigned: BTreeSet<Partition>, sent: Instant) {
        let until = sent + self.plan.session;
        self.owns.difference(&assigned).for_each(|partition| self.witness.give_up(partition, self.number));
        assigned.difference(&self.owns).for_each(|partition| self.witness.take(partition, self.number, until));
        self.owns = assigned;
    }

    fn keep(&self, sent: Instant) {
        let until = sent + self.plan.session;
        self.owns.iter().for_each(|partition| self.witness.keep(partition, self.number, until));
    }

    fn named(&self, topics: &[Value]) -> BTreeSet<Partition> {
        let name = |id: &Value| {
            let found = self.plan.ids.iter().find(|(_, other)| id == *other);
            // A topic that is in no plan is with somebody all the same.
            found.map_or_else(|| id.to_string(), |(name, _)| name.clone())
        };
        let of_topic = |topic: &Value| {
            let name = name(&topic["topicId"]);
            let partitions = topic["partitions"].as_array().cloned().unwrap_or_default();
            partitions.into_iter().map(move |index| (name.clone(), index.as_i64().unwrap_or(-1)))
        };
        topics.iter().flat_map(of_topic).collect()
    }

    fn owned(&self) -> Value {
        let mut topics: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        self.owns.iter().for_each(|(name, index)| topics.entry(name).or_default().push(*index));
        let id = |name: &str| self.plan.ids.get(name).cloned().unwrap_or_default();
        topics.iter().map(|(name, indexes)| json!({ "topicId": id(name), "partitions": indexes })).collect()
    }

    fn release(&mut self) {
        self.own(BTreeSet::new(), Instant::now());
    }

    fn begin_again(&mut self) {
        self.release();
        self.epoch = 0;
        self.is_unsettled = false;
        self.classic_id.clear();
    }

    fn classic_heartbeat(&mut self) {
        if self.epoch == 0 || self.is_unsettled {
            return self.join();
        }
        let body = json!({ "groupId": self.plan.group, "generationId": self.epoch, "memberId": self.classic_id });
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::Heartbeat, 4, &body) else { return };
        match error_code(&answer) {
            0 => {
                self.session_from = sent;
                self.keep(sent);
            }
            14..=16 => {}
            // Called to join again: it gives up all that it has first.
            27 => {
                self.release();
                self.is_unsettled = true;
                self.join();
            }
            _ => self.begin_again(),
        }
    }

    fn join(&mut self) {
        let topics: Vec<&str> = self.plan.topics.iter().map(|(name, _)| name.as_str()).collect();
        // Names of a plan are short.
        let Ok(metadata) = embedded::subscription(&topics, &Partitions::new()) else { return };
        let body = json!({ "groupId": self.plan.group, "sessionTimeoutMs": self.plan.session.as_millis(),
            "rebalanceTimeoutMs": self.plan.rebalance.as_millis(), "memberId": self.classic_id,
            "protocolType": "consumer", "protocols": [{ "name": "range", "metadata": metadata }] });
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::JoinGroup, 9, &body) else { return };
        match error_code(&answer) {
            0 => {
                let generation = answer["generationId"].as_i64().unwrap_or_default();
                if generation != self.epoch {
                    self.session_from = sent;
                }
                self.epoch = generation;
                self.is_unsettled = true;
                self.sync(&answer);
            }
            79 => {
                self.classic_id = answer["memberId"].as_str().unwrap_or_default().to_owned();
                self.join();
            }
            14..=16 | 27 => {}
            _ => self.begin_again(),
        }
    }

    /// The leader deals the partitions out in turn. The session is counted from the end of the joining, also for who asks
    /// for its partitions late, and who joins once more in the same generation has no new one: so it is in Apache Kafka.
    fn sync(&mut self, joined: &Value) {
        let members: Vec<&Value> = joined["members"].as_array().into_iter().flatten().collect();
        let mut parts = vec![Partitions::new(); members.len()];
        let all = self.plan.topics.iter().flat_map(|(name, count)| (0..*count).map(move |index| (name, index)));
        for (number, (name, index)) in all.enumerate().filter(|_| !members.is_empty()) {
            parts[number % members.len()].entry(name.clone()).or_default().push(index);
        }
        let assignments = members.iter().zip(&parts).filter_map(|(member, part)| {
            let assignment = embedded::assignment(part).ok()?;
            Some(json!({ "memberId": member["memberId"], "assignment": assignment }))
        });
        let body = json!({ "groupId": self.plan.group, "generationId": self.epoch, "memberId": self.classic_id,
            "protocolType": "consumer", "protocolName": "range", "assignments": assignments.collect::<Value>() });
        let Some(answer) = self.ask(ApiKey::SyncGroup, 5, &body) else { return };
        match error_code(&answer) {
            0 => {
                self.is_unsettled = false;
                self.witness.joined();
                let assigned = embedded::assigned(answer["assignment"].as_str().unwrap_or_default());
                let each = assigned
                    .into_iter()
                    .flat_map(|(name, indexes)| indexes.into_iter().map(move |index| (name.clone(), i64::from(index))));
                self.own(each.collect(), self.session_from);
            }
            14..=16 | 27 => {}
            _ => self.begin_again(),
        }
    }

    /// Commits a value for one partition that it has: greater than all before.
    fn commit(&mut self) {
        let count = self.owns.len() as u64;
        if self.epoch == 0 || count == 0 {
            return;
        }
        let place = self.dice.roll(count) as usize;
        let Some(partition) = self.owns.iter().nth(place).cloned() else { return };
        let value = self.witness.next_commit(&partition);
        let body = json!({ "groupId": self.plan.group, "memberId": self.id(), "generationIdOrMemberEpoch": self.epoch,
            "topics": [{ "name": partition.0,
                "partitions": [{ "partitionIndex": partition.1, "committedOffset": value }] }] });
        let Some(answer) = self.ask(ApiKey::OffsetCommit, 9, &body) else { return };
        if answer["topics"][0]["partitions"][0]["errorCode"] == 0 {
            self.witness.committed(&partition, value);
        }
    }

    fn leave(&mut self) {
        let id = self.id();
        self.release();
        if self.is_classic {
            let body = json!({ "groupId": self.plan.group, "members": [{ "memberId": id }] });
            self.ask(ApiKey::LeaveGroup, 5, &body);
        } else {
            let body =
                json!({ "groupId": self.plan.group, "memberId": id, "memberEpoch": -1, "rebalanceTimeoutMs": -1 });
            self.ask(ApiKey::ConsumerGroupHeartbeat, 1, &body);
        }
    }

    /// Dies with all that it has; who comes in its place is somebody else.
    fn die(&mut self) {
        self.witness.die_with(&self.owns);
        self.owns.clear();
        self.connection = None;
    }

    /// Lives until it is told to end; while it storms it leaves and dies now and then, about once in `lifetime` beats.
    pub fn live(mut self, lifetime: u64, mood: impl Fn() -> Mood) {
        loop {
            let chance = match mood() {
                Mood::Stormy => self.dice.roll(lifetime * 2),
                Mood::Calm => 2,
                Mood::Over => return,
            };
            match chance {
                0 => {
                    self.leave();
                    self.be_born_again();
                }
                1 => {
                    self.die();
                    self.be_born_again();
                }
                2..20 => self.commit(),
                _ => {}
            }
            self.beat();
            thread::sleep(self.plan.beat);
        }
    }

    fn be_born_again(&mut self) {
        thread::sleep(self.plan.beat * self.dice.roll(20) as u32);
        self.life += 1;
        self.epoch = 0;
        self.classic_id.clear();
        self.is_unsettled = false;
        if self.speech == Speech::Mixed {
            self.is_classic = self.dice.roll(2) == 0;
        }
    }
}
