//! Answers that say only an error: to requests that never reached the machine, and in place of answers whose records
//! could not be written.

use crate::{Request, RequestContext, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_describe_response;
use ottla_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use ottla_protocol::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup};
use ottla_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, HeartbeatResponse, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsResponse, OffsetCommitRequest, OffsetDeleteResponse, SyncGroupResponse,
    TxnOffsetCommitRequest,
};

/// What a request is refused with while no coordinator can be found for it: one that has to name its group and does not
/// is told so, as a coordinator would.
pub fn refusal_without_coordinator(request: &Request) -> ErrorCode {
    let is_nameless = match request {
        Request::JoinGroup(request) => request.group_id.is_empty(),
        Request::SyncGroup(request) => request.group_id.is_empty(),
        Request::Heartbeat(request) => request.group_id.is_empty(),
        Request::LeaveGroup(request) => request.group_id.is_empty(),
        Request::OffsetDelete(request) => request.group_id.is_empty(),
        Request::TxnOffsetCommit(request) => request.group_id.is_empty(),
        _ => false,
    };
    if is_nameless { ErrorCode::InvalidGroupId } else { ErrorCode::NotCoordinator }
}

/// The answer to a request that the coordinator does not take, with the error where that API carries it.
pub fn refuse(context: &RequestContext, request: &Request, error: ErrorCode) -> Response {
    match request {
        Request::JoinGroup(_) => Response::JoinGroup(join_error(context.api_version, "", error)),
        Request::SyncGroup(_) => Response::SyncGroup(sync_error(error)),
        Request::Heartbeat(_) => Response::Heartbeat(heartbeat_error(error)),
        Request::ConsumerGroupHeartbeat(_) => Response::ConsumerGroupHeartbeat(consumer_heartbeat_error(error)),
        Request::ConsumerGroupDescribe(request) => Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse {
            groups: request.group_ids.iter().map(|group_id| undescribed(group_id, error)).collect(),
            ..Default::default()
        }),
        Request::LeaveGroup(request) => Response::LeaveGroup(leave_error(context.api_version, request, error)),
        Request::OffsetCommit(request) => Response::OffsetCommit(offset_commit_error(request, error)),
        Request::TxnOffsetCommit(request) => Response::TxnOffsetCommit(txn_offset_commit_error(request, error)),
        Request::OffsetFetch { group, .. } => Response::OffsetFetch(offset_fetch_error(group, error)),
        Request::OffsetDelete(_) => {
            Response::OffsetDelete(OffsetDeleteResponse { error_code: error.code(), ..Default::default() })
        }
        Request::ListGroups(_) => {
            Response::ListGroups(ListGroupsResponse { error_code: error.code(), ..Default::default() })
        }
        Request::DescribeGroups(request) => Response::DescribeGroups(DescribeGroupsResponse {
            groups: request
                .groups
                .iter()
                .map(|group_id| DescribedGroup {
                    group_id: group_id.clone(),
                    error_code: error.code(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }),
        Request::DeleteGroups(request) => Response::DeleteGroups(DeleteGroupsResponse {
            results: request
                .groups_names
                .iter()
                .map(|group_id| DeletableGroupResult {
                    group_id: group_id.clone(),
                    error_code: error.code(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }),
        Request::TopicsDeleted(_) => Response::TopicsDeleted,
    }
}

fn consumer_heartbeat_error(error: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse { error_code: error.code(), ..Default::default() }
}

fn undescribed(group_id: &str, error: ErrorCode) -> consumer_group_describe_response::DescribedGroup {
    consumer_group_describe_response::DescribedGroup {
        group_id: group_id.to_owned(),
        error_code: error.code(),
        ..Default::default()
    }
}

/// What a group client is told when an append to the offsets log fails with `error`.
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}

/// Turns an answer that waited for its records into the error that they met. `error` is that of the log.
pub fn fail_response(response: Response, error: ErrorCode) -> Response {
    // A reader of stable offsets looks for another coordinator instead of waiting for this one (as in Kafka).
    let code = match (&response, error) {
        (
            Response::OffsetFetch(_),
            ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut,
        ) => ErrorCode::NotCoordinator.code(),
        _ => append_error(error).code(),
    };
    match response {
        Response::JoinGroup(mut join) => {
            join.error_code = code;
            Response::JoinGroup(join)
        }
        Response::SyncGroup(_) => Response::SyncGroup(SyncGroupResponse { error_code: code, ..Default::default() }),
        Response::Heartbeat(_) => Response::Heartbeat(HeartbeatResponse { error_code: code, ..Default::default() }),
        Response::ConsumerGroupHeartbeat(_) => {
            Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse { error_code: code, ..Default::default() })
        }
        Response::ConsumerGroupDescribe(mut described) => {
            described.groups.iter_mut().for_each(|group| group.error_code = code);
            Response::ConsumerGroupDescribe(described)
        }
        Response::LeaveGroup(_) => Response::LeaveGroup(LeaveGroupResponse { error_code: code, ..Default::default() }),
        Response::OffsetCommit(mut commit) => {
            commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|p| p.error_code = code);
            Response::OffsetCommit(commit)
        }
        Response::TxnOffsetCommit(mut commit) => {
            commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|p| p.error_code = code);
            Response::TxnOffsetCommit(commit)
        }
        Response::OffsetFetch(group) => Response::OffsetFetch(OffsetFetchResponseGroup {
            group_id: group.group_id,
            error_code: code,
            ..Default::default()
        }),
        Response::OffsetDelete(_) => {
            Response::OffsetDelete(OffsetDeleteResponse { error_code: code, ..Default::default() })
        }
        Response::ListGroups(_) => Response::ListGroups(ListGroupsResponse { error_code: code, ..Default::default() }),
        Response::DescribeGroups(mut described) => {
            for group in &mut described.groups {
                *group = DescribedGroup { group_id: group.group_id.clone(), error_code: code, ..Default::default() };
            }
            Response::DescribeGroups(described)
        }
        Response::DeleteGroups(mut deleted) => {
            deleted.results.iter_mut().for_each(|result| result.error_code = code);
            Response::DeleteGroups(deleted)
        }
        Response::TopicsDeleted => Response::TopicsDeleted,
    }
}

/// Before version 7 the protocol's name can't be null and is empty instead.
pub(crate) fn join_error(api_version: i16, member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        member_id: member_id.to_owned(),
        protocol_name: (api_version < 7).then(String::new),
        ..Default::default()
    }
}

pub(crate) fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..Default::default() }
}

/// A member is told that all is well while its group is being loaded, so that it does not rejoin for nothing.
fn heartbeat_error(error: ErrorCode) -> HeartbeatResponse {
    let error = if error == ErrorCode::CoordinatorLoadInProgress { ErrorCode::None } else { error };
    HeartbeatResponse { error_code: error.code(), ..Default::default() }
}

/// The error UNKNOWN_MEMBER_ID is said of each member, from the version that has members; every other one is said of
/// the whole request.
pub(crate) fn leave_error(api_version: i16, request: &LeaveGroupRequest, error: ErrorCode) -> LeaveGroupResponse {
    if error != ErrorCode::UnknownMemberId || api_version < 3 {
        return LeaveGroupResponse { error_code: error.code(), ..Default::default() };
    }
    LeaveGroupResponse {
        members: request
            .members
            .iter()
            .map(|member| MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn offset_commit_error(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

pub(crate) fn txn_offset_commit_error(request: &TxnOffsetCommitRequest, error: ErrorCode) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

pub(crate) fn offset_fetch_error(group: &OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup { group_id: group.group_id.clone(), error_code: error.code(), ..Default::default() }
}
