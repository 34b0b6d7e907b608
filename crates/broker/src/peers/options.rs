//! How connections to other nodes behave, as the configuration has it.

use super::Lane;
use crate::durations::milliseconds;
use ottla_config::NodeConfig;
use ottla_net::{OutboundOptions, ReceiveBuffer, Silence};

/// The options of a node's connections to others.
pub fn outbound_options(config: &NodeConfig) -> OutboundOptions {
    let bytes = usize::try_from(config.replication.replica_socket_receive_buffer_bytes).ok();
    OutboundOptions {
        connect_max: milliseconds(config.peers.socket_connection_setup_timeout_ms),
        connect_longest: milliseconds(config.peers.socket_connection_setup_timeout_max_ms),
        silence: silence(config),
        receive_buffer: bytes.map(|bytes| ReceiveBuffer { from_lane: Lane::Fetcher(0).number(), bytes }),
        ..OutboundOptions::default()
    }
}

/// How hosts of other nodes are noticed that say nothing any more; `None` when only Kafka's timeouts are to tell.
pub(crate) fn silence(config: &NodeConfig) -> Option<Silence> {
    let whole = milliseconds(config.peers.ottla_peer_silence_max_ms);
    (!whole.is_zero()).then(|| Silence::within(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use ottla_config::properties;

    fn options(lines: &str) -> OutboundOptions {
        let parsed = properties::parse(lines.as_bytes(), "test").unwrap();
        outbound_options(&NodeConfig::from_properties(parsed).unwrap().0)
    }

    #[test]
    fn the_connections_of_fetchers_have_the_receive_buffer_of_the_file() {
        let buffer = |bytes| Some(ReceiveBuffer { from_lane: 16, bytes });
        assert_eq!(options("").receive_buffer, buffer(65_536));
        assert_eq!(options("replica.socket.receive.buffer.bytes=9").receive_buffer, buffer(9));
        assert_eq!(options("replica.socket.receive.buffer.bytes=-1").receive_buffer, None);
    }

    #[test]
    fn hosts_may_be_silent_for_as_long_as_the_file_says() {
        assert_eq!(options("").silence, Some(Silence::within(Duration::from_millis(900))));
        assert_eq!(options("ottla.peer.silence.max.ms=60").silence.unwrap().pulse, Duration::from_millis(10));
        assert_eq!(options("ottla.peer.silence.max.ms=0").silence, None);
    }

    #[test]
    fn connections_may_take_as_long_as_the_file_says() {
        let options = options("socket.connection.setup.timeout.ms=5\nsocket.connection.setup.timeout.max.ms=6");
        assert_eq!(options.connect_max, Duration::from_millis(5));
        assert_eq!(options.connect_longest, Duration::from_millis(6));
    }
}
