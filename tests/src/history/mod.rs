//! What clients were told by a node that was killed again and again, and whether all of it can be true at once.
//!
//! Loads note what they asked and what they were answered, a scanner notes what lies in the logs, and the checks here
//! compare the two. Everything is data: nothing in this module reads a clock, a file or a socket. The invariants are
//! numbered in `docs/internals/history.md`; each [`Kind`] of violation is one of them.

mod catalog;
mod compaction;
mod lookups;
mod marks;
mod offsets;
mod ownership;
mod records;
mod removal;
mod scan;
mod transactions;
mod violation;

pub use catalog::{Catalog, Change, Found, Outcome};
pub use compaction::Compacted;
pub use lookups::{Lookup, check_lookups};
pub use marks::{Marks, MarksSeen};
pub use offsets::CommittedOffsets;
pub use ownership::{Lease, Ownership};
pub use records::{Records, WriterId};
pub use removal::{Policy, check_removal};
pub use scan::{Batch, LogName, Marker, Scan, Stored, Value};
pub use transactions::{Ended, Postings, Transactions};
pub use violation::{Kind, Violation, Violations};

use std::collections::BTreeMap;

/// Everything that was noted of one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Records: sent, acknowledged, read.
    pub records: Records,
    /// Transactions and what became of them.
    pub transactions: Transactions,
    /// Marks of each log as they were seen, in order.
    pub marks: MarksSeen,
    /// Offsets that groups committed.
    pub offsets: CommittedOffsets,
    /// Who had which partition.
    pub ownership: Ownership,
    /// Topics and their configurations.
    pub catalog: Catalog,
    /// Logs of which only the last record of a key must stay.
    pub compacted: BTreeMap<LogName, Compacted>,
    /// What may be missing at the beginning of a log; nothing where no policy is noted.
    pub policies: BTreeMap<LogName, Policy>,
    /// What was found so far.
    pub violations: Violations,
}

impl History {
    /// A topic was deleted: what was in it is owed to nobody any more.
    pub fn forget_topic(&mut self, topic: ottla_types::TopicId) {
        self.records.forget(topic);
        self.marks.forget(topic);
        self.policies.retain(|log, _| log.id != topic);
    }

    /// Compares a log with all that was noted of it. `now` is in milliseconds since the epoch.
    pub fn check_log(&mut self, scan: &Scan, now: i64) {
        let policy = self.policies.get(&scan.log).copied().unwrap_or_default();
        let found = &mut self.violations;
        check_removal(scan, &policy, now, found);
        match self.compacted.get_mut(&scan.log) {
            Some(compacted) => {
                compacted.check(scan, found);
                self.records.check_order(scan, found);
            }
            None => self.records.check_scan(scan, found),
        }
        self.transactions.check_scan(scan, found);
    }
}
