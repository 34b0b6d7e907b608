//! One file per Kafka API. A handler decodes its request, asks the room that knows, and answers.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod envelope;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod quorum;
mod remove_raft_voter;
mod renew_delegation_token;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;
mod unregister_broker;
mod unregister_controller;
mod update_features;
mod write_txn_markers;

use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use crate::service::ListenerKind;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionRequest, AssignReplicasToDirsRequest, BeginQuorumEpochRequest,
    BrokerHeartbeatRequest, BrokerRegistrationRequest, ControllerRegistrationRequest, EndQuorumEpochRequest,
    FetchRequest, FetchSnapshotRequest, UpdateRaftVoterRequest, VoteRequest,
};
use ottla_protocol::{ApiKey, ErrorCode, VersionRange};
use std::sync::Arc;

type Handler = fn(&Arc<Broker>, Call);

/// Why there are no access rules.
const NO_AUTHORIZER: &str = "No Authorizer is configured on the broker";

/// The APIs of the broker listeners, by their keys. What is not here is not advertised, nor is what is [`SILENT`].
const BROKER_APIS: &[(ApiKey, Handler)] = &[
    (ApiKey::Produce, produce::handle),
    (ApiKey::Fetch, fetch::handle),
    (ApiKey::ListOffsets, list_offsets::handle),
    (ApiKey::Metadata, metadata::handle),
    (ApiKey::OffsetCommit, offset_commit::handle),
    (ApiKey::OffsetFetch, offset_fetch::handle),
    (ApiKey::FindCoordinator, find_coordinator::handle),
    (ApiKey::JoinGroup, join_group::handle),
    (ApiKey::Heartbeat, heartbeat::handle),
    (ApiKey::LeaveGroup, leave_group::handle),
    (ApiKey::SyncGroup, sync_group::handle),
    (ApiKey::DescribeGroups, describe_groups::handle),
    (ApiKey::ListGroups, list_groups::handle),
    (ApiKey::SaslHandshake, sasl_handshake::handle),
    (ApiKey::ApiVersions, api_versions::handle),
    (ApiKey::CreateTopics, create_topics::handle),
    (ApiKey::DeleteTopics, delete_topics::handle),
    (ApiKey::DeleteRecords, delete_records::handle),
    (ApiKey::InitProducerId, init_producer_id::handle),
    (ApiKey::OffsetForLeaderEpoch, offset_for_leader_epoch::handle),
    (ApiKey::AddPartitionsToTxn, add_partitions_to_txn::handle),
    (ApiKey::AddOffsetsToTxn, add_offsets_to_txn::handle),
    (ApiKey::EndTxn, end_txn::handle),
    (ApiKey::WriteTxnMarkers, write_txn_markers::handle),
    (ApiKey::TxnOffsetCommit, txn_offset_commit::handle),
    (ApiKey::DescribeAcls, describe_acls::handle),
    (ApiKey::CreateAcls, create_acls::handle),
    (ApiKey::DeleteAcls, delete_acls::handle),
    (ApiKey::DescribeConfigs, describe_configs::handle),
    (ApiKey::AlterConfigs, alter_configs::handle),
    (ApiKey::AlterReplicaLogDirs, alter_replica_log_dirs::handle),
    (ApiKey::DescribeLogDirs, describe_log_dirs::handle),
    (ApiKey::SaslAuthenticate, sasl_authenticate::handle),
    (ApiKey::CreatePartitions, create_partitions::handle),
    (ApiKey::CreateDelegationToken, create_delegation_token::handle),
    (ApiKey::RenewDelegationToken, renew_delegation_token::handle),
    (ApiKey::ExpireDelegationToken, expire_delegation_token::handle),
    (ApiKey::DescribeDelegationToken, describe_delegation_token::handle),
    (ApiKey::DeleteGroups, delete_groups::handle),
    (ApiKey::ElectLeaders, elect_leaders::handle),
    (ApiKey::IncrementalAlterConfigs, incremental_alter_configs::handle),
    (ApiKey::AlterPartitionReassignments, alter_partition_reassignments::handle),
    (ApiKey::ListPartitionReassignments, list_partition_reassignments::handle),
    (ApiKey::OffsetDelete, offset_delete::handle),
    (ApiKey::DescribeClientQuotas, describe_client_quotas::handle),
    (ApiKey::AlterClientQuotas, alter_client_quotas::handle),
    (ApiKey::DescribeUserScramCredentials, describe_user_scram_credentials::handle),
    (ApiKey::AlterUserScramCredentials, alter_user_scram_credentials::handle),
    (ApiKey::DescribeQuorum, describe_quorum::handle),
    (ApiKey::UpdateFeatures, update_features::handle),
    (ApiKey::DescribeCluster, describe_cluster::handle),
    (ApiKey::DescribeProducers, describe_producers::handle),
    (ApiKey::UnregisterBroker, unregister_broker::handle),
    (ApiKey::DescribeTransactions, describe_transactions::handle),
    (ApiKey::ListTransactions, list_transactions::handle),
    (ApiKey::ConsumerGroupHeartbeat, consumer_group_heartbeat::handle),
    (ApiKey::ConsumerGroupDescribe, consumer_group_describe::handle),
    (ApiKey::GetTelemetrySubscriptions, get_telemetry_subscriptions::handle),
    (ApiKey::PushTelemetry, push_telemetry::handle),
    (ApiKey::ListConfigResources, list_config_resources::handle),
    (ApiKey::DescribeTopicPartitions, describe_topic_partitions::handle),
    (ApiKey::AddRaftVoter, add_raft_voter::handle),
    (ApiKey::RemoveRaftVoter, remove_raft_voter::handle),
    (ApiKey::UnregisterController, unregister_controller::handle),
];

/// The APIs of the controller listeners.
const CONTROLLER_APIS: &[(ApiKey, Handler)] = &[
    (ApiKey::Fetch, quorum::handle::<FetchRequest>),
    (ApiKey::SaslHandshake, sasl_handshake::handle),
    (ApiKey::ApiVersions, api_versions::handle),
    (ApiKey::CreateTopics, create_topics::handle),
    (ApiKey::DeleteTopics, delete_topics::handle),
    (ApiKey::DescribeAcls, describe_acls::handle),
    (ApiKey::CreateAcls, create_acls::handle),
    (ApiKey::DeleteAcls, delete_acls::handle),
    (ApiKey::DescribeConfigs, describe_configs::handle),
    (ApiKey::AlterConfigs, alter_configs::handle),
    (ApiKey::SaslAuthenticate, sasl_authenticate::handle),
    (ApiKey::CreatePartitions, create_partitions::handle),
    (ApiKey::CreateDelegationToken, create_delegation_token::handle),
    (ApiKey::RenewDelegationToken, renew_delegation_token::handle),
    (ApiKey::ExpireDelegationToken, expire_delegation_token::handle),
    (ApiKey::DescribeDelegationToken, describe_delegation_token::handle),
    (ApiKey::ElectLeaders, elect_leaders::handle),
    (ApiKey::IncrementalAlterConfigs, incremental_alter_configs::handle),
    (ApiKey::AlterPartitionReassignments, alter_partition_reassignments::handle),
    (ApiKey::ListPartitionReassignments, list_partition_reassignments::handle),
    (ApiKey::AlterClientQuotas, alter_client_quotas::handle),
    (ApiKey::DescribeUserScramCredentials, describe_user_scram_credentials::handle),
    (ApiKey::AlterUserScramCredentials, alter_user_scram_credentials::handle),
    (ApiKey::Vote, quorum::handle::<VoteRequest>),
    (ApiKey::BeginQuorumEpoch, quorum::handle::<BeginQuorumEpochRequest>),
    (ApiKey::EndQuorumEpoch, quorum::handle::<EndQuorumEpochRequest>),
    (ApiKey::DescribeQuorum, describe_quorum::handle),
    (ApiKey::AlterPartition, decided::<AlterPartitionRequest>),
    (ApiKey::UpdateFeatures, update_features::handle),
    (ApiKey::Envelope, envelope::handle),
    (ApiKey::FetchSnapshot, quorum::handle::<FetchSnapshotRequest>),
    (ApiKey::DescribeCluster, describe_cluster::handle),
    (ApiKey::BrokerRegistration, decided::<BrokerRegistrationRequest>),
    (ApiKey::BrokerHeartbeat, decided::<BrokerHeartbeatRequest>),
    (ApiKey::UnregisterBroker, unregister_broker::handle),
    (ApiKey::AllocateProducerIds, decided::<AllocateProducerIdsRequest>),
    (ApiKey::ControllerRegistration, decided::<ControllerRegistrationRequest>),
    (ApiKey::AssignReplicasToDirs, decided::<AssignReplicasToDirsRequest>),
    (ApiKey::AddRaftVoter, add_raft_voter::handle),
    (ApiKey::RemoveRaftVoter, remove_raft_voter::handle),
    (ApiKey::UpdateRaftVoter, quorum::handle::<UpdateRaftVoterRequest>),
    (ApiKey::UnregisterController, unregister_controller::handle),
];

/// Served, and not advertised unless somebody takes what clients push: no client is to spend time on metrics for nobody. So
/// does Apache Kafka without a plugin that receives them (KIP-714).
const SILENT: &[ApiKey] = &[ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];

/// A request that the active controller decides as it is.
fn decided<R: Decidable>(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<R>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

/// Refuses what its client has given no time for: Kafka's controller looks at the deadline before it begins.
fn in_time(timeout_ms: i32) -> Result<(), ErrorCode> {
    if timeout_ms > 0 { Ok(()) } else { Err(ErrorCode::RequestTimedOut) }
}

/// The APIs that a kind of listener serves.
fn served(listener: ListenerKind) -> &'static [(ApiKey, Handler)] {
    match listener {
        ListenerKind::Broker => BROKER_APIS,
        ListenerKind::Controller => CONTROLLER_APIS,
    }
}

/// The APIs that a listener tells its clients of.
pub(crate) fn advertised(listener: ListenerKind, takes_telemetry: bool) -> impl Iterator<Item = ApiKey> {
    served(listener).iter().map(|(key, _)| *key).filter(move |key| takes_telemetry || !SILENT.contains(key))
}

/// The versions that a listener takes of an API; `None` when it does not serve it.
pub(crate) fn supported_versions(api_key: ApiKey, listener: ListenerKind) -> Option<VersionRange> {
    handler(api_key, listener).map(|_| api_key.versions())
}

fn handler(api_key: ApiKey, listener: ListenerKind) -> Option<Handler> {
    served(listener).iter().find(|(key, _)| *key == api_key).map(|(_, handler)| *handler)
}

/// Hands a request to its API.
pub(crate) fn dispatch(broker: &Arc<Broker>, call: Call) {
    match handler(call.header.api_key, call.listener) {
        Some(handler) => handler(broker, call),
        None => call.reply.close("an API that this listener does not serve"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_stands_once_on_a_listener_that_kafka_serves_it_on() {
        for (listener, on) in [
            (ListenerKind::Broker, ApiKey::on_broker as fn(ApiKey) -> bool),
            (ListenerKind::Controller, ApiKey::on_controller),
        ] {
            let keys: Vec<ApiKey> = served(listener).iter().map(|(key, _)| *key).collect();
            assert!(keys.is_sorted_by(|a, b| a < b), "in the order of keys, each once");
            assert!(keys.iter().all(|key| on(*key)));
        }
    }
}
