use super::groups;
use super::partitions::{self, Limits, number};
use crate::broker::Broker;
use crate::quorum::QuorumReading;
use ottla_metrics::Exposition;
use ottla_metrics::declarations as metrics;

/// BrokerState's number of a broker that runs.
const RUNNING: f64 = 3.0;

/// Shows everything that a broker knows of itself.
pub(crate) fn show(broker: &Broker, exposition: &mut Exposition) {
    let limit = |value: i32| usize::try_from(value).unwrap_or(0);
    let config = &broker.static_config.metrics;
    let limits = Limits {
        topics: limit(config.ottla_metrics_topics_max),
        partitions: limit(config.ottla_metrics_partitions_max),
    };
    broker.requests.show(exposition);
    let (topics, partitions) = partitions::show(broker, limits, exposition);
    replication(broker, exposition);
    directories(broker, exposition);
    controller(broker, exposition);
    groups::show(broker, exposition);
    exposition.single(&metrics::BROKER_STATE, RUNNING);
    let (sessions, parked) = broker.fetches.counts();
    exposition.single(&metrics::FETCH_SESSIONS, sessions as f64);
    for metric in [metrics::DELAYED_OPERATIONS, metrics::PURGATORY_SIZE] {
        exposition.family(&metric).sample(&["Fetch"], parked as f64);
    }
    let pushed = broker.telemetry.show(exposition);
    let mut family = exposition.family(&metrics::LEFT_OUT);
    family.sample(&["topic"], topics as f64);
    family.sample(&["partition"], partitions as f64);
    family.sample(&["client series"], pushed as f64);
}

/// What other brokers bring about.
fn replication(broker: &Broker, exposition: &mut Exposition) {
    let counters = &broker.replication.context().counters;
    for (metric, counter) in [
        (metrics::REPLICATION_BYTES_IN, &counters.bytes_in),
        (metrics::REPLICATION_BYTES_OUT, &counters.bytes_out),
        (metrics::ISR_SHRINKS, &counters.isr_shrinks),
        (metrics::ISR_EXPANDS, &counters.isr_expands),
    ] {
        exposition.single(&metric, counter.value() as f64);
    }
    let reassigning = broker.partitions.all().iter().filter(|partition| partition.is_reassigning()).count();
    exposition.single(&metrics::REASSIGNING, reassigning as f64);
    exposition.single(&metrics::UNCLEAN_ELECTIONS, 0.0);
}

fn directories(broker: &Broker, exposition: &mut Exposition) {
    let directories = broker.logs.directories();
    let paths: Vec<String> = directories.iter().map(|directory| directory.path().display().to_string()).collect();
    let offline: Vec<bool> = directories.iter().map(|directory| directory.is_offline()).collect();
    exposition.single(&metrics::OFFLINE_DIRECTORIES, offline.iter().filter(|offline| **offline).count() as f64);
    let mut family = exposition.family(&metrics::DIRECTORY_OFFLINE);
    for (path, offline) in paths.iter().zip(&offline) {
        family.sample(&[path], number(*offline));
    }
    let spaces: Vec<Option<(u64, u64)>> =
        directories.iter().map(|directory| broker.logs.space(directory.path())).collect();
    let known = || paths.iter().zip(&spaces).filter_map(|(path, space)| Some((path, (*space)?)));
    let mut family = exposition.family(&metrics::DIRECTORY_TOTAL);
    known().for_each(|(path, (_, total))| family.sample(&[path], total as f64));
    let mut family = exposition.family(&metrics::DIRECTORY_USABLE);
    known().for_each(|(path, (usable, _))| family.sample(&[path], usable as f64));
}

fn controller(broker: &Broker, exposition: &mut Exposition) {
    let image = broker.metadata.image();
    let (fenced, active): (Vec<_>, Vec<_>) = image.cluster.brokers.values().partition(|broker| broker.fenced);
    let partitions = || image.topics.partitions().map(|(_, _, partition)| partition);
    let QuorumReading { state, leader, vote, epoch, high_watermark, log_end, .. } = broker.quorum.reading();
    for (metric, value) in [
        (metrics::ACTIVE_CONTROLLERS, number(state == "leader")),
        (metrics::ACTIVE_BROKERS, active.len() as f64),
        (metrics::FENCED_BROKERS, fenced.len() as f64),
        (metrics::GLOBAL_TOPICS, image.topics.len() as f64),
        (metrics::GLOBAL_PARTITIONS, partitions().count() as f64),
        (metrics::OFFLINE_PARTITIONS, partitions().filter(|one| !one.has_leader()).count() as f64),
        (metrics::PREFERRED_IMBALANCE, partitions().filter(|one| !one.has_preferred_leader()).count() as f64),
        (metrics::LAST_APPLIED_OFFSET, image.provenance.offset.value() as f64),
        (metrics::RAFT_LEADER, f64::from(leader)),
        (metrics::RAFT_VOTE, f64::from(vote)),
        (metrics::RAFT_EPOCH, f64::from(epoch)),
        (metrics::RAFT_HIGH_WATERMARK, high_watermark as f64),
        (metrics::RAFT_LOG_END, log_end as f64),
    ] {
        exposition.single(&metric, value);
    }
    exposition.family(&metrics::RAFT_STATE).sample(&[state], 1.0);
}
