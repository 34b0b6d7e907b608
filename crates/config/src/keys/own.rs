//! Keys that Apache Kafka does not have.

use super::key;
use crate::key::Check::AtLeast;
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Int, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{Low, Medium};

/// Keys that Apache Kafka does not have. All begin with `ottla.`.
pub(super) static KEYS: [ConfigKey; 11] = [
    key("ottla.connections.max.bytes", Long, Of("268435456"), Medium).check(AtLeast(1_048_576)).obeyed("How many bytes of requests that are not whole and of answers that are not taken may be in memory, over all connections; beyond, those that hold the most are closed."),
    key("ottla.fetch.session.partitions.max", Int, Of("1000000"), Low).check(AtLeast(0)).obeyed("How many partitions all fetch sessions together may name; a fetch that would go beyond gets no session."),
    key("ottla.group.members.max.bytes", Long, Of("268435456"), Medium).check(AtLeast(1_048_576)).obeyed("How many bytes members of classic groups may take with what they say when they join, over all groups; beyond, GROUP_MAX_SIZE_REACHED."),
    key("ottla.metrics.client.instances.max", Int, Of("100"), Low).check(AtLeast(1)).obeyed("How many clients' metrics are kept; the one that was silent for longest makes room."),
    key("ottla.metrics.client.series.max", Int, Of("200"), Low).check(AtLeast(1)).obeyed("How many series of one client are kept."),
    key("ottla.metrics.client.telemetry.enable", Boolean, Of("false"), Medium).obeyed("Whether clients are asked for the metrics that client-metrics subscriptions name, to be shown with the node's own."),
    key("ottla.metrics.listener", String, Null, Medium).obeyed("Where metrics are served over HTTP: host:port; an empty host is every interface. Unset, nowhere."),
    key("ottla.metrics.partitions.max", Int, Of("5000"), Low).check(AtLeast(0)).obeyed("For how many partitions there are metrics of their own."),
    key("ottla.metrics.topics.max", Int, Of("1000"), Low).check(AtLeast(0)).obeyed("For how many topics there are metrics of their own."),
    key("ottla.partitions.max", Int, Of("200000"), Medium).check(AtLeast(0)).obeyed("How many partitions there may be; what would go beyond is refused with POLICY_VIOLATION, but for the topics of coordinators."),
    key("ottla.peer.silence.max.ms", Int, Of("900"), Medium).check(AtLeast(0)).obeyed("How long another node's host may say nothing at all, not even that it has received something, before connections to it end and it is taken for dead or cut off; a node that is slow or stands still is not silent. More than three times the time of a round trip. 0: only Kafka's timeouts tell."),
];
