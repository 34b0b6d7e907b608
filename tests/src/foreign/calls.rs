//! The commands of the protocol, each a call.

use super::adapter::{Adapter, Refusal};
use super::failure::{Done, Failure, shown};
use super::record::{Received, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a fetch that has not all its records yet waits for more: long, for it ends early when they come.
const FETCH_MS: u64 = 60_000;

/// Which records a fetch gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// All of them.
    Uncommitted,
    /// None of a transaction that is open or aborted.
    Committed,
}

/// How records are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    /// `None`: the library chooses.
    pub(super) partition: Option<i64>,
    pub(super) codec: &'a str,
    pub(super) idempotent: bool,
}

/// Uncompressed, to partition 0.
pub(super) const PLAIN: Sending<'static> = Sending { partition: Some(0), codec: "none", idempotent: false };

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) earliest: i64,
    pub(super) latest: i64,
    /// Of the first record at or after the timestamp.
    pub(super) at: Option<i64>,
}

/// How a group does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) state: String,
    pub(super) members: i64,
}

/// What an adapter tells of its library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) client: String,
    pub(super) version: String,
    /// Features that the library has no way to do, and why.
    pub(super) lacks: BTreeMap<String, String>,
}

impl Adapter {
    pub(super) fn hello(&mut self) -> Done<Hello> {
        let answer = self.ask(&json!({"op": "hello"}))?;
        let lacks = answer["lacks"].as_object().ok_or_else(|| wrong("hello", &answer))?;
        let lacks = lacks.iter().map(|(name, why)| Ok((name.clone(), text(why)?))).collect::<Done<_>>()?;
        Ok(Hello { client: text(&answer["client"])?, version: text(&answer["version"])?, lacks })
    }

    pub(super) fn create_topic(&mut self, topic: &str, partitions: i64) -> Done {
        self.create_topic_with(topic, partitions, &json!({}))?
            .map_err(|refusal| Failure::new(format!("topic {topic} is not created: {}", refusal.words)))
    }

    pub(super) fn create_topic_with(
        &mut self,
        topic: &str,
        partitions: i64,
        configs: &Value,
    ) -> Done<Result<(), Refusal>> {
        let request = json!({"op": "create_topic", "topic": topic, "partitions": partitions, "configs": configs});
        Ok(self.attempt(&request)?.map(drop))
    }

    pub(super) fn grow_topic(&mut self, topic: &str, partitions: i64) -> Done {
        self.ask(&json!({"op": "grow_topic", "topic": topic, "partitions": partitions})).map(drop)
    }

    pub(super) fn delete_topic(&mut self, topic: &str) -> Done {
        self.ask(&json!({"op": "delete_topic", "topic": topic})).map(drop)
    }

    pub(super) fn partitions(&mut self, topic: &str) -> Done<i64> {
        number(&self.ask(&json!({"op": "partitions", "topic": topic}))?["partitions"])
    }

    pub(super) fn produce(&mut self, topic: &str, sending: Sending<'_>, records: &[Record]) -> Done {
        let records: Vec<Value> = records.iter().map(Record::json).collect();
        self.ask(&json!({
            "op": "produce", "topic": topic, "partition": sending.partition, "codec": sending.codec,
            "idempotent": sending.idempotent, "records": records,
        }))
        .map(drop)
    }

    /// The first `count` records of partition 0 from `offset` on.
    pub(super) fn fetch(
        &mut self,
        topic: &str,
        offset: i64,
        count: usize,
        isolation: Isolation,
    ) -> Done<Vec<Received>> {
        let fetched = self.fetch_for(topic, offset, count, isolation, FETCH_MS)?;
        if fetched.len() == count {
            return Ok(fetched);
        }
        let got = fetched.len();
        Err(Failure::new(format!("{got} of {count} records from offset {offset} of {topic}: {}", shown(&fetched))))
    }

    /// As [`Self::fetch`], but fewer when none comes for `ms`.
    pub(super) fn fetch_for(
        &mut self,
        topic: &str,
        offset: i64,
        count: usize,
        isolation: Isolation,
        ms: u64,
    ) -> Done<Vec<Received>> {
        let committed = isolation == Isolation::Committed;
        let answer = self.ask(&json!({
            "op": "fetch", "topic": topic, "partition": 0, "offset": offset, "count": count, "committed": committed, "ms": ms,
        }))?;
        records(&answer)
    }

    pub(super) fn offsets(&mut self, topic: &str, timestamp: Option<i64>) -> Done<Offsets> {
        let answer = self.ask(&json!({"op": "offsets", "topic": topic, "partition": 0, "timestamp": timestamp}))?;
        Ok(Offsets {
            earliest: number(&answer["earliest"])?,
            latest: number(&answer["latest"])?,
            at: (!answer["at"].is_null()).then(|| number(&answer["at"])).transpose()?,
        })
    }

    pub(super) fn subscribe(&mut self, group: &str, topic: &str, strategy: &str, instance: Option<&str>) -> Done {
        self.ask(
            &json!({"op": "subscribe", "group": group, "topic": topic, "strategy": strategy, "instance": instance}),
        )
        .map(drop)
    }

    pub(super) fn committed(&mut self, group: &str, topic: &str) -> Done<Option<i64>> {
        let answer = self.ask(&json!({"op": "committed", "group": group, "topic": topic, "partition": 0}))?;
        if answer["offset"].is_null() { Ok(None) } else { number(&answer["offset"]).map(Some) }
    }

    pub(super) fn list_groups(&mut self) -> Done<Vec<String>> {
        let answer = self.ask(&json!({"op": "list_groups"}))?;
        answer["groups"].as_array().ok_or_else(|| wrong("list_groups", &answer))?.iter().map(text).collect()
    }

    pub(super) fn describe_group(&mut self, group: &str) -> Done<GroupState> {
        let answer = self.ask(&json!({"op": "describe_group", "group": group}))?;
        Ok(GroupState { state: text(&answer["state"])?, members: number(&answer["members"])? })
    }

    pub(super) fn delete_group(&mut self, group: &str) -> Done<Result<(), Refusal>> {
        Ok(self.attempt(&json!({"op": "delete_group", "group": group}))?.map(drop))
    }

    pub(super) fn describe_config(&mut self, topic: &str, name: &str) -> Done<String> {
        text(&self.ask(&json!({"op": "describe_config", "topic": topic, "name": name}))?["value"])
    }

    pub(super) fn alter_config(&mut self, topic: &str, name: &str, value: &str) -> Done<Result<(), Refusal>> {
        let request = json!({"op": "alter_config", "topic": topic, "name": name, "value": value});
        Ok(self.attempt(&request)?.map(drop))
    }

    pub(super) fn delete_records(&mut self, topic: &str, offset: i64) -> Done {
        self.ask(&json!({"op": "delete_records", "topic": topic, "partition": 0, "offset": offset})).map(drop)
    }

    pub(super) fn init_transactions(&mut self, transactional_id: &str) -> Done {
        self.ask(&json!({"op": "init_transactions", "transactional_id": transactional_id})).map(drop)
    }

    pub(super) fn begin(&mut self) -> Done {
        self.ask(&json!({"op": "begin"})).map(drop)
    }

    /// Sends to partition 0 within the transaction.
    pub(super) fn send_records(&mut self, topic: &str, records: &[Record]) -> Done {
        let records: Vec<Value> = records.iter().map(Record::json).collect();
        self.ask(&json!({"op": "send", "topic": topic, "partition": 0, "records": records})).map(drop)
    }

    pub(super) fn send_offsets(&mut self, group: &str, topic: &str, offset: i64) -> Done {
        let request = json!({"op": "send_offsets", "group": group, "topic": topic, "partition": 0, "offset": offset});
        self.ask(&request).map(drop)
    }

    pub(super) fn commit_transaction(&mut self) -> Done {
        self.ask(&json!({"op": "end", "commit": true})).map(drop)
    }

    /// A commit that may be refused.
    pub(super) fn try_commit_transaction(&mut self) -> Done<Result<(), Refusal>> {
        Ok(self.attempt(&json!({"op": "end", "commit": true}))?.map(drop))
    }

    pub(super) fn abort_transaction(&mut self) -> Done {
        self.ask(&json!({"op": "end", "commit": false})).map(drop)
    }
}

/// The records of an answer.
pub(super) fn records(answer: &Value) -> Done<Vec<Received>> {
    answer["records"].as_array().ok_or_else(|| wrong("records", answer))?.iter().map(Received::read).collect()
}

pub(super) fn number(value: &Value) -> Done<i64> {
    value.as_i64().ok_or_else(|| wrong("a number", value))
}

fn text(value: &Value) -> Done<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong("a text", value))
}

fn wrong(what: &str, answer: &Value) -> Failure {
    Failure::new(format!("{what} is wanted, and the adapter gives {answer}"))
}
