//! Who gets the file descriptors that the process may have.

use ottla_net::NetOptions;

/// Segment files that are open at a time, where there are descriptors enough. A partition that is written to or read from
/// wants one; what is beyond is opened again at each use.
const SEGMENT_FILES_MAX: usize = 4096;

/// What is kept for other files, where there are descriptors enough: those that are opened for a moment (indexes, snapshots,
/// checkpoints, directories) and those of the process itself. A log that can't roll its segment would be lost to the node.
const OTHER_FILES_MAX: usize = 512;

/// Connections to the controller's listeners: those of other nodes, and of who administers them.
const CONTROLLER_CONNECTIONS_MAX: usize = 64;

/// How many of each kind may be open. Together they are no more than the process may have, so that connections, of which
/// anyone can open as many as they like, never take a descriptor that a log needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) segment_files: usize,
    pub(crate) connections: usize,
    pub(crate) controller_connections: usize,
}

impl Descriptors {
    /// Divides up a limit; `None` is no limit.
    pub(crate) fn of(limit: Option<u64>) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let segment_files = (limit / 4).min(SEGMENT_FILES_MAX);
        let other_files = (limit / 4).min(OTHER_FILES_MAX);
        let controller_connections = (limit / 16).min(CONTROLLER_CONNECTIONS_MAX);
        let connections = limit - segment_files - other_files - controller_connections;
        Self { segment_files, connections, controller_connections }
    }

    /// The options for listeners of clients and brokers.
    pub(crate) fn limit(&self, options: NetOptions) -> NetOptions {
        NetOptions { descriptors_max: self.connections, ..options }
    }

    /// The options for listeners of controllers: their traffic is light, and must not wait for clients.
    pub(crate) fn limit_controller(&self, options: NetOptions) -> NetOptions {
        NetOptions { loops: 1, descriptors_max: self.controller_connections, ..options }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_given_away_than_there_are_and_everyone_gets_some() {
        for limit in [64, 256, 1024, 4096, 20_000, 65_536, 1 << 20] {
            let descriptors = Descriptors::of(Some(limit));
            let Descriptors { segment_files, connections, controller_connections } = descriptors;
            let other_files = limit as usize - segment_files - connections - controller_connections;
            assert!(
                segment_files >= 16 && other_files >= 16 && controller_connections >= 4,
                "{limit}: {descriptors:?}"
            );
            assert!(connections >= limit as usize / 4, "{limit}: {descriptors:?}");
        }
    }

    #[test]
    fn a_usual_limit_leaves_room_for_twenty_thousand_connections() {
        assert!(Descriptors::of(Some(32_768)).connections >= 20_000);
        assert!(Descriptors::of(None).connections > 1 << 30);
    }
}
