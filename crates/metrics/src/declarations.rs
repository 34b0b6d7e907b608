//! Every metric, declared once. Names follow the rules of Prometheus' JMX exporter for Kafka.

use crate::metric::metrics;

metrics! {
    // Topics.
    MESSAGES_IN: Counter "kafka_server_brokertopicmetrics_messagesin_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec", "Records appended; without a topic, those of all.";
    BYTES_IN: Counter "kafka_server_brokertopicmetrics_bytesin_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec", "Bytes of batches appended.";
    BYTES_OUT: Counter "kafka_server_brokertopicmetrics_bytesout_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec", "Bytes of batches given to consumers.";
    BYTES_REJECTED: Counter "kafka_server_brokertopicmetrics_bytesrejected_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=BytesRejectedPerSec", "Bytes of batches that were larger than max.message.bytes.";
    PRODUCE_REQUESTS: Counter "kafka_server_brokertopicmetrics_totalproducerequests_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec", "Appends that were asked for, one for each partition of a request.";
    FETCH_REQUESTS: Counter "kafka_server_brokertopicmetrics_totalfetchrequests_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec", "Reads that were asked for, one for each partition of a fetch.";
    FAILED_PRODUCE_REQUESTS: Counter "kafka_server_brokertopicmetrics_failedproducerequests_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec", "Appends that failed, but for reasons that a client is expected to meet.";
    FAILED_FETCH_REQUESTS: Counter "kafka_server_brokertopicmetrics_failedfetchrequests_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=FailedFetchRequestsPerSec", "Reads that failed, but for reasons that a client is expected to meet.";
    PRODUCE_CONVERSIONS: Counter "kafka_server_brokertopicmetrics_producemessageconversions_total" ["topic"] "kafka.server:type=BrokerTopicMetrics,name=ProduceMessageConversionsPerSec", "Records that came in an older format, or were stored in another codec.";
    REPLICATION_BYTES_IN: Counter "kafka_server_brokertopicmetrics_replicationbytesin_total" [] "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesInPerSec", "Bytes fetched from other brokers.";
    REPLICATION_BYTES_OUT: Counter "kafka_server_brokertopicmetrics_replicationbytesout_total" [] "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesOutPerSec", "Bytes given to other brokers.";

    // Requests.
    REQUESTS: Counter "kafka_network_requestmetrics_requests_total" ["request", "version"] "kafka.network:type=RequestMetrics,name=RequestsPerSec", "Requests by API and version.";
    REQUEST_TOTAL_TIME: Summary "kafka_network_requestmetrics_totaltimems" ["request"] "kafka.network:type=RequestMetrics,name=TotalTimeMs", "Milliseconds from a request's arrival to its answer.";
    REQUEST_LOCAL_TIME: Summary "kafka_network_requestmetrics_localtimems" ["request"] "kafka.network:type=RequestMetrics,name=LocalTimeMs", "Milliseconds that a request kept its thread busy.";
    REQUEST_REMOTE_TIME: Summary "kafka_network_requestmetrics_remotetimems" ["request"] "kafka.network:type=RequestMetrics,name=RemoteTimeMs", "Milliseconds from a request's arrival to its answer, of requests that had to wait for something; 0 of others.";
    REQUEST_BYTES: Summary "kafka_network_requestmetrics_requestbytes" ["request"] "kafka.network:type=RequestMetrics,name=RequestBytes", "Bytes of requests.";

    // Connections and threads.
    CONNECTION_COUNT: Gauge "kafka_server_socket_server_metrics_connection_count" ["listener"] "kafka.server:type=socket-server-metrics", "Open connections.";
    CONNECTION_CREATION: Counter "kafka_server_socket_server_metrics_connection_creation_total" ["listener"] "kafka.server:type=socket-server-metrics", "Connections accepted.";
    CONNECTION_CLOSE: Counter "kafka_server_socket_server_metrics_connection_close_total" ["listener"] "kafka.server:type=socket-server-metrics", "Connections closed.";
    NETWORK_IDLE: Gauge "kafka_network_socketserver_networkprocessoravgidle_percent" [] "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent", "The part of their time, 0 to 1, for which the threads of connections had nothing to do, since the scrape before.";
    HANDLER_IDLE: Gauge "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent" [] "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent", "The same: requests are handled by the threads of their connections.";
    REQUEST_MEMORY_USED: Gauge "kafka_network_socketserver_memorypoolused" [] "kafka.network:type=SocketServer,name=MemoryPoolUsed", "Bytes of requests in memory.";
    REQUEST_MEMORY_AVAILABLE: Gauge "kafka_network_socketserver_memorypoolavailable" [] "kafka.network:type=SocketServer,name=MemoryPoolAvailable", "Bytes of requests that there is still room for.";

    // Replicas.
    LEADER_COUNT: Gauge "kafka_server_replicamanager_leadercount" [] "kafka.server:type=ReplicaManager,name=LeaderCount", "Partitions that this broker leads.";
    PARTITION_COUNT: Gauge "kafka_server_replicamanager_partitioncount" [] "kafka.server:type=ReplicaManager,name=PartitionCount", "Partitions with a replica on this broker.";
    OFFLINE_REPLICA_COUNT: Gauge "kafka_server_replicamanager_offlinereplicacount" [] "kafka.server:type=ReplicaManager,name=OfflineReplicaCount", "Replicas of this broker whose log directory is offline.";
    UNDER_REPLICATED: Gauge "kafka_server_replicamanager_underreplicatedpartitions" [] "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions", "Led partitions with fewer in-sync replicas than replicas.";
    UNDER_MIN_ISR_COUNT: Gauge "kafka_server_replicamanager_underminisrpartitioncount" [] "kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount", "Led partitions with fewer in-sync replicas than min.insync.replicas.";
    AT_MIN_ISR_COUNT: Gauge "kafka_server_replicamanager_atminisrpartitioncount" [] "kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount", "Led partitions with as many in-sync replicas as min.insync.replicas.";
    REASSIGNING: Gauge "kafka_server_replicamanager_reassigningpartitions" [] "kafka.server:type=ReplicaManager,name=ReassigningPartitions", "Led partitions that are being reassigned.";
    PRODUCER_ID_COUNT: Gauge "kafka_server_replicamanager_produceridcount" [] "kafka.server:type=ReplicaManager,name=ProducerIdCount", "Producers that partitions remember, idempotent and transactional.";
    ISR_SHRINKS: Counter "kafka_server_replicamanager_isrshrinks_total" [] "kafka.server:type=ReplicaManager,name=IsrShrinksPerSec", "Replicas that fell out of sync; none on a node of its own.";
    ISR_EXPANDS: Counter "kafka_server_replicamanager_isrexpands_total" [] "kafka.server:type=ReplicaManager,name=IsrExpandsPerSec", "Replicas that came into sync; none on a node of its own.";

    // Single partitions.
    LOG_SIZE: Gauge "kafka_log_log_size" ["topic", "partition"] "kafka.log:type=Log,name=Size", "Bytes of a partition's log.";
    LOG_START_OFFSET: Gauge "kafka_log_log_logstartoffset" ["topic", "partition"] "kafka.log:type=Log,name=LogStartOffset", "The first offset that can be read.";
    LOG_END_OFFSET: Gauge "kafka_log_log_logendoffset" ["topic", "partition"] "kafka.log:type=Log,name=LogEndOffset", "The offset of the next record.";
    LOG_SEGMENTS: Gauge "kafka_log_log_numlogsegments" ["topic", "partition"] "kafka.log:type=Log,name=NumLogSegments", "Segments of a partition's log.";
    PARTITION_UNDER_REPLICATED: Gauge "kafka_cluster_partition_underreplicated" ["topic", "partition"] "kafka.cluster:type=Partition,name=UnderReplicated", "1 when fewer replicas are in sync than there are.";
    PARTITION_UNDER_MIN_ISR: Gauge "kafka_cluster_partition_underminisr" ["topic", "partition"] "kafka.cluster:type=Partition,name=UnderMinIsr", "1 when fewer replicas are in sync than min.insync.replicas.";
    PARTITION_AT_MIN_ISR: Gauge "kafka_cluster_partition_atminisr" ["topic", "partition"] "kafka.cluster:type=Partition,name=AtMinIsr", "1 when as many replicas are in sync as min.insync.replicas.";
    PARTITION_IN_SYNC: Gauge "kafka_cluster_partition_insyncreplicascount" ["topic", "partition"] "kafka.cluster:type=Partition,name=InSyncReplicasCount", "Replicas in sync.";
    PARTITION_REPLICAS: Gauge "kafka_cluster_partition_replicascount" ["topic", "partition"] "kafka.cluster:type=Partition,name=ReplicasCount", "Replicas.";
    PARTITION_STABLE_LAG: Gauge "kafka_cluster_partition_laststableoffsetlag" ["topic", "partition"] "kafka.cluster:type=Partition,name=LastStableOffsetLag", "Records that readers of committed records do not see yet: they are behind the begin of an open transaction.";

    // Log directories.
    OFFLINE_DIRECTORIES: Gauge "kafka_log_logmanager_offlinelogdirectorycount" [] "kafka.log:type=LogManager,name=OfflineLogDirectoryCount", "Log directories that are offline.";
    DIRECTORY_OFFLINE: Gauge "kafka_log_logmanager_logdirectoryoffline" ["logDirectory"] "kafka.log:type=LogManager,name=LogDirectoryOffline", "1 when the log directory is offline.";
    DIRECTORY_TOTAL: Gauge "ottla_log_directory_total_bytes" ["logDirectory"] "", "The size of the file system that the log directory is on.";
    DIRECTORY_USABLE: Gauge "ottla_log_directory_usable_bytes" ["logDirectory"] "", "What is still free on the file system that the log directory is on.";

    // The controller and the metadata quorum.
    ACTIVE_CONTROLLERS: Gauge "kafka_controller_kafkacontroller_activecontrollercount" [] "kafka.controller:type=KafkaController,name=ActiveControllerCount", "1 on the active controller.";
    ACTIVE_BROKERS: Gauge "kafka_controller_kafkacontroller_activebrokercount" [] "kafka.controller:type=KafkaController,name=ActiveBrokerCount", "Registered brokers that may serve.";
    FENCED_BROKERS: Gauge "kafka_controller_kafkacontroller_fencedbrokercount" [] "kafka.controller:type=KafkaController,name=FencedBrokerCount", "Registered brokers that may not serve.";
    GLOBAL_TOPICS: Gauge "kafka_controller_kafkacontroller_globaltopiccount" [] "kafka.controller:type=KafkaController,name=GlobalTopicCount", "Topics of the cluster.";
    GLOBAL_PARTITIONS: Gauge "kafka_controller_kafkacontroller_globalpartitioncount" [] "kafka.controller:type=KafkaController,name=GlobalPartitionCount", "Partitions of the cluster.";
    OFFLINE_PARTITIONS: Gauge "kafka_controller_kafkacontroller_offlinepartitionscount" [] "kafka.controller:type=KafkaController,name=OfflinePartitionsCount", "Partitions without a leader.";
    PREFERRED_IMBALANCE: Gauge "kafka_controller_kafkacontroller_preferredreplicaimbalancecount" [] "kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount", "Partitions that are not led by their first replica.";
    LAST_APPLIED_OFFSET: Gauge "kafka_controller_kafkacontroller_lastappliedrecordoffset" [] "kafka.controller:type=KafkaController,name=LastAppliedRecordOffset", "The last offset of the metadata log that is in force.";
    UNCLEAN_ELECTIONS: Counter "kafka_controller_controllerstats_uncleanleaderelections_total" [] "kafka.controller:type=ControllerStats,name=UncleanLeaderElectionsPerSec", "Elections of leaders that were not in sync; none on a node of its own.";
    RAFT_STATE: Gauge "kafka_server_raftmetrics_current_state" ["current_state"] "kafka.server:type=raft-metrics", "1 with the state of this node in the metadata quorum as a label.";
    RAFT_LEADER: Gauge "kafka_server_raftmetrics_current_leader" [] "kafka.server:type=raft-metrics", "The node that leads the metadata quorum; -1 while there is none.";
    RAFT_VOTE: Gauge "kafka_server_raftmetrics_current_vote" [] "kafka.server:type=raft-metrics", "The node that this node has voted for in its epoch; -1 for none.";
    RAFT_EPOCH: Gauge "kafka_server_raftmetrics_current_epoch" [] "kafka.server:type=raft-metrics", "The epoch of the metadata quorum.";
    RAFT_HIGH_WATERMARK: Gauge "kafka_server_raftmetrics_high_watermark" [] "kafka.server:type=raft-metrics", "The high watermark of the metadata log.";
    RAFT_LOG_END: Gauge "kafka_server_raftmetrics_log_end_offset" [] "kafka.server:type=raft-metrics", "The end offset of the metadata log.";

    // Groups and transactions.
    GROUPS: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroups" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups", "Groups that this broker coordinates.";
    GROUP_OFFSETS: Gauge "kafka_coordinator_group_groupmetadatamanager_numoffsets" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets", "Committed offsets that are kept.";
    GROUPS_STABLE: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsstable" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsStable", "Groups that are not rebalancing.";
    GROUPS_PREPARING: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsPreparingRebalance", "Classic groups that wait for members to join.";
    GROUPS_COMPLETING: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsCompletingRebalance", "Classic groups that wait for their leader's assignment.";
    GROUPS_EMPTY: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsempty" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsEmpty", "Groups without a member.";
    GROUPS_DEAD: Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsdead" [] "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsDead", "Groups that are being removed.";
    GROUP_COUNT: Gauge "kafka_server_group_coordinator_metrics_group_count" ["protocol"] "kafka.server:type=group-coordinator-metrics", "Groups by protocol.";
    CONSUMER_GROUP_COUNT: Gauge "kafka_server_group_coordinator_metrics_consumer_group_count" ["state"] "kafka.server:type=group-coordinator-metrics", "Groups of the consumer protocol by state.";
    TRANSACTIONS: Gauge "ottla_transactions" ["state"] "", "Transactional ids that this broker coordinates, by the state of their transaction.";

    // The process.
    BROKER_STATE: Gauge "kafka_server_kafkaserver_brokerstate" [] "kafka.server:type=KafkaServer,name=BrokerState", "3 while the broker runs.";
    DISK_READ: Counter "kafka_server_kafkaserver_linux_disk_read_bytes" [] "kafka.server:type=KafkaServer,name=linux-disk-read-bytes", "Bytes that the process has had read from disks.";
    DISK_WRITTEN: Counter "kafka_server_kafkaserver_linux_disk_write_bytes" [] "kafka.server:type=KafkaServer,name=linux-disk-write-bytes", "Bytes that the process has had written to disks.";
    FETCH_SESSIONS: Gauge "kafka_server_fetchsessioncache_numincrementalfetchsessions" [] "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions", "Fetch sessions that are kept.";
    DELAYED_OPERATIONS: Gauge "kafka_server_delayedoperationpurgatory_numdelayedoperations" ["delayedOperation"] "kafka.server:type=DelayedOperationPurgatory,name=NumDelayedOperations", "Fetches that wait for records.";
    PURGATORY_SIZE: Gauge "kafka_server_delayedoperationpurgatory_purgatorysize" ["delayedOperation"] "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize", "The same: what waits no longer is let go at once.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" [] "", "Processor time, in seconds.";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" [] "", "Memory in use.";
    PROCESS_FILES: Gauge "process_open_fds" [] "", "Open file descriptors.";
    PROCESS_FILES_MAX: Gauge "process_max_fds" [] "", "How many file descriptors may be open.";
    PROCESS_START: Gauge "process_start_time_seconds" [] "", "When the process started, in seconds since 1970.";
    INFO: Gauge "ottla_info" ["version", "kafka_version", "cluster_id", "node_id"] "", "1, with what is running as labels.";
    LEFT_OUT: Gauge "ottla_metrics_left_out" ["kind"] "", "Topics, partitions and series of clients that are not shown because there are too many.";
}

/// Names that known dashboards ask for and that nothing here has, with the reason.
pub const NOT_THERE: &[(&str, &str)] = &[
    ("jvm_memory_used_bytes", "There is no Java machine; see `process_resident_memory_bytes`."),
    ("jvm_gc_collection_seconds_sum", "There is no garbage collector."),
    ("jvm_gc_collection_seconds_count", "There is no garbage collector."),
    ("jvm_threads_current", "There is no Java machine."),
    (
        "kafka_network_requestmetrics_requestqueuetimems",
        "Requests are not queued: the thread that reads one handles it.",
    ),
    ("kafka_network_requestmetrics_responsequeuetimems", "Answers are not queued for another thread."),
    (
        "kafka_network_requestmetrics_responsesendtimems",
        "Answers leave at the end of the turn in which they are given; not measured.",
    ),
    ("kafka_network_requestmetrics_errors_total", "Errors within answers are not counted yet."),
    ("kafka_network_requestchannel_requestqueuesize", "Requests are not queued."),
    ("kafka_network_requestchannel_responsequeuesize", "Answers are not queued for another thread."),
    (
        "kafka_server_brokertopicmetrics_fetchmessageconversions_total",
        "Nothing is converted for readers since Kafka 4.0.",
    ),
    ("kafka_server_replicafetchermanager_maxlag", "Replication between brokers is not built yet."),
    ("kafka_server_replicafetchermanager_minfetchrate", "Replication between brokers is not built yet."),
    ("kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", "Not counted yet."),
    (
        "kafka_server_raftmetrics_append_records_rate",
        "Not measured; the rate of `kafka_server_raftmetrics_log_end_offset` is the same.",
    ),
    ("kafka_server_raftmetrics_fetch_records_rate", "A quorum of several controllers is not built yet."),
    ("kafka_server_raftmetrics_commit_latency_avg", "Not measured yet."),
    ("kafka_server_raftchannelmetrics_incoming_byte_total", "A quorum of several controllers is not built yet."),
    ("kafka_server_raftchannelmetrics_outgoing_byte_total", "A quorum of several controllers is not built yet."),
    ("kafka_server_raftchannelmetrics_request_total", "A quorum of several controllers is not built yet."),
    ("kafka_server_raftchannelmetrics_response_total", "A quorum of several controllers is not built yet."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_one_of_prometheus_and_declared_once() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(metric.name.chars().all(is_legal) && seen.insert(metric.name), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
        assert!(NOT_THERE.iter().all(|(name, _)| !seen.contains(name)), "what is not there is not declared");
    }

    #[test]
    fn counters_of_kafkas_rates_end_in_total() {
        let rates = ALL.iter().filter(|metric| metric.bean.ends_with("PerSec"));
        assert!(rates.clone().all(|metric| metric.kind == Kind::Counter && metric.name.ends_with("_total")));
        assert!(rates.count() > 10);
    }
}
