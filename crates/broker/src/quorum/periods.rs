//! How long things take in the quorum and in its controller, as the configuration has it.

use crate::durations::milliseconds;
use core::time::Duration;
use ottla_config::{ControllerConfig, RaftConfig};
use ottla_controller::Periods;
use ottla_raft::Timeouts;

pub(super) fn timeouts(config: &RaftConfig) -> Timeouts {
    Timeouts {
        election: milliseconds(config.controller_quorum_election_timeout_ms),
        fetch: milliseconds(config.controller_quorum_fetch_timeout_ms),
        election_backoff_max: milliseconds(config.controller_quorum_election_backoff_max_ms),
        request: milliseconds(config.controller_quorum_request_timeout_ms),
        retry_backoff: milliseconds(config.controller_quorum_retry_backoff_ms),
        ..Timeouts::default()
    }
}

pub(super) fn periods(config: &ControllerConfig) -> Periods {
    let no_op = milliseconds(config.metadata_max_idle_interval_ms);
    let balance = Duration::from_secs(u64::try_from(config.leader_imbalance_check_interval_seconds).unwrap_or(1));
    Periods {
        no_op: (!no_op.is_zero()).then_some(no_op),
        balance_leaders: config.auto_leader_rebalance_enable.then_some(balance),
        elect_unclean_leaders: Some(milliseconds(config.unclean_leader_election_interval_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{NodeConfig, properties};

    fn config(lines: &str) -> NodeConfig {
        NodeConfig::from_properties(properties::parse(lines.as_bytes(), "test").unwrap()).unwrap().0
    }

    #[test]
    fn a_file_that_says_nothing_gives_the_defaults_of_the_machines() {
        let node = config("");
        assert_eq!(timeouts(&node.raft), Timeouts::default());
        assert_eq!(periods(&node.controller), Periods::default());
    }

    #[test]
    fn each_time_of_the_file_is_that_of_the_machine() {
        let node = config(
            "controller.quorum.election.timeout.ms=1\ncontroller.quorum.fetch.timeout.ms=2\n\
             controller.quorum.election.backoff.max.ms=3\ncontroller.quorum.request.timeout.ms=4\n\
             controller.quorum.retry.backoff.ms=5\nmetadata.max.idle.interval.ms=6\n\
             leader.imbalance.check.interval.seconds=7\nunclean.leader.election.interval.ms=8",
        );
        let ms = Duration::from_millis;
        let expected = Timeouts {
            election: ms(1),
            fetch: ms(2),
            election_backoff_max: ms(3),
            request: ms(4),
            retry_backoff: ms(5),
            fetch_wait_max: ms(500),
        };
        assert_eq!(timeouts(&node.raft), expected);
        let expected =
            Periods { no_op: Some(ms(6)), balance_leaders: Some(ms(7_000)), elect_unclean_leaders: Some(ms(8)) };
        assert_eq!(periods(&node.controller), expected);
    }

    #[test]
    fn what_is_switched_off_is_never_done() {
        let node = config("metadata.max.idle.interval.ms=0\nauto.leader.rebalance.enable=false");
        let expected = Periods { no_op: None, balance_leaders: None, ..Periods::default() };
        assert_eq!(periods(&node.controller), expected);
    }
}
