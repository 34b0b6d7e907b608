use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest, SyncGroupResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use ottla_types::TopicId;

/// A request to the groups of one partition. Rights are checked, topic ids resolved to names (both are then set) and
/// topics that do not exist answered before it comes here.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A member joins or rejoins a classic group.
    JoinGroup(JoinGroupRequest),
    /// A member asks for its assignment; the leader brings everyone's.
    SyncGroup(SyncGroupRequest),
    /// A member says that it lives.
    Heartbeat(HeartbeatRequest),
    /// A member of a consumer group joins, says what it wants and has, or leaves.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    /// Asks about consumer groups.
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest),
    /// Members leave.
    LeaveGroup(LeaveGroupRequest),
    /// Offsets are committed.
    OffsetCommit(OffsetCommitRequest),
    /// Offsets are committed in a transaction. The caller has verified that the transaction is open.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    /// Committed offsets of one group are read.
    OffsetFetch {
        /// The group and its partitions; no topics at all means every topic with a committed offset.
        group: OffsetFetchRequestGroup,
        /// Whether a partition with an open transactional commit is refused as unstable.
        require_stable: bool,
    },
    /// Committed offsets are deleted.
    OffsetDelete(OffsetDeleteRequest),
    /// The groups of this partition are listed.
    ListGroups(ListGroupsRequest),
    /// Groups of this partition are described.
    DescribeGroups(DescribeGroupsRequest),
    /// Groups of this partition are deleted with their offsets.
    DeleteGroups(DeleteGroupsRequest),
    /// Topics were deleted: their committed offsets go. Not from a client; answered by [`Response::TopicsDeleted`].
    TopicsDeleted(Vec<DeletedTopic>),
}

/// A topic that the cluster's metadata no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
}

/// The answer to a [`Request`], of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To [`Request::JoinGroup`].
    JoinGroup(JoinGroupResponse),
    /// To [`Request::SyncGroup`].
    SyncGroup(SyncGroupResponse),
    /// To [`Request::Heartbeat`].
    Heartbeat(HeartbeatResponse),
    /// To [`Request::ConsumerGroupHeartbeat`].
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To [`Request::ConsumerGroupDescribe`].
    ConsumerGroupDescribe(ConsumerGroupDescribeResponse),
    /// To [`Request::LeaveGroup`].
    LeaveGroup(LeaveGroupResponse),
    /// To [`Request::OffsetCommit`].
    OffsetCommit(OffsetCommitResponse),
    /// To [`Request::TxnOffsetCommit`].
    TxnOffsetCommit(TxnOffsetCommitResponse),
    /// To [`Request::OffsetFetch`].
    OffsetFetch(OffsetFetchResponseGroup),
    /// To [`Request::OffsetDelete`].
    OffsetDelete(OffsetDeleteResponse),
    /// To [`Request::ListGroups`].
    ListGroups(ListGroupsResponse),
    /// To [`Request::DescribeGroups`].
    DescribeGroups(DescribeGroupsResponse),
    /// To [`Request::DeleteGroups`].
    DeleteGroups(DeleteGroupsResponse),
    /// To [`Request::TopicsDeleted`].
    TopicsDeleted,
}
