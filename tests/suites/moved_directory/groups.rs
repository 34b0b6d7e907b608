//! Groups: commits with all that belongs to them, and members that outlive a server.

use super::calls::{ask, end, init};
use super::producers::TOPIC;
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_tests::Asker;
use ottla_tests::embedded::{self, Partitions};
use serde_json::{Value, json};

/// Groups that only commit: plainly, with metadata, in transactions, to topics that go.
pub(crate) const GROUPS: [&str; 5] = ["g", "h", "of-transactions", "of-gone-topics", "k"];
pub(crate) const CONSUMER_GROUPS: [&str; 2] = ["k", "static-consumers"];
pub(crate) const CLASSIC_GROUPS: [&str; 2] = ["g", "static-classic"];

/// Asks for the coordinators, so that their topics are there.
pub(crate) fn find(asker: &mut Asker, kind: i8, names: &[&str]) {
    for name in names {
        ask(asker, ApiKey::FindCoordinator, 4, &json!({ "keyType": kind, "coordinatorKeys": [name] }));
    }
}

fn commit(asker: &mut Asker, group: &str, topics: &[(&str, i32, i32)], metadata: &Value) {
    let topics = topics.iter().map(|(topic, partition, offset)| {
        json!({ "name": topic, "partitions": [{ "partitionIndex": partition, "committedOffset": offset,
            "committedLeaderEpoch": 0, "committedMetadata": metadata }] })
    });
    let topics: Vec<Value> = topics.collect();
    let body = json!({ "groupId": group, "generationIdOrMemberEpoch": -1, "memberId": "", "topics": topics });
    let answer = ask(asker, ApiKey::OffsetCommit, 8, &body);
    let is_good = |topic: &Value| topic["partitions"][0]["errorCode"] == 0;
    assert!(answer["topics"].as_array().unwrap().iter().all(is_good), "{answer}");
}

fn write_commits(asker: &mut Asker, round: i32) {
    commit(
        asker,
        "g",
        &[("plain", 0, round), ("plain", 1, 2), ("compacted", 0, round)],
        &json!(format!("of round {round}")),
    );
    commit(asker, "h", &[("plain", 0, round + 7)], &json!("ä".repeat(100)));
    commit(asker, "h", &[("stamped", 0, round)], &Value::Null);
    let of_round = format!("round-{round}");
    commit(asker, "of-gone-topics", &[(&of_round, 0, 1), ("short-lived", 1, 1), ("again", 0, round + 1)], &json!(""));
    super::topics::delete(asker, "short-lived");
    let passing = format!("passing-{round}");
    commit(asker, &passing, &[("plain", 0, round)], &json!("m"));
    if round > 0 {
        let before = format!("passing-{}", round - 1);
        let answer = ask(asker, ApiKey::DeleteGroups, 2, &json!({ "groupsNames": [before] }));
        assert_eq!(answer["results"][0]["errorCode"], 0, "{answer}");
    }
    let topics = json!([{ "name": "plain", "partitions": [{ "partitionIndex": 1 }] }]);
    let answer = ask(asker, ApiKey::OffsetDelete, 0, &json!({ "groupId": "g", "topics": topics }));
    assert_eq!(answer["errorCode"], 0, "{answer}");
}

/// Commits in transactions: one that is committed, one that is aborted, and one that the next server finds open.
fn write_transactional_commits(asker: &mut Asker, round: i32) {
    for (number, commits) in [Some(true), Some(false), None].into_iter().enumerate() {
        let id = format!("offsets-{number}");
        find(asker, 1, &[&id]);
        let producer = init(asker, Some(&id));
        let named = json!({ "transactionalId": id, "producerId": producer.id, "producerEpoch": producer.epoch,
            "groupId": "of-transactions" });
        assert_eq!(ask(asker, ApiKey::AddOffsetsToTxn, 3, &named)["errorCode"], 0);
        let mut body = named.clone();
        let partitions = json!([{ "partitionIndex": 0, "committedOffset": 100 * round, "committedMetadata": id }]);
        // A partition each: what is pending of one does not hide what is committed of another.
        let topic = [TOPIC, "plain", "stamped"][number];
        body["topics"] = json!([{ "name": topic, "partitions": partitions }]);
        let answer = ask(asker, ApiKey::TxnOffsetCommit, 3, &body);
        assert_eq!(answer["topics"][0]["partitions"][0]["errorCode"], 0, "{answer}");
        if let Some(commits) = commits {
            end(asker, &id, &producer, commits);
        }
    }
}

/// A member of a consumer group (KIP-848): it joins once, and is known from then on to whoever has the directory. Nothing has
/// changed for it, so its epoch stays.
fn heartbeat(asker: &mut Asker, round: i32) {
    let mut body = json!({ "groupId": "k", "memberId": "m", "memberEpoch": 2, "rebalanceTimeoutMs": -1,
        "subscribedTopicNames": null, "topicPartitions": null });
    if round == 0 {
        body = json!({ "groupId": "k", "memberId": "m", "memberEpoch": 0, "rebalanceTimeoutMs": 60_000, "rackId": "r",
            "subscribedTopicNames": ["plain", "stamped"], "serverAssignor": "range", "topicPartitions": [] });
    }
    let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body);
    assert_eq!((&answer["errorCode"], &answer["memberEpoch"]), (&json!(0), &json!(2)), "{answer}");
    let partitions = json!([{ "partitionIndex": 0, "committedOffset": round, "committedMetadata": "by a member" }]);
    let body = json!({ "groupId": "k", "generationIdOrMemberEpoch": 2, "memberId": "m",
        "topics": [{ "name": "stamped", "partitions": partitions }] });
    assert_eq!(ask(asker, ApiKey::OffsetCommit, 9, &body)["topics"][0]["partitions"][0]["errorCode"], 0);
}

/// Static members of both protocols, as they know themselves.
#[derive(Default)]
pub(crate) struct StaticMembers {
    classic: Option<(String, i64)>,
    consumer: Option<(String, Value)>,
}

impl StaticMembers {
    /// Each is still a member under its old name; then it comes back as a new process under the same instance's name, and the
    /// old one is fenced.
    fn write_classic(&mut self, asker: &mut Asker) {
        let beat = |member: &str, generation: i64| {
            json!({ "groupId": "static-classic", "generationId": generation, "memberId": member,
                "groupInstanceId": "one" })
        };
        let before = self.classic.take();
        if let Some((member, generation)) = &before {
            let answer = ask(asker, ApiKey::Heartbeat, 4, &beat(member, *generation));
            assert_eq!(answer["errorCode"], 0, "{answer}");
        }
        let metadata = embedded::subscription(&["plain"], &Partitions::new()).unwrap();
        let body = json!({ "groupId": "static-classic", "sessionTimeoutMs": 600_000, "rebalanceTimeoutMs": 600_000, "memberId": "",
            "groupInstanceId": "one", "protocolType": "consumer", "protocols": [{ "name": "range", "metadata": metadata }] });
        let joined = ask(asker, ApiKey::JoinGroup, 9, &body);
        assert_eq!(joined["errorCode"], 0, "{joined}");
        let (member, generation) = (joined["memberId"].as_str().unwrap(), joined["generationId"].as_i64().unwrap());
        let all = embedded::assignment(&Partitions::from([("plain".to_owned(), vec![0, 1])])).unwrap();
        let mut assignments = json!([]);
        if before.is_none() {
            assignments = json!([{ "memberId": member, "assignment": all }]);
        }
        let body = json!({ "groupId": "static-classic", "generationId": generation, "memberId": member, "groupInstanceId": "one",
            "protocolType": "consumer", "protocolName": "range", "assignments": assignments });
        let synced = ask(asker, ApiKey::SyncGroup, 5, &body);
        assert_eq!((&synced["errorCode"], &synced["assignment"]), (&json!(0), &json!(all)), "{synced}");
        if let Some((old, old_generation)) = before {
            assert_eq!(generation, old_generation, "the group need not rebalance");
            let answer = ask(asker, ApiKey::Heartbeat, 4, &beat(&old, generation));
            assert_eq!(answer["errorCode"], ErrorCode::FencedInstanceId.code(), "{answer}");
        }
        self.classic = Some((member.to_owned(), generation));
    }

    /// It goes for a moment (epoch -2), and gets what it had.
    fn write_consumer(&mut self, asker: &mut Asker, round: i32) {
        let body = |member: &str, epoch: i32| {
            json!({ "groupId": "static-consumers", "memberId": member, "memberEpoch": epoch, "instanceId": "one",
                "rebalanceTimeoutMs": if epoch < 0 { -1 } else { 60_000 }, "subscribedTopicNames": ["plain"],
                "serverAssignor": "uniform", "topicPartitions": if epoch < 0 { Value::Null } else { json!([]) } })
        };
        let before = self.consumer.take();
        if let Some((member, _)) = &before {
            let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body(member, -2));
            assert_eq!(answer["errorCode"], 0, "{answer}");
        }
        let member = format!("static of {round}");
        let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body(&member, 0));
        assert_eq!(answer["errorCode"], 0, "{answer}");
        let has = answer["assignment"].clone();
        if let Some((old, had)) = before {
            assert_eq!(has, had, "a static member gets what it had");
            let code = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body(&old, 1))["errorCode"].clone();
            assert!(code != 0, "the member before is gone");
        }
        self.consumer = Some((member, has));
    }

    pub(crate) fn write(&mut self, asker: &mut Asker, round: i32, has_consumer_groups: bool) {
        find(asker, 0, &GROUPS);
        find(asker, 0, &CONSUMER_GROUPS);
        find(asker, 0, &CLASSIC_GROUPS);
        write_commits(asker, round);
        write_transactional_commits(asker, round);
        self.write_classic(asker);
        if has_consumer_groups {
            heartbeat(asker, round);
            self.write_consumer(asker, round);
        }
    }
}
