//! A node's identity, its place in the quorum, its metadata log, metrics and quotas.

use super::key;
use crate::key::Check::{AtLeast, BootstrapServers, Distinct, DistinctAndSome, QuorumVoters, SomeOf};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Class, Int, List, Long, String};
use crate::key::DefaultValue::{Null, Of, Required};
use crate::key::Importance::{High, Low, Medium};

/// A node's identity, its place in the quorum, its metadata log, metrics and quotas.
pub(super) static KEYS: [ConfigKey; 52] = [
    key("alter.config.policy.class.name", Class, Null, Low),
    key("background.threads", Int, Of("10"), High).check(AtLeast(1)).cluster_wide(),
    key("broker.heartbeat.interval.ms", Int, Of("2000"), Medium).obeyed("How often a broker reports to the active controller."),
    key("broker.id", Int, Of("-1"), High).obeyed("The older name of node.id; either may be set, both must agree."),
    key("broker.rack", String, Null, Medium).obeyed("The rack or zone the broker stands in; replicas are spread over racks."),
    key("broker.session.timeout.ms", Int, Of("9000"), Medium).obeyed("How long the active controller waits for a report before it fences a broker."),
    key("client.quota.callback.class", Class, Null, Low),
    key("config.providers", List, Of(""), Low)
        .check(Distinct)
        .cluster_wide()
        .obeyed("The names of what values of this file may be fetched from: the environment, files, directories."),
    key("controlled.shutdown.enable", Boolean, Of("true"), Medium)
        .obeyed("Whether a stopping broker has others lead first what it leads."),
    key("controller.listener.names", List, Required, High).check(DistinctAndSome).obeyed("The names of the listeners on which controllers talk; a node speaks the first to its controllers."),
    key("controller.performance.always.log.threshold.ms", Long, Of("2000"), Medium).check(AtLeast(0)).internal(),
    key("controller.performance.sample.period.ms", Long, Of("60000"), Medium).check(AtLeast(100)).internal(),
    key("controller.quorum.append.linger.ms", Int, Of("25"), Medium).check(AtLeast(0)),
    key("controller.quorum.auto.join.enable", Boolean, Of("false"), Low).obeyed("Whether a controller that is no voter of the metadata quorum makes itself one."),
    key("controller.quorum.bootstrap.servers", List, Of(""), High).check(BootstrapServers).obeyed("Controllers to ask for the metadata quorum when its voters are not fixed."),
    key("controller.quorum.election.backoff.max.ms", Int, Of("1000"), High)
        .check(AtLeast(0))
        .obeyed("The longest that a resigning active controller lets one of its successors wait."),
    key("controller.quorum.election.timeout.ms", Int, Of("1000"), High)
        .check(AtLeast(0))
        .obeyed("How long an election of the active controller may take before there is another; spread over once to twice this."),
    key("controller.quorum.fetch.max.bytes", Int, Of("1048576"), Low)
        .check(AtLeast(1))
        .obeyed("How many bytes of metadata records are asked for at once."),
    key("controller.quorum.fetch.snapshot.max.bytes", Int, Of("1048576"), Low)
        .check(AtLeast(1))
        .obeyed("How many bytes of a snapshot of metadata are asked for at once."),
    key("controller.quorum.fetch.timeout.ms", Int, Of("2000"), High)
        .check(AtLeast(0))
        .obeyed("How long a node believes in an active controller of which it hears nothing; one that hears nothing of a majority resigns after half as long again."),
    key("controller.quorum.request.timeout.ms", Int, Of("2000"), Medium)
        .check(AtLeast(0))
        .obeyed("How long another node of the quorum may take to answer."),
    key("controller.quorum.retry.backoff.ms", Int, Of("20"), Low)
        .check(AtLeast(0))
        .obeyed("How long a node of the quorum that refused, or did not answer, is left alone."),
    key("controller.quorum.voters", List, Of(""), High).check(QuorumVoters).obeyed("The fixed voters of the metadata quorum."),
    key("controller.quota.window.num", Int, Of("11"), Low).check(AtLeast(1)),
    key("controller.quota.window.size.seconds", Int, Of("1"), Low).check(AtLeast(1)),
    key("controller.socket.timeout.ms", Int, Of("30000"), Medium)
        .obeyed("How long the active controller may take to answer."),
    key("initial.broker.registration.timeout.ms", Int, Of("60000"), Medium)
        .obeyed("How long a starting broker may take to be registered; then its process ends."),
    key("internal.metadata.delete.delay.millis", Long, Of("60000"), Low).internal(),
    key("internal.metadata.log.segment.bytes", Int, Null, Low).internal(),
    key("internal.metadata.max.batch.size.in.bytes", Int, Of("8388608"), Low).internal(),
    key("kafka.metrics.polling.interval.secs", Int, Of("10"), Low).check(AtLeast(1)),
    key("kafka.metrics.reporters", List, Of(""), Low).check(Distinct),
    key("metadata.log.dir", String, Null, High).obeyed("The directory of the metadata log; unset, the first log directory."),
    key("metadata.log.max.record.bytes.between.snapshots", Long, Of("20971520"), High).check(AtLeast(1)).obeyed("How many bytes of metadata records bring about a new snapshot."),
    key("metadata.log.max.snapshot.interval.ms", Long, Of("3600000"), High).check(AtLeast(0)).obeyed("How much time brings about a new snapshot if records came; 0 is never."),
    key("metadata.log.segment.bytes", Int, Of("1073741824"), High).check(AtLeast(8_388_608)).obeyed("The size at which a segment of the metadata log is closed."),
    key("metadata.log.segment.ms", Long, Of("604800000"), High).obeyed("The age at which a segment of the metadata log is closed."),
    key("metadata.max.idle.interval.ms", Int, Of("500"), Low)
        .check(AtLeast(0))
        .obeyed("How long the metadata log of several controllers may stand still before a record that says nothing is added; 0 is for ever."),
    key("metadata.max.retention.bytes", Long, Of("104857600"), High).obeyed("How many bytes of metadata log and snapshots are kept once a snapshot covers them."),
    key("metadata.max.retention.ms", Long, Of("604800000"), High).obeyed("How long metadata log and snapshots are kept once a snapshot covers them."),
    key("metric.reporters", List, Of("org.apache.kafka.common.metrics.JmxReporter"), Low).check(Distinct).cluster_wide(),
    key("metrics.num.samples", Int, Of("2"), Low).check(AtLeast(1)),
    key("metrics.recording.level", String, Of("INFO"), Low),
    key("metrics.sample.window.ms", Long, Of("30000"), Low).check(AtLeast(1)),
    key("node.id", Int, Required, High).check(AtLeast(0)).obeyed("The id of the node, different from that of every other node of the cluster."),
    key("process.roles", List, Required, High).check(SomeOf(&["broker", "controller"])).obeyed("Whether the node is a broker, a controller or both. Unset, it follows from controller.quorum.voters: a voter is both, another node is a broker."),
    key("quota.window.num", Int, Of("11"), Low).check(AtLeast(1)),
    key("quota.window.size.seconds", Int, Of("1"), Low).check(AtLeast(1)),
    key("server.max.startup.time.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .internal()
        .obeyed("How long a starting broker may take until clients are sent to it; then its process ends."),
    key("telemetry.max.bytes", Int, Of("1048576"), Low)
        .check(AtLeast(1))
        .obeyed("The most bytes of metrics that a client may push at once."),
    key("unstable.api.versions.enable", Boolean, Of("false"), High).internal(),
    key("unstable.feature.versions.enable", Boolean, Of("false"), High).internal(),
];
