use crate::Controller;

/// How much there is of what operators watch, as the controller sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControllerReading {
    /// Registered brokers that are not fenced.
    pub active_brokers: usize,
    /// Registered brokers that are fenced.
    pub fenced_brokers: usize,
    /// Topics.
    pub topics: usize,
    /// Partitions.
    pub partitions: usize,
    /// Partitions without a leader.
    pub offline_partitions: usize,
    /// Partitions that another one than the preferred replica leads, or nobody.
    pub not_led_by_preferred: usize,
    /// Partitions that are being moved.
    pub reassigning_partitions: usize,
}

impl Controller {
    /// Counts what operators watch. Costs a look at each broker, and none at the partitions.
    pub fn reading(&self) -> ControllerReading {
        let brokers = &self.image.cluster.brokers;
        let fenced_brokers = brokers.values().filter(|broker| broker.fenced).count();
        ControllerReading {
            active_brokers: brokers.len() - fenced_brokers,
            fenced_brokers,
            topics: self.image.topics.len(),
            partitions: self.by_state.partitions(),
            offline_partitions: self.by_state.leaderless().len(),
            not_led_by_preferred: self.by_state.not_led_by_preferred().len(),
            reassigning_partitions: self.by_state.reassigning().len(),
        }
    }
}
