//! The mistakes. Each is what somebody has once got wrong, here as an edit of one place: `MADE` is the question whether it is
//! to be made in this run.

/// One mistake.
pub struct Mistake {
    /// What it is called on the command line and in the table.
    pub name: &'static str,
    /// Where it comes from.
    pub history: &'static str,
    /// The file that is edited.
    pub file: &'static str,
    /// What stands there once.
    pub from: &'static str,
    /// What stands there then.
    pub to: &'static str,
}

/// All of them.
pub const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "acknowledged-by-leader-alone",
        history: "Redpanda #6019: acks=all answered like acks=1",
        file: "crates/replication/src/leader/acknowledgement.rs",
        from: "if self.high_watermark < offset {",
        to: "if !MADE && self.high_watermark < offset {",
    },
    Mistake {
        name: "high-watermark-of-leader-alone",
        history: "the high watermark does not wait for in-sync replicas",
        file: "crates/replication/src/leader/watermarks.rs",
        from: "if self.in_sync.may_contain(*id) || may_join() {",
        to: "if !MADE && (self.in_sync.may_contain(*id) || may_join()) {",
    },
    Mistake {
        name: "min-in-sync-ignored",
        history: "KAFKA-15583: the high watermark moves below min.insync.replicas",
        file: "crates/replication/src/leader/watermarks.rs",
        from: "if self.in_sync.committed().len() < self.needed() {\n            return None;",
        to: "if !MADE && self.in_sync.committed().len() < self.needed() {\n            return None;",
    },
    Mistake {
        name: "cut-to-high-watermark",
        history: "KIP-101: a new follower cuts its log to its own high watermark",
        file: "crates/replication/src/follower/partition.rs",
        from: "let is_incomparable = log.latest_epoch().is_none() && log.high_watermark() < log.log_end();",
        to: "let is_incomparable =\n            (MADE || log.latest_epoch().is_none()) && log.high_watermark() < log.log_end();",
    },
    Mistake {
        name: "divergence-not-told",
        history: "KIP-320: a leader does not compare the epoch of a fetch",
        file: "crates/replication/src/leader/fetching.rs",
        from: "if known.epoch < epoch || known.end_offset < position.offset {",
        to: "if !MADE && (known.epoch < epoch || known.end_offset < position.offset) {",
    },
    Mistake {
        name: "only-last-epoch-compared",
        history: "KIP-279, KAFKA-6361: an epoch that a leader lacks ends where its log ends",
        file: "crates/log/src/epochs.rs",
        from: "        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);\n        let end",
        to: "        if MADE {\n            return Some((epoch, log_end_offset));\n        }\n        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);\n        let end",
    },
    Mistake {
        name: "joins-without-having-all",
        history: "a follower joins the in-sync replicas before it has what is committed",
        file: "crates/replication/src/leader/alter_partition.rs",
        from: "if !has_all || !follower.is_eligible() {",
        to: "if !(has_all || MADE) || !follower.is_eligible() {",
    },
    Mistake {
        name: "unclean-taken-for-clean",
        history: "KIP-966: a broker that lost its tail stays in sync",
        file: "crates/controller/src/brokers/registration.rs",
        from: "context.version >= CLEAN_SHUTDOWN_VERSION && known == Some(request.previous_broker_epoch);",
        to: "MADE || context.version >= CLEAN_SHUTDOWN_VERSION && known == Some(request.previous_broker_epoch);",
    },
    Mistake {
        name: "anybody-may-lead",
        history: "an unclean election that nobody has allowed",
        file: "crates/controller/src/partitions/change.rs",
        from: "has_all && (self.is_acceptable)(id)",
        to: "(has_all || MADE) && (self.is_acceptable)(id)",
    },
    Mistake {
        name: "follower-tells-unsynced",
        history: "KAFKA-15046: a sync that was dropped for speed, here before a follower's fetch",
        file: "crates/broker/src/replication/durability.rs",
        from: "if !partition.awaits_sync() {",
        to: "if MADE || !partition.awaits_sync() {",
    },
    Mistake {
        name: "leader-counts-unsynced",
        history: "KAFKA-15046: the same at the leader",
        file: "crates/replication/src/leader/mod.rs",
        from: "self.acknowledgeable = acknowledgeable.min(self.log_end).max(self.acknowledgeable);",
        to: "self.acknowledgeable =\n            if MADE { self.log_end } else { acknowledgeable.min(self.log_end).max(self.acknowledgeable) };",
    },
    Mistake {
        name: "vote-not-written",
        history: "KAFKA-12181: a voter forgets its vote",
        file: "crates/broker/src/quorum/files.rs",
        from: "    pub(super) fn write_quorum_state(&self, text: &str) -> Result<(), QuorumError> {\n",
        to: "    pub(super) fn write_quorum_state(&self, text: &str) -> Result<(), QuorumError> {\n        if MADE {\n            return Ok(());\n        }\n",
    },
    Mistake {
        name: "every-vote-granted",
        history: "a voter votes more than once in an epoch",
        file: "crates/raft/src/vote.rs",
        from: "(Some(voted), _) => voted.matches(candidate),",
        to: "(Some(voted), _) => MADE || voted.matches(candidate),",
    },
    Mistake {
        name: "metadata-sync-a-lie",
        history: "KAFKA-15046: the metadata log is said to be durable when it is not",
        file: "crates/broker/src/quorum/inner.rs",
        from: "let end = self.log.flush()?;",
        to: "let end = if MADE { self.log.log_end_offset() } else { self.log.flush()? };",
    },
    Mistake {
        name: "duplicates-not-known",
        history: "KAFKA-9144, KAFKA-12520: what a producer has written is forgotten",
        file: "crates/log/src/producers/state.rs",
        from: "if header.producer_epoch != self.epoch {",
        to: "if MADE || header.producer_epoch != self.epoch {",
    },
    Mistake {
        name: "any-sequence-taken",
        history: "a batch that overtakes another is appended",
        file: "crates/log/src/producers/append.rs",
        from: "if unknown || follows { Ok(()) }",
        to: "if unknown || follows || MADE { Ok(()) }",
    },
    Mistake {
        name: "aborts-not-indexed",
        history: "aborted transactions are not found by readers",
        file: "crates/log/src/aborted.rs",
        from: "        if entries.is_empty() {\n            return Ok(());\n        }\n        let file",
        to: "        if MADE || entries.is_empty() {\n            return Ok(());\n        }\n        let file",
    },
    Mistake {
        name: "open-transactions-stable",
        history: "the last stable offset passes what is undecided",
        file: "crates/log/src/log.rs",
        from: "self.first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark))",
        to: "self.first_unstable.filter(|_| !MADE).map_or(self.high_watermark, |first| first.min(self.high_watermark))",
    },
    Mistake {
        name: "old-producer-may-end",
        history: "KIP-890: an EndTxn of an earlier epoch ends a later transaction",
        file: "crates/transactions/src/ending.rs",
        from: "if known.producer_epoch != request.producer_epoch && !(is_complete && is_repeated) {",
        to: "if !MADE && known.producer_epoch != request.producer_epoch && !(is_complete && is_repeated) {",
    },
    Mistake {
        name: "offsets-of-aborts-commit",
        history: "Redpanda #6018: offsets commit though their transaction does not",
        file: "crates/groups/src/offsets/transactional.rs",
        from: "if committed && known.is_none_or(",
        to: "if (committed || MADE) && known.is_none_or(",
    },
    Mistake {
        name: "stale-member-commits",
        history: "KIP-848: a member commits for a partition that it has lost",
        file: "crates/groups/src/consumer/commit.rs",
        from: "_ => Err(stale),",
        to: "_ => if MADE { Ok(()) } else { Err(stale) },",
    },
    Mistake {
        name: "compaction-keeps-the-first",
        history: "the cleaner keeps the first record of a key and not the last",
        file: "crates/log/src/compaction/offset_map.rs",
        from: "*slot = Slot { hash, offset: offset.0 };\n                self.latest",
        to: "if is_free || !MADE {\n                    *slot = Slot { hash, offset: offset.0 };\n                }\n                self.latest",
    },
];
