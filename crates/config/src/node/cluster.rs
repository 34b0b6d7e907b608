//! What a node needs to know about its part in a cluster: quorum, controller, replication, requests to other nodes.

use crate::settings::settings;

settings! {
    /// The replica of the metadata log among others.
    RaftConfig {
        controller_quorum_election_timeout_ms: i32 = "controller.quorum.election.timeout.ms",
        controller_quorum_election_backoff_max_ms: i32 = "controller.quorum.election.backoff.max.ms",
        controller_quorum_fetch_timeout_ms: i32 = "controller.quorum.fetch.timeout.ms",
        controller_quorum_request_timeout_ms: i32 = "controller.quorum.request.timeout.ms",
        controller_quorum_retry_backoff_ms: i32 = "controller.quorum.retry.backoff.ms",
        controller_quorum_fetch_max_bytes: i32 = "controller.quorum.fetch.max.bytes",
        controller_quorum_fetch_snapshot_max_bytes: i32 = "controller.quorum.fetch.snapshot.max.bytes",
    }
}

settings! {
    /// What the active controller does that nobody asks for.
    ControllerConfig {
        metadata_max_idle_interval_ms: i32 = "metadata.max.idle.interval.ms",
        auto_leader_rebalance_enable: bool = "auto.leader.rebalance.enable",
        leader_imbalance_check_interval_seconds: i64 = "leader.imbalance.check.interval.seconds",
        unclean_leader_election_interval_ms: i64 = "unclean.leader.election.interval.ms",
    }
}

settings! {
    /// The broker's registration with the active controller, from its start to its stop.
    BrokerLifecycleConfig {
        broker_heartbeat_interval_ms: i32 = "broker.heartbeat.interval.ms",
        broker_session_timeout_ms: i32 = "broker.session.timeout.ms",
        initial_broker_registration_timeout_ms: i32 = "initial.broker.registration.timeout.ms",
        server_max_startup_time_ms: i64 = "server.max.startup.time.ms",
        log_dir_failure_timeout_ms: i64 = "log.dir.failure.timeout.ms",
        controlled_shutdown_enable: bool = "controlled.shutdown.enable",
    }
}

settings! {
    /// Partitions on several brokers.
    ReplicationConfig {
        replica_lag_time_max_ms: i64 = "replica.lag.time.max.ms",
        num_replica_fetchers: i32 = "num.replica.fetchers",
        replica_fetch_max_bytes: i32 = "replica.fetch.max.bytes",
        replica_fetch_min_bytes: i32 = "replica.fetch.min.bytes",
        replica_fetch_response_max_bytes: i32 = "replica.fetch.response.max.bytes",
        replica_fetch_wait_max_ms: i32 = "replica.fetch.wait.max.ms",
        replica_fetch_backoff_ms: i32 = "replica.fetch.backoff.ms",
        replica_socket_timeout_ms: i32 = "replica.socket.timeout.ms",
        replica_socket_receive_buffer_bytes: i32 = "replica.socket.receive.buffer.bytes",
    }
}

settings! {
    /// Requests to other nodes.
    PeerConfig {
        controller_socket_timeout_ms: i32 = "controller.socket.timeout.ms",
        request_timeout_ms: i32 = "request.timeout.ms",
        socket_connection_setup_timeout_ms: i64 = "socket.connection.setup.timeout.ms",
        socket_connection_setup_timeout_max_ms: i64 = "socket.connection.setup.timeout.max.ms",
        ottla_peer_silence_max_ms: i32 = "ottla.peer.silence.max.ms",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeConfig, properties};
    use std::collections::BTreeMap;

    fn config(lines: &str) -> NodeConfig {
        NodeConfig::from_properties(properties::parse(lines.as_bytes(), "test").unwrap()).unwrap().0
    }

    fn errors(lines: &str) -> String {
        let parsed = properties::parse(lines.as_bytes(), "test").unwrap();
        NodeConfig::from_properties(parsed).unwrap_err().to_string()
    }

    /// A line for each of the keys, each with another number.
    fn numbered(keys: &[&str]) -> String {
        (0..).zip(keys).map(|(number, key)| format!("{key}={}\n", 60_000 + number)).collect()
    }

    #[test]
    fn what_the_file_says_of_the_quorum_arrives() {
        let expected = RaftConfig {
            controller_quorum_election_timeout_ms: 60_000,
            controller_quorum_election_backoff_max_ms: 60_001,
            controller_quorum_fetch_timeout_ms: 60_002,
            controller_quorum_request_timeout_ms: 60_003,
            controller_quorum_retry_backoff_ms: 60_004,
            controller_quorum_fetch_max_bytes: 60_005,
            controller_quorum_fetch_snapshot_max_bytes: 60_006,
        };
        assert_eq!(config(&numbered(RaftConfig::KEYS)).raft, expected);
    }

    #[test]
    fn what_the_file_says_of_the_controller_arrives() {
        let keys = ["metadata.max.idle.interval.ms", "leader.imbalance.check.interval.seconds"];
        let keys = [&keys[..], &["unclean.leader.election.interval.ms"]].concat();
        let expected = ControllerConfig {
            metadata_max_idle_interval_ms: 60_000,
            auto_leader_rebalance_enable: false,
            leader_imbalance_check_interval_seconds: 60_001,
            unclean_leader_election_interval_ms: 60_002,
        };
        assert_eq!(config(&format!("{}auto.leader.rebalance.enable=false", numbered(&keys))).controller, expected);
    }

    #[test]
    fn what_the_file_says_of_a_brokers_life_arrives() {
        let (last, keys) = BrokerLifecycleConfig::KEYS.split_last().unwrap();
        let expected = BrokerLifecycleConfig {
            broker_heartbeat_interval_ms: 60_000,
            broker_session_timeout_ms: 60_001,
            initial_broker_registration_timeout_ms: 60_002,
            server_max_startup_time_ms: 60_003,
            log_dir_failure_timeout_ms: 60_004,
            controlled_shutdown_enable: false,
        };
        assert_eq!(config(&format!("{}{last}=false", numbered(keys))).lifecycle, expected);
    }

    #[test]
    fn what_the_file_says_of_replication_arrives() {
        let expected = ReplicationConfig {
            replica_lag_time_max_ms: 60_000,
            num_replica_fetchers: 60_001,
            replica_fetch_max_bytes: 60_002,
            replica_fetch_min_bytes: 60_003,
            replica_fetch_response_max_bytes: 60_004,
            replica_fetch_wait_max_ms: 1,
            replica_fetch_backoff_ms: 60_006,
            replica_socket_timeout_ms: 60_007,
            replica_socket_receive_buffer_bytes: 60_008,
        };
        let lines = numbered(ReplicationConfig::KEYS).replace("wait.max.ms=60005", "wait.max.ms=1");
        assert_eq!(config(&lines).replication, expected);
    }

    #[test]
    fn what_the_file_says_of_requests_to_other_nodes_arrives() {
        let expected = PeerConfig {
            controller_socket_timeout_ms: 60_000,
            request_timeout_ms: 60_001,
            socket_connection_setup_timeout_ms: 60_002,
            socket_connection_setup_timeout_max_ms: 60_003,
            ottla_peer_silence_max_ms: 60_004,
        };
        assert_eq!(config(&numbered(PeerConfig::KEYS)).peers, expected);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (key, least) in [
            ("controller.quorum.election.timeout.ms", 0),
            ("controller.quorum.election.backoff.max.ms", 0),
            ("controller.quorum.fetch.timeout.ms", 0),
            ("controller.quorum.request.timeout.ms", 0),
            ("controller.quorum.retry.backoff.ms", 0),
            ("controller.quorum.fetch.max.bytes", 1),
            ("controller.quorum.fetch.snapshot.max.bytes", 1),
            ("metadata.max.idle.interval.ms", 0),
            ("leader.imbalance.check.interval.seconds", 1),
            ("unclean.leader.election.interval.ms", 1),
            ("server.max.startup.time.ms", 0),
            ("log.dir.failure.timeout.ms", 1),
            ("num.replica.fetchers", 1),
            ("replica.fetch.max.bytes", 0),
            ("replica.fetch.response.max.bytes", 0),
            ("replica.fetch.backoff.ms", 0),
        ] {
            config(&format!("{key}={least}"));
            let refusal = errors(&format!("{key}={}", least - 1));
            assert!(refusal.contains(&format!("{key}: Value must be at least {least}")), "{refusal}");
        }
    }

    #[test]
    fn a_leader_may_not_let_a_follower_wait_until_it_is_taken_for_dead_or_slow() {
        for key in ["replica.socket.timeout.ms", "replica.lag.time.max.ms"] {
            config(&format!("{key}=600\nreplica.fetch.wait.max.ms=600"));
            let refusal = errors(&format!("{key}=600\nreplica.fetch.wait.max.ms=601"));
            assert!(refusal.contains("replica.fetch.wait.max.ms must not be greater"), "{refusal}");
        }
    }

    #[test]
    fn only_the_number_of_fetchers_changes_at_run_time() {
        let node = config("");
        let changed: BTreeMap<String, String> = ReplicationConfig::KEYS
            .iter()
            .chain(ControllerConfig::KEYS)
            .chain(BrokerLifecycleConfig::KEYS)
            .chain(RaftConfig::KEYS)
            .chain(PeerConfig::KEYS)
            .map(|key| ((*key).to_owned(), "7".to_owned()))
            .collect();
        let expected = ReplicationConfig { num_replica_fetchers: 7, ..node.replication.clone() };
        let dynamic = node.with_dynamic(&changed, &BTreeMap::new()).unwrap();
        assert_eq!(dynamic.replication, expected);
        assert_eq!((&dynamic.controller, &dynamic.lifecycle), (&node.controller, &node.lifecycle));
        assert_eq!((&dynamic.raft, &dynamic.peers), (&node.raft, &node.peers));
    }
}
