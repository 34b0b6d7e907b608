use std::fmt;

/// Of how many violations the text is kept; the others are only counted.
const TEXTS_MAX: usize = 50;

/// Which promise was broken. The numbers are those of `docs/internals/history.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// H1: a record that was acknowledged or read is not there any more.
    RecordLost,
    /// H2: a record is there that nobody sent to this topic, or whose sending was refused.
    RecordFromNowhere,
    /// H3: one offset had two values.
    OffsetWithTwoValues,
    /// H4: a record is there more often than it was sent.
    RecordDoubled,
    /// H5: records of one writer are not in the order in which they were sent.
    RecordsOutOfOrder,
    /// H6: offsets are missing in the middle of a log that is not compacted.
    GapInLog,
    /// H7: a mark of a log went back.
    MarkWentBack,
    /// H8: the log's start, the last stable offset, the high watermark and acknowledged offsets are not in this order.
    MarksOutOfOrder,
    /// H9: a record of an aborted transaction was given to a reader of committed ones, or one of a committed was not.
    WrongIsolation,
    /// H10: of a transaction a part is committed and another is not.
    HalfATransaction,
    /// H11: a transaction that nobody has open any more holds up readers.
    HangingTransaction,
    /// H12: what a fenced producer sent was taken.
    FencedWrite,
    /// H13: what was read and what was made of it do not belong together.
    WrongSum,
    /// H14: a committed offset is lost, went back, or was never committed.
    WrongCommittedOffset,
    /// H15: two members had the same partition at the same time.
    TwoOwners,
    /// H16: a topic that was created, or partitions that were added, are not there.
    TopicLost,
    /// H17: a topic that was deleted is back, or one is there that nobody created.
    TopicBack,
    /// H18: two topics had one id, or one topic two.
    WrongTopicId,
    /// H19: a configuration is not what was acknowledged last.
    ConfigurationLost,
    /// H20: compaction took the last value of a key.
    LastValueLost,
    /// H21: a value that was gone, or that a later one replaces, is the key's value again.
    OldValueBack,
    /// H22: a log begins later than its policy and its clients asked for, or earlier than was acknowledged.
    WrongStart,
    /// H23: ListOffsets answered something else than a look at all records gives.
    WrongLookup,
    /// H24: a reader was given bytes that are no whole batch, or not one that any writer sent.
    UnreadableBatch,
}

/// A broken promise, with what is needed to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// Where, and what was found instead.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// All that was found, the first ones with their texts.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    /// The first ones.
    pub first: Vec<Violation>,
    /// How many there are.
    pub count: usize,
}

impl Violations {
    /// Notes one.
    pub fn add(&mut self, kind: Kind, what: String) {
        self.count += 1;
        if self.first.len() < TEXTS_MAX {
            self.first.push(Violation { kind, what });
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The kinds that were found, each once, in order.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<_> = self.first.iter().map(|violation| violation.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} violations", self.count)?;
        self.first.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}
