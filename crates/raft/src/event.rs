use crate::log_state::{BadBatch, BatchSummary};
use crate::settings::Address;
use crate::{CallId, ControlRecord, ElectionState, KraftVersion, OffsetAndEpoch, RequestId, SnapshotId, VoterSet};
use bytes::Bytes;
use ottla_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, ApiVersionsResponse, BeginQuorumEpochRequest, BeginQuorumEpochResponse,
    EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse, UpdateRaftVoterRequest,
    UpdateRaftVoterResponse, VoteRequest, VoteResponse,
};
use ottla_types::{LeaderEpoch, NodeId, Offset};
use thiserror::Error;

/// A request of the quorum, as it travels.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Request {
    Vote(VoteRequest),
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    EndQuorumEpoch(EndQuorumEpochRequest),
    Fetch(FetchRequest),
    FetchSnapshot(FetchSnapshotRequest),
    AddRaftVoter(AddRaftVoterRequest),
    RemoveRaftVoter(RemoveRaftVoterRequest),
    UpdateRaftVoter(UpdateRaftVoterRequest),
    /// Only sent, to learn what a replica understands; the host says who it is itself.
    ApiVersions,
}

/// An answer of the quorum, as it travels.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Response {
    Vote(VoteResponse),
    BeginQuorumEpoch(BeginQuorumEpochResponse),
    EndQuorumEpoch(EndQuorumEpochResponse),
    /// With what the host has found in its records: the whole and undamaged batches at their beginning.
    Fetch(FetchResponse, Vec<BatchSummary>),
    FetchSnapshot(FetchSnapshotResponse),
    AddRaftVoter(AddRaftVoterResponse),
    RemoveRaftVoter(RemoveRaftVoterResponse),
    UpdateRaftVoter(UpdateRaftVoterResponse),
    ApiVersions(ApiVersionsResponse),
}

/// Somebody's request, as it came in.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The host's number for it; the answer bears the same.
    pub id: CallId,
    /// The version in which it came; the answer leaves in the same.
    pub version: i16,
    /// The name of the listener on which it came: the leader's address is told as it is on that one.
    pub listener: String,
    /// What is asked.
    pub request: Request,
}

/// Why a request got no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendFailure {
    /// The other side is not reached, or the connection broke.
    Disconnected,
    /// The other side's host says that the process is not there.
    Refused,
    /// The other side's host says nothing at all, not even that it has received something: it is dead, or cut off.
    Silent,
    /// The other side does not serve the request in a version that can say what is to be said.
    UnsupportedVersion,
}

/// What happened to a replica.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Nothing but time went by: a deadline has come.
    Tick,
    /// The leader's log was appended to by the host and ends at this offset; the records may not be durable yet.
    Appended {
        /// The log end offset.
        end: Offset,
    },
    /// The log is durable up to this offset. What was appended before a truncation is not reported after it.
    Flushed {
        /// The offset after the last durable record.
        end: Offset,
    },
    /// Somebody asks.
    Called(Call),
    /// A request was answered.
    Answered {
        /// Which.
        request: RequestId,
        /// How.
        response: Response,
    },
    /// A request got no answer.
    SendFailed {
        /// Which.
        request: RequestId,
        /// Why.
        failure: SendFailure,
    },
    /// The host has written a snapshot of the committed image.
    SnapshotCreated {
        /// Its name.
        id: SnapshotId,
        /// Its size in bytes.
        size: u64,
    },
    /// The snapshot that was fetched is whole, durable and under its name, and the log is empty behind it.
    SnapshotInstalled {
        /// Its name.
        id: SnapshotId,
        /// Its size in bytes.
        size: u64,
        /// The level of `kraft.version` in its first batch.
        version: KraftVersion,
        /// The voters in its first batch.
        voters: Option<VoterSet>,
    },
    /// The snapshot that was fetched is damaged; the log is as it was.
    SnapshotRefused {
        /// Its name.
        id: SnapshotId,
    },
    /// The log before this snapshot, and the snapshots before it, were deleted.
    PrefixDeleted {
        /// The oldest snapshot that stays.
        id: SnapshotId,
    },
    /// The node's controller can't go on: somebody else is to lead. The replica takes part again after a while.
    Resign,
    /// The node shuts down: the replica leads no more, tells the others, and stands for no election.
    Stop,
}

/// Whom a request is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The replica's id; below -1 for a bootstrap server, whose id nobody knows.
    pub id: NodeId,
    /// Where it is reached.
    pub address: Address,
}

/// What a replica wants done. A list of effects is performed in its order; one that must be durable is, before the next
/// one is begun. If one can't be performed, the replica must stop: what it believes of its log is no longer true.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write `quorum-state`, durably.
    PersistElection(ElectionState),
    /// Append these records as one control batch of that epoch at the end of the log, then flush and say so.
    AppendControlRecords {
        /// The offset of the first: the log's end.
        base_offset: Offset,
        /// The leader epoch of the batch.
        epoch: LeaderEpoch,
        /// The records.
        records: Vec<ControlRecord>,
    },
    /// Append these batches as they are, then flush and say so. The next fetch waits for that.
    AppendFetched {
        /// The offset of the first record: the log's end.
        base_offset: Offset,
        /// The batches with which the machine was told; any bytes after `end` are not to be appended.
        records: Bytes,
        /// The log's end afterwards.
        end: Offset,
    },
    /// Cut the log, so that it ends there. Durable before anything appended later is said to be.
    Truncate {
        /// The new log end offset.
        end: Offset,
    },
    /// Send a request.
    Send {
        /// To whom.
        to: Destination,
        /// The number to bring back with the answer.
        request: RequestId,
        /// What is asked.
        message: Request,
    },
    /// Answer a call.
    Reply {
        /// Which.
        call: CallId,
        /// How.
        response: Response,
    },
    /// Answer a fetch with records of the log, committed or not, put into its only partition.
    ReplyWithRecords {
        /// Which call.
        call: CallId,
        /// The answer, without records.
        response: FetchResponse,
        /// The first record.
        offset: Offset,
        /// How many bytes at most, but at least one batch.
        bytes_max: i32,
    },
    /// Answer a fetch of a snapshot with bytes of its file, put into its only partition.
    ReplyWithSnapshot {
        /// Which call.
        call: CallId,
        /// The answer, without bytes.
        response: FetchSnapshotResponse,
        /// The snapshot.
        id: SnapshotId,
        /// The first byte.
        position: u64,
        /// How many bytes at most.
        bytes_max: i32,
    },
    /// Write bytes into the part of a snapshot; position 0 starts it anew, and any other part is thrown away then.
    WriteSnapshotPart {
        /// The snapshot.
        id: SnapshotId,
        /// Where in the part.
        position: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// The part is complete: check it, make it durable under its name, let the log start behind it with nothing in it, and
    /// say `SnapshotInstalled` or `SnapshotRefused`. The image of the node is the snapshot's from then on.
    InstallSnapshot {
        /// The snapshot.
        id: SnapshotId,
    },
    /// Every record below this offset is committed: load it into the image, complete what waits for it.
    HighWatermarkAdvanced(Offset),
    /// Another leader is known, or none.
    LeaderChanged {
        /// The epoch.
        epoch: LeaderEpoch,
        /// Its leader, if known.
        leader: Option<NodeId>,
    },
    /// This replica leads the epoch and all records before it are committed. Comes after the high watermark has passed
    /// the epoch's first record, so that a controller that becomes active has seen everything its predecessors decided.
    BecameLeader {
        /// The epoch.
        epoch: LeaderEpoch,
    },
    /// This replica leads no more: the controller must stop deciding, and forget what was not committed.
    LostLeadership {
        /// The epoch that it led.
        epoch: LeaderEpoch,
    },
    /// Something that can't be if all replicas obey the protocol and keep their disks. The message that showed it was
    /// ignored; a person must look.
    Fault(Fault),
}

/// A promise that somebody broke.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Two leaders of one epoch, or one that is this replica without its knowing.
    #[error("epoch {epoch} is said to be led by node {claimed}, but is led by {}", known.map_or("nobody".to_owned(), |id| format!("node {id}")))]
    TwoLeaders {
        /// The epoch.
        epoch: LeaderEpoch,
        /// Who is known to lead it.
        known: Option<NodeId>,
        /// Who is said to.
        claimed: NodeId,
    },
    /// A leader does not have what is committed.
    #[error("the leader wants the log cut at {common}, below the committed offset {committed}")]
    CommittedTruncated {
        /// How much it says can be common.
        common: OffsetAndEpoch,
        /// What is committed.
        committed: Offset,
    },
    /// A leader sent a snapshot that lacks what is committed.
    #[error("the leader offers the snapshot {id}, which ends below the committed offset {committed}")]
    SnapshotTooOld {
        /// The snapshot.
        id: SnapshotId,
        /// What is committed.
        committed: Offset,
    },
    /// A leader sent a batch that can't follow.
    #[error(transparent)]
    BadBatch(#[from] BadBatch),
    /// Another replica calls a request of this release invalid.
    #[error("node {from} calls a request invalid")]
    CalledInvalid {
        /// The other replica.
        from: NodeId,
    },
    /// Epochs are used up.
    #[error("the leader epoch {0} has no successor")]
    EpochsExhausted(LeaderEpoch),
}
