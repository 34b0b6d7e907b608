/// Whether trying again may help.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// It won't.
    Final,
    /// It may.
    Retriable,
    /// It may, once the client has asked for the cluster's metadata again.
    RetriableAfterRefresh,
}

macro_rules! error_codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $name:literal, $retry:ident, $message:literal;)*) => {
        /// What a response says went wrong, in the words of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $($(#[$meta])*
            #[doc = $message]
            $variant = $code,)*
        }

        impl ErrorCode {
            /// Every error code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The error of that code; `None` for one that this release does not know.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Kafka's name, `UNKNOWN_TOPIC_OR_PARTITION`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// One sentence for people.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }

            const fn retry(self) -> Retry {
                match self {
                    $(Self::$variant => Retry::$retry,)*
                }
            }
        }
    };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", Final, "Something went wrong on the server that has no code of its own.";
    #[default]
    None = 0, "NONE", Final, "There is no error.";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", Final, "The offset lies before the first or behind the last one of the partition's log.";
    CorruptMessage = 2, "CORRUPT_MESSAGE", Retriable, "The records are damaged: checksum, length or form is wrong, or a compacted topic got no key.";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", RetriableAfterRefresh, "This node has no such topic or partition.";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", Final, "The number of bytes asked for is not allowed.";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", RetriableAfterRefresh, "The partition has no leader at the moment.";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", RetriableAfterRefresh, "This node does not lead the partition, or holds no replica of it.";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", Retriable, "The time allowed ran out before the request was done.";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", Final, "The broker can't be reached.";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", RetriableAfterRefresh, "The replica of the partition can't be used at the moment.";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", Final, "A record batch is larger than the topic allows.";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", Final, "The request comes from a controller that has been replaced.";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", Final, "The text given with a committed offset is too long.";
    NetworkException = 13, "NETWORK_EXCEPTION", RetriableAfterRefresh, "The connection broke before the response came.";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", Retriable, "The coordinator is still reading its log.";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", Retriable, "There is no coordinator at the moment.";
    NotCoordinator = 16, "NOT_COORDINATOR", Retriable, "Another node is the coordinator.";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", Final, "The topic's name is not allowed, or the operation is not on this topic.";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", Final, "A record batch is larger than a segment of the log.";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", Retriable, "Too few replicas are in sync; nothing was written.";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Retriable, "The records were written, but too few replicas are in sync to hold them.";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", Final, "The number of acknowledgements must be 0, 1 or -1.";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", Final, "The group has moved on to another generation.";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", Final, "The member has no protocol in common with the others of the group, or names none.";
    InvalidGroupId = 24, "INVALID_GROUP_ID", Final, "The group's name is not allowed.";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", Final, "The group has no such member.";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", Final, "The session timeout is shorter or longer than the broker allows.";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", Final, "The group is being rebalanced; the member must join again.";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", Final, "The committed offset takes more bytes than allowed.";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", Final, "The principal has no right to this on the topic.";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", Final, "The principal has no right to this on the group.";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", Final, "The principal has no right to this on the cluster.";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", Final, "A record's timestamp is too far away from the broker's time.";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", Final, "The broker does not offer this SASL mechanism.";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", Final, "The request does not fit the state of the authentication.";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", Final, "The node does not speak this version of the API.";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", Final, "There already is a topic of that name.";
    InvalidPartitions = 37, "INVALID_PARTITIONS", Final, "The number of partitions is not allowed.";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", Final, "The replication factor is below 1 or above the number of brokers.";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", Final, "The replicas can't be assigned that way.";
    InvalidConfig = 40, "INVALID_CONFIG", Final, "A configuration key or value is not allowed.";
    NotController = 41, "NOT_CONTROLLER", Retriable, "Another node is the active controller.";
    InvalidRequest = 42, "INVALID_REQUEST", Final, "The request is malformed or contradicts itself.";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Final, "The partition's record format can't carry this.";
    PolicyViolation = 44, "POLICY_VIOLATION", Final, "A policy of the cluster forbids this.";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Final, "The producer's sequence number does not follow its last one.";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", Final, "The producer's sequence number was used before.";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", Final, "The producer's epoch is older than the one known.";
    InvalidTxnState = 48, "INVALID_TXN_STATE", Final, "The transaction is in a state that does not allow this.";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", Final, "The producer id does not belong to the transactional id.";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", Final, "The transaction timeout is longer than the broker allows.";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", Retriable, "Another step of the same transaction is not finished yet.";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", Final, "The transaction marker comes from a coordinator that has been replaced.";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Final, "The principal has no right to use the transactional id.";
    SecurityDisabled = 54, "SECURITY_DISABLED", Final, "The cluster has no authorizer, so there are no rights to work with.";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", Final, "This part of the request was left alone because another part failed.";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", RetriableAfterRefresh, "The log directory of the partition failed.";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", Final, "The broker has no such log directory.";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", Final, "The credentials were refused.";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", Final, "Nothing is known of the producer any more; its records may have been deleted.";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", Final, "The partition's replicas are being moved.";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", Final, "Delegation tokens are switched off.";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", Final, "There is no such delegation token.";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", Final, "The principal is neither owner nor renewer of the delegation token.";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Final, "Delegation tokens can't be asked for over this kind of connection.";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", Final, "The principal has no right to this on the delegation token.";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", Final, "The delegation token has expired.";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", Final, "There is no such type of principal here.";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", Final, "The group still has members.";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", Final, "There is no such group.";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", Retriable, "The broker has no such fetch session.";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", Retriable, "The fetch session is at another epoch.";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", RetriableAfterRefresh, "The leader has no listener of the name by which the client connected.";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", Final, "Deleting topics is switched off.";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", RetriableAfterRefresh, "The leader epoch of the request is older than the node's.";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", Retriable, "The leader epoch of the request is newer than the node's.";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", Final, "The client's version can't read the compression of these records.";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", Final, "The broker has registered anew since.";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", Retriable, "The new leader does not yet know how far the log is committed.";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", Final, "The member must join again with the id that it has just been given.";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", RetriableAfterRefresh, "The preferred leader of the partition can't lead.";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", Final, "The group has as many members as it may have.";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", Final, "Another member has joined with the same group instance id.";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", RetriableAfterRefresh, "No replica of the partition may lead.";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", RetriableAfterRefresh, "The partition already has the leader that was asked for.";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", Final, "The partition's replicas are not being moved.";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", Final, "The group's members still subscribe to the topic.";
    InvalidRecord = 87, "INVALID_RECORD", Final, "A record breaks the broker's rules.";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", Retriable, "A transaction that commits offsets of the partition is still open.";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", Retriable, "The quota for such operations is used up.";
    ProducerFenced = 90, "PRODUCER_FENCED", Final, "A newer producer uses the same transactional id.";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", Final, "What the request names does not exist.";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", Final, "The request names the same thing twice.";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", Final, "The credential is too weak, too strong or malformed.";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", Final, "Sender or receiver is not a voter that the other one knows.";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", Final, "The feature can't be set to that level.";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", Final, "The feature levels could not be changed.";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", Final, "The principal in a forwarded request can't be read.";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", Final, "There is no such snapshot.";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", Final, "The position lies outside of the snapshot.";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", RetriableAfterRefresh, "This node has no topic of that id.";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", Final, "A live broker is registered under that id.";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", Final, "No broker is registered under that id.";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", RetriableAfterRefresh, "The topic's id is not the one in the request.";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", Final, "The cluster's id is not the one in the request.";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", Final, "There is no such transactional id.";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", Retriable, "The fetch session began with topic names and goes on with ids, or the reverse.";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", Final, "A replica may not join the in-sync replicas.";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", Final, "The change is done, and the partition has got another leader.";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", Final, "The offset lies in remote storage only.";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", Final, "The member has been fenced: it must give up its partitions and join again.";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", Final, "Another member still uses the instance id.";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", Final, "The group can't use that assignor.";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", Final, "The member's epoch is old; its next heartbeat brings the new one.";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", Final, "The request went to a broker and is for controllers, or the reverse.";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", Final, "There is no such type of endpoint.";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", Final, "There is no controller of that id.";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", Final, "The telemetry subscription is not the current one.";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", Final, "The telemetry is larger than the broker accepts.";
    InvalidRegistration = 119, "INVALID_REGISTRATION", Final, "The registration of the broker is refused.";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", Final, "The transaction can only be aborted; the producer may go on after that.";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", Final, "The record is in a state that can't be acknowledged that way.";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", Retriable, "The broker has no such share session.";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", Retriable, "The share session is at another epoch.";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", Final, "The state epoch of the request is not the coordinator's.";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", Final, "The voter's id and directory are not those of this replica.";
    DuplicateVoter = 126, "DUPLICATE_VOTER", Final, "The replica is a voter already.";
    VoterNotFound = 127, "VOTER_NOT_FOUND", Final, "The replica is not a voter.";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", Final, "The regular expression can't be understood.";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", Final, "The client must start again from its bootstrap servers.";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", Final, "The streams topology is not valid.";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", Final, "The epoch of the streams topology is not valid.";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", Final, "The group uses a newer streams topology.";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", Retriable, "The broker has as many share sessions as it may have.";
    GroupDeletionFailed = 134, "GROUP_DELETION_FAILED", Final, "The group could not be deleted; its own error message says why.";
    StreamsTopologyDescriptionUpdateFailed = 135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", Final, "The description of the streams topology could not be stored.";
    ControllerIdNotRegistered = 136, "CONTROLLER_ID_NOT_REGISTERED", Final, "No controller is registered under that id.";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether there is no error.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.retry() != Retry::Final
    }

    /// Whether the client should ask for the cluster's metadata before it tries again.
    pub fn needs_metadata_refresh(self) -> bool {
        self.retry() == Retry::RetriableAfterRefresh
    }
}

impl core::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.name(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_error() {
        assert_eq!(ErrorCode::ALL.len(), 138);
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(error.code()), Some(error));
        }
        assert_eq!(ErrorCode::from_code(137), None);
    }

    #[test]
    fn an_error_tells_whether_to_try_again() {
        assert!(ErrorCode::NotLeaderOrFollower.needs_metadata_refresh());
        assert!(ErrorCode::RequestTimedOut.is_retriable());
        assert!(!ErrorCode::RequestTimedOut.needs_metadata_refresh());
        assert!(!ErrorCode::InvalidRequest.is_retriable());
    }
}
