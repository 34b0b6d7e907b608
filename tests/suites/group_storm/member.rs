//! A member of the group, that lives and dies by either protocol.

use crate::ownership::{Partition, Shared, error_code};
use crate::{BEAT, GROUP, REBALANCE, SESSION, TOPICS};
use ottla_protocol::ApiKey;
use ottla_tests::Dice;
use ottla_tests::embedded::{self, Partitions};
use ottla_tests::raw::Connection;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Classic,
    Consumer,
    /// Each life another.
    Mixed,
}

pub(crate) struct Member {
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
    connection: Option<Connection>,
    dice: Dice,
    address: String,
    ids: Arc<BTreeMap<String, String>>,
    shared: Arc<Mutex<Shared>>,
}

impl Member {
    pub(crate) fn new(
        number: usize,
        speech: Speech,
        address: &str,
        ids: Arc<BTreeMap<String, String>>,
        shared: Arc<Mutex<Shared>>,
    ) -> Self {
        Self {
            number,
            life: 0,
            speech,
            is_classic: speech == Speech::Classic || speech == Speech::Mixed && number.is_multiple_of(2),
            classic_id: String::new(),
            epoch: 0,
            owns: BTreeSet::new(),
            is_unsettled: false,
            connection: None,
            dice: Dice(0x9e37_79b9_u64.wrapping_mul(number as u64 + 1)),
            address: address.to_owned(),
            ids,
            shared,
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
        let mut body = json!({ "groupId": GROUP, "memberId": self.id(), "memberEpoch": self.epoch, "rebalanceTimeoutMs": -1,
            "subscribedTopicNames": null, "topicPartitions": null });
        if self.epoch == 0 {
            body["rebalanceTimeoutMs"] = json!(REBALANCE.as_millis());
            body["subscribedTopicNames"] = json!(TOPICS.map(|(name, _)| name));
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
            self.shared.lock().unwrap().joins += 1;
        }
        self.epoch = answer["memberEpoch"].as_i64().unwrap();
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
        let mut shared = self.shared.lock().unwrap();
        self.owns.difference(&assigned).for_each(|partition| shared.give_up(partition, self.number));
        assigned.difference(&self.owns).for_each(|partition| shared.take(partition, self.number, sent + SESSION));
        drop(shared);
        self.owns = assigned;
    }

    fn keep(&self, sent: Instant) {
        let mut shared = self.shared.lock().unwrap();
        self.owns.iter().for_each(|partition| shared.keep(partition, self.number, sent + SESSION));
    }

    fn named(&self, topics: &[Value]) -> BTreeSet<Partition> {
        let name = |id: &Value| {
            let found = self.ids.iter().find(|(_, other)| id == *other);
            found.map(|(name, _)| name.clone()).unwrap()
        };
        let of_topic = |topic: &Value| {
            let name = name(&topic["topicId"]);
            let partitions = topic["partitions"].as_array().unwrap().clone();
            partitions.into_iter().map(move |index| (name.clone(), index.as_i64().unwrap()))
        };
        topics.iter().flat_map(of_topic).collect()
    }

    fn owned(&self) -> Value {
        let mut topics: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        self.owns.iter().for_each(|(name, index)| topics.entry(name).or_default().push(*index));
        topics.iter().map(|(name, indexes)| json!({ "topicId": self.ids[*name], "partitions": indexes })).collect()
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
        let body = json!({ "groupId": GROUP, "generationId": self.epoch, "memberId": self.classic_id });
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::Heartbeat, 4, &body) else { return };
        match error_code(&answer) {
            0 => self.keep(sent),
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
        let topics = TOPICS.map(|(name, _)| name);
        let metadata = embedded::subscription(&topics, &Partitions::new()).unwrap();
        let body = json!({ "groupId": GROUP, "sessionTimeoutMs": SESSION.as_millis(), "rebalanceTimeoutMs": REBALANCE.as_millis(),
            "memberId": self.classic_id, "protocolType": "consumer", "protocols": [{ "name": "range", "metadata": metadata }] });
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::JoinGroup, 9, &body) else { return };
        match error_code(&answer) {
            0 => {
                self.epoch = answer["generationId"].as_i64().unwrap();
                self.is_unsettled = true;
                self.sync(&answer, sent);
            }
            79 => {
                self.classic_id = answer["memberId"].as_str().unwrap().to_owned();
                self.join();
            }
            14..=16 | 27 => {}
            _ => self.begin_again(),
        }
    }

    /// The leader deals the partitions out in turn. The session is counted from the end of the joining, also for who asks
    /// for its partitions late: so it is in Apache Kafka.
    fn sync(&mut self, joined: &Value, sent: Instant) {
        let members: Vec<&str> =
            joined["members"].as_array().unwrap().iter().map(|member| member["memberId"].as_str().unwrap()).collect();
        let mut parts = vec![Partitions::new(); members.len()];
        let all = TOPICS.iter().flat_map(|(name, count)| (0..*count).map(move |index| (*name, index)));
        for (number, (name, index)) in all.enumerate().filter(|_| !members.is_empty()) {
            parts[number % members.len()].entry(name.to_owned()).or_default().push(index);
        }
        let assignments = members
            .iter()
            .zip(&parts)
            .map(|(member, part)| json!({ "memberId": member, "assignment": embedded::assignment(part).unwrap() }));
        let body = json!({ "groupId": GROUP, "generationId": self.epoch, "memberId": self.classic_id,
            "protocolType": "consumer", "protocolName": "range", "assignments": assignments.collect::<Value>() });
        let Some(answer) = self.ask(ApiKey::SyncGroup, 5, &body) else { return };
        match error_code(&answer) {
            0 => {
                self.is_unsettled = false;
                self.shared.lock().unwrap().joins += 1;
                let assigned = embedded::assigned(answer["assignment"].as_str().unwrap());
                let each = assigned
                    .into_iter()
                    .flat_map(|(name, indexes)| indexes.into_iter().map(move |index| (name.clone(), i64::from(index))));
                self.own(each.collect(), sent);
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
        let place = usize::try_from(self.dice.roll(count)).unwrap();
        let (topic, index) = self.owns.iter().nth(place).unwrap().clone();
        let value = {
            let mut shared = self.shared.lock().unwrap();
            shared.next_value += 1;
            shared.next_value
        };
        let body = json!({ "groupId": GROUP, "memberId": self.id(), "generationIdOrMemberEpoch": self.epoch,
            "topics": [{ "name": topic, "partitions": [{ "partitionIndex": index, "committedOffset": value }] }] });
        let Some(answer) = self.ask(ApiKey::OffsetCommit, 9, &body) else { return };
        if answer["topics"][0]["partitions"][0]["errorCode"] == 0 {
            self.shared.lock().unwrap().acknowledge((topic, index), value);
        }
    }

    fn leave(&mut self) {
        let id = self.id();
        self.release();
        if self.is_classic {
            let body = json!({ "groupId": GROUP, "members": [{ "memberId": id }] });
            self.ask(ApiKey::LeaveGroup, 5, &body);
        } else {
            let body = json!({ "groupId": GROUP, "memberId": id, "memberEpoch": -1, "rebalanceTimeoutMs": -1 });
            self.ask(ApiKey::ConsumerGroupHeartbeat, 1, &body);
        }
    }

    /// Dies with all that it has; who comes in its place is somebody else.
    fn die(&mut self) {
        let mut shared = self.shared.lock().unwrap();
        self.owns.iter().for_each(|partition| shared.die_with(partition));
        shared.deaths += 1;
        drop(shared);
        self.owns.clear();
        self.connection = None;
    }

    /// Lives until it is told to stop; while it storms it leaves and dies now and then, about once in `lifetime` beats.
    pub(crate) fn live(mut self, lifetime: u64, storms: &AtomicBool, stops: &AtomicBool) {
        while !stops.load(Ordering::Relaxed) {
            let chance = if storms.load(Ordering::Relaxed) { self.dice.roll(lifetime * 2) } else { 2 };
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
            thread::sleep(BEAT);
        }
    }

    fn be_born_again(&mut self) {
        thread::sleep(BEAT * u32::try_from(self.dice.roll(20)).unwrap());
        self.life += 1;
        self.epoch = 0;
        self.classic_id.clear();
        self.is_unsettled = false;
        if self.speech == Speech::Mixed {
            self.is_classic = self.dice.roll(2) == 0;
        }
    }
}
