//! Groups with members of both protocols.

use super::calls::ask;
use ottla_protocol::ApiKey;
use ottla_tests::Asker;
use ottla_tests::embedded::{self, Partitions};
use serde_json::{Value, json};

/// Groups with a member of each protocol: the first stays so, the second goes back and forth.
pub(crate) const MIXED_GROUPS: [&str; 2] = ["mixed", "migrating"];

/// A group with a member of the classic protocol, and perhaps one of the consumer protocol, as they know themselves.
pub(crate) struct Mixed {
    group: &'static str,
    generation: i64,
    classic_has: Partitions,
    /// The epoch of the other, and what it has: topics with ids.
    consumer: Option<(i64, Value)>,
}

impl Mixed {
    pub(crate) fn new(group: &'static str) -> Self {
        Self { group, generation: -1, classic_has: Partitions::new(), consumer: None }
    }

    /// The member of the classic protocol joins (again) and gets its assignment. In a classic group it leads, and takes all.
    fn join(&mut self, asker: &mut Asker) {
        let metadata = embedded::subscription(&["plain"], &self.classic_has).unwrap();
        let body = json!({ "groupId": self.group, "sessionTimeoutMs": 600_000, "rebalanceTimeoutMs": 600_000, "memberId": "c",
            "protocolType": "consumer", "protocols": [{ "name": "range", "metadata": metadata }] });
        let joined = ask(asker, ApiKey::JoinGroup, 9, &body);
        assert_eq!(joined["errorCode"], 0, "{joined}");
        self.generation = joined["generationId"].as_i64().unwrap();
        let all = embedded::assignment(&Partitions::from([("plain".to_owned(), vec![0, 1])])).unwrap();
        let body = json!({ "groupId": self.group, "generationId": self.generation, "memberId": "c", "protocolType": "consumer",
            "protocolName": "range", "assignments": [{ "memberId": "c", "assignment": all }] });
        let synced = ask(asker, ApiKey::SyncGroup, 5, &body);
        assert_eq!(synced["errorCode"], 0, "{synced}");
        self.classic_has = embedded::assigned(synced["assignment"].as_str().unwrap());
    }

    fn heartbeat(&mut self, asker: &mut Asker) {
        let Some((epoch, has)) = &mut self.consumer else { return };
        let mut body = json!({ "groupId": self.group, "memberId": "k", "memberEpoch": *epoch, "rebalanceTimeoutMs": -1,
            "subscribedTopicNames": null, "topicPartitions": has });
        if *epoch == 0 {
            body["rebalanceTimeoutMs"] = json!(600_000);
            body["subscribedTopicNames"] = json!(["plain"]);
            body["serverAssignor"] = json!("range");
        }
        let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body);
        assert_eq!(answer["errorCode"], 0, "{answer}");
        *epoch = answer["memberEpoch"].as_i64().unwrap();
        if let Some(topics) = answer["assignment"]["topicPartitions"].as_array() {
            *has = json!(topics);
        }
    }

    /// Both do what they are told until nothing changes any more.
    fn settle(&mut self, asker: &mut Asker) {
        const PASSES_MAX: usize = 20;
        for _ in 0..PASSES_MAX {
            let before = (self.generation, self.classic_has.clone(), self.consumer.clone());
            let body = json!({ "groupId": self.group, "generationId": self.generation, "memberId": "c" });
            if ask(asker, ApiKey::Heartbeat, 4, &body)["errorCode"] != 0 {
                self.join(asker);
            }
            self.heartbeat(asker);
            if before == (self.generation, self.classic_has.clone(), self.consumer.clone()) {
                return;
            }
        }
        panic!("{} does not settle", self.group);
    }

    /// The member of the consumer protocol comes: the group is one of both.
    fn upgrade(&mut self, asker: &mut Asker) {
        self.consumer = Some((0, json!([])));
        self.heartbeat(asker);
        self.settle(asker);
    }

    /// It goes: the group is a classic one.
    fn downgrade(&mut self, asker: &mut Asker) {
        let body = json!({ "groupId": self.group, "memberId": "k", "memberEpoch": -1, "rebalanceTimeoutMs": -1 });
        assert_eq!(ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body)["errorCode"], 0);
        self.consumer = None;
        self.settle(asker);
    }

    pub(crate) fn write(&mut self, asker: &mut Asker, round: i32) {
        match round {
            // A member of the classic protocol names itself in a consumer group only.
            0 => self.upgrade(asker),
            _ if self.group == MIXED_GROUPS[0] => self.settle(asker),
            _ if self.consumer.is_some() => self.downgrade(asker),
            _ => self.upgrade(asker),
        }
    }
}
