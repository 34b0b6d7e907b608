use crate::model_log::Record;
use ottla_replication::{
    AlterPartition, AlterPartitionAnswer, FetchAnswer, FetchFault, FetchRequest, FetcherEffect, ListedOffset,
    PartitionRef,
};
use ottla_types::{LeaderEpoch, Offset};

/// A process, in one of its lives. What is on its way to another life does not arrive: connections die with processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) broker: i32,
    pub(crate) life: u64,
}

/// Between processes.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Fetch {
        from: Process,
        broker_epoch: i64,
        request: FetchRequest,
    },
    Fetched {
        from: i32,
        number: u64,
        answer: FetchAnswer,
        records: Vec<Record>,
        high_watermark: Offset,
    },
    List {
        from: Process,
        at: PartitionRef,
        epoch: LeaderEpoch,
        which: ListedOffset,
    },
    Listed {
        from: i32,
        at: PartitionRef,
        which: ListedOffset,
        listed: Result<Offset, FetchFault>,
    },
    /// `None`: refused as a whole.
    Altered {
        request: u64,
        answer: Option<AlterPartitionAnswer>,
    },
    /// The images up to this one are known.
    Metadata {
        image: usize,
    },
}

/// To the controller.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    Heartbeat { image: usize },
    Alter { request: u64, proposal: AlterPartition },
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Arrives {
        to: Process,
        message: Message,
    },
    Reports {
        from: Process,
        broker_epoch: i64,
        report: Report,
    },
    /// A broker does what time demands.
    Tick {
        of: Process,
    },
    /// A disk is done with what a fetcher asked for.
    Performs {
        of: Process,
        effect: FetcherEffect,
        records: Vec<Record>,
        high_watermark: Offset,
    },
    /// A disk has synced an append of a follower.
    Synced {
        of: Process,
        at: PartitionRef,
        end: usize,
    },
    /// No answer has come.
    GivesUp {
        of: Process,
        leader: i32,
        number: u64,
    },
    GivesUpAlter {
        of: Process,
        request: u64,
    },
    GivesUpList {
        of: Process,
        leader: i32,
        at: PartitionRef,
        which: ListedOffset,
    },
    ControllerTick,
    /// Clients, operators and nature do something.
    World,
    Starts {
        broker: i32,
    },
    Reconnects {
        broker: i32,
    },
}
