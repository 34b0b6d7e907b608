//! What must hold of every partition, and of the step from one image to the next.

use crate::world::Past;
use ottla_controller::ControllerReading;
use ottla_metadata::{ConfigResource, LeaderRecoveryState, MetadataImage, Partition, Topic};
use ottla_types::{BrokerId, NodeId};
use std::collections::BTreeSet;

/// Every rule that is broken, in words.
pub(crate) fn broken(before: &MetadataImage, after: &MetadataImage, past: Past) -> Vec<String> {
    let mut broken = Vec::new();
    for (topic, index, partition) in after.topics.partitions() {
        let mut found = shape(partition);
        found.extend(liveness(after, topic, partition, past));
        if let Some(old) = before.topics.partition(topic.id, index) {
            found.extend(progress(old, partition));
            if !past.altered && !past.unclean {
                found.extend(election(old, partition));
            }
        }
        broken.extend(found.into_iter().map(|rule| format!("{rule}: {}-{index} {partition:?}", topic.name)));
    }
    broken
}

fn set(nodes: &[NodeId]) -> BTreeSet<NodeId> {
    nodes.iter().copied().collect()
}

fn check(rules: &[(bool, &'static str)]) -> Vec<&'static str> {
    rules.iter().filter(|(holds, _)| !holds).map(|(_, rule)| *rule).collect()
}

fn shape(partition: &Partition) -> Vec<&'static str> {
    let replicas = set(&partition.replicas);
    let (in_sync, eligible) = (set(&partition.in_sync_replicas), set(&partition.eligible_leader_replicas));
    let (adding, removing) = (set(&partition.adding_replicas), set(&partition.removing_replicas));
    check(&[
        (replicas.len() == partition.replicas.len(), "a replica twice"),
        (!replicas.is_empty(), "no replicas"),
        (partition.directories.len() == partition.replicas.len(), "a directory for each replica"),
        (in_sync.len() == partition.in_sync_replicas.len(), "in sync twice"),
        (in_sync.is_subset(&replicas), "in sync, but no replica"),
        (eligible.is_subset(&replicas), "eligible, but no replica"),
        (in_sync.is_disjoint(&eligible), "in sync and eligible"),
        (adding.is_subset(&replicas), "added, but no replica"),
        (removing.is_subset(&replicas), "removed, but no replica"),
        (adding.is_disjoint(&removing), "added and removed"),
        (removing != replicas, "all replicas removed"),
    ])
}

fn liveness(image: &MetadataImage, topic: &Topic, partition: &Partition, past: Past) -> Vec<&'static str> {
    let is_active = |id: BrokerId| image.cluster.broker(id).is_some_and(|broker| broker.is_active());
    let may_serve = |id: BrokerId| {
        let broker = image.cluster.broker(id).filter(|broker| broker.is_active());
        broker.zip(partition.directory(id)).is_some_and(|(broker, dir)| broker.has_online_directory(dir))
    };
    let (in_sync, eligible) = (&partition.in_sync_replicas, &partition.eligible_leader_replicas);
    let is_last = past.without_elr && !partition.has_leader() && in_sync.len() == 1;
    let have_everything = if in_sync.is_empty() { eligible } else { in_sync };
    let minimum = image.configs.value(&ConfigResource::topic(topic.name.clone()), "min.insync.replicas");
    let minimum: usize = minimum.map_or(1, |value| value.parse().unwrap());
    let is_recovering = partition.leader_recovery_state == LeaderRecoveryState::Recovering;
    check(&[
        (in_sync.iter().all(|id| is_active(*id)) || is_last, "in sync, but not active"),
        (!partition.has_leader() || in_sync.contains(&partition.leader), "the leader is not in sync"),
        (!partition.has_leader() || may_serve(partition.leader), "the leader can't serve"),
        (partition.has_leader() || !have_everything.iter().any(|id| may_serve(*id)), "somebody could lead"),
        (eligible.is_empty() || in_sync.len() < minimum || past.without_elr, "eligible, but enough are in sync"),
        (!is_recovering || in_sync.len() <= 1, "others in sync with a leader that recovers"),
        (past.lossy || past.unclean || !have_everything.is_empty(), "nobody has everything any more"),
        (past.lossy || past.unclean || !is_recovering, "an unclean election that nobody asked for"),
    ])
}

fn progress(old: &Partition, new: &Partition) -> Vec<&'static str> {
    let has_changed = old != new;
    check(&[
        (new.leader_epoch >= old.leader_epoch, "the leader epoch goes back"),
        (new.partition_epoch >= old.partition_epoch, "the partition epoch goes back"),
        (has_changed == (new.partition_epoch > old.partition_epoch), "a change without a partition epoch"),
        (new.leader == old.leader || new.leader_epoch > old.leader_epoch, "another leader in the same epoch"),
    ])
}

/// Without unclean elections, a new leader was in sync, eligible, or the last one known.
fn election(old: &Partition, new: &Partition) -> Vec<&'static str> {
    let had_everything =
        [&old.in_sync_replicas, &old.eligible_leader_replicas, &old.last_known_eligible_leader_replicas];
    let is_clean = had_everything.iter().any(|list| list.contains(&new.leader));
    check(&[(!new.has_leader() || new.leader == old.leader || is_clean, "a leader from nowhere")])
}

/// What [`ottla_controller::Controller::reading`] must say, counted one by one.
pub(crate) fn counted(image: &MetadataImage) -> ControllerReading {
    let brokers = image.cluster.brokers.values();
    let (fenced, active): (Vec<_>, Vec<_>) = brokers.partition(|broker| broker.fenced);
    let count = |is: fn(&Partition) -> bool| image.topics.partitions().filter(|(_, _, p)| is(p)).count();
    ControllerReading {
        active_brokers: active.len(),
        fenced_brokers: fenced.len(),
        topics: image.topics.len(),
        partitions: count(|_| true),
        offline_partitions: count(|partition| !partition.has_leader()),
        not_led_by_preferred: count(|partition| !partition.has_preferred_leader()),
        reassigning_partitions: count(Partition::is_reassigning),
    }
}
