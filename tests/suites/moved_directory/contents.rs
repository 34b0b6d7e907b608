//! What a server adds in its turn.

use super::calls::{ask, batch, init, produce, transaction};
use super::groups::{StaticMembers, find};
use super::mixed::{MIXED_GROUPS, Mixed};
use super::producers::{FENCED, Lasting, TAKEN};
use super::{settings, topics};
use ottla_protocol::ApiKey;
use ottla_records::Compression;
use ottla_tests::Asker;
use serde_json::json;
use std::thread::sleep;
use std::time::Duration;

/// The first level of `metadata.version` that has SCRAM credentials (3.5-IV2).
const CREDENTIALS_FROM: i64 = 11;

/// All that is known by clients from one round to the next.
pub(crate) struct Contents {
    round: i32,
    mixed: [Mixed; 2],
    members: StaticMembers,
    lasting: Lasting,
    pub(crate) has_consumer_groups: bool,
    has_credentials: bool,
}

/// The finalized level of a feature.
pub(crate) fn level(asker: &mut Asker, feature: &str) -> i64 {
    let answer =
        ask(asker, ApiKey::ApiVersions, 4, &json!({ "clientSoftwareName": "a", "clientSoftwareVersion": "1" }));
    let features = answer["finalizedFeatures"].as_array().unwrap();
    let found = features.iter().find(|found| found["name"] == feature);
    found.map_or(0, |found| found["maxVersionLevel"].as_i64().unwrap())
}

impl Contents {
    /// Makes the topics that last.
    pub(crate) fn begin(asker: &mut Asker) -> Self {
        topics::create_all(asker);
        Self {
            round: 0,
            mixed: MIXED_GROUPS.map(Mixed::new),
            members: StaticMembers::default(),
            lasting: Lasting::default(),
            has_consumer_groups: level(asker, "group.version") > 0,
            has_credentials: level(asker, "metadata.version") >= CREDENTIALS_FROM,
        }
    }

    /// The next round. A server that will be killed has not noted where logs begin when that was changed lately: Apache Kafka
    /// does so once a minute.
    pub(crate) fn write(&mut self, asker: &mut Asker, will_be_killed: bool) {
        let round = self.round;
        self.round += 1;
        find(asker, 1, &["t", "u", "open", TAKEN, FENCED]);
        write_records(asker, round);
        topics::write(asker, round, !will_be_killed);
        self.members.write(asker, round, self.has_consumer_groups);
        if self.has_consumer_groups {
            find(asker, 0, &MIXED_GROUPS);
            self.mixed.iter_mut().for_each(|group| group.write(asker, round));
        }
        self.lasting.write(asker, round);
        settings::write(asker, round, self.has_credentials);
    }
}

fn write_records(asker: &mut Asker, round: i32) {
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for codec in codecs {
        produce(asker, "plain", 0, None, &batch(codec, None, round, 7));
        produce(asker, "compacted", 0, None, &batch(codec, None, round, 5));
        produce(asker, "stamped", 0, None, &batch(codec, None, round, 3));
    }
    let mut idempotent = init(asker, None);
    for _ in 0..3 {
        produce(asker, "plain", 1, None, &batch(Compression::None, Some((&idempotent, false)), round, 2));
        idempotent.sequence += 2;
    }
    transaction(asker, "t", round, Some(true));
    transaction(asker, "u", round, Some(false));
    // Begun anew by each server: what the one before has left open is aborted by that.
    transaction(asker, "open", round, None);
}

/// Whether all transactions but those left open are over: their markers may come later than their end is answered.
pub(crate) fn is_settled(asker: &mut Asker) -> bool {
    let answer = ask(asker, ApiKey::ListTransactions, 0, &json!({ "stateFilters": ["PrepareCommit", "PrepareAbort"] }));
    answer["transactionStates"].as_array().is_some_and(Vec::is_empty)
}

/// The pictures of both servers must not hang on when they were taken.
pub(crate) fn settle(asker: &mut Asker) {
    const TRIES: u32 = 600;
    for _ in 0..TRIES {
        if is_settled(asker) {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("transactions do not come to their end");
}
