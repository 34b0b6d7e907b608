use crate::draft::Draft;
use ottla_metadata::Partition;
use ottla_protocol::metadata_records::PartitionChangeRecord;
use ottla_types::{NodeId, TopicIdPartition};

impl Draft<'_> {
    /// Eligible leader replicas are to be kept no longer: snapshots will not have them. A partition that lives by them gets
    /// what it would have without them, its last member as the one in sync; else nobody would ever lead it again.
    pub(crate) fn forget_eligible(&mut self) {
        let partitions = self.image.topics.partitions();
        let known: Vec<PartitionChangeRecord> = partitions
            .filter(|(_, _, partition)| has_eligible(partition))
            .map(|(topic, index, partition)| {
                forgotten(TopicIdPartition { topic_id: topic.id, partition: index }, partition)
            })
            .collect();
        for record in known {
            self.push_change(Some(record));
        }
    }
}

fn has_eligible(partition: &Partition) -> bool {
    !partition.eligible_leader_replicas.is_empty() || !partition.last_known_eligible_leader_replicas.is_empty()
}

fn forgotten(key: TopicIdPartition, partition: &Partition) -> PartitionChangeRecord {
    let (eligible, known) = (&partition.eligible_leader_replicas, &partition.last_known_eligible_leader_replicas);
    let last = known.iter().find(|id| eligible.is_empty() || eligible.contains(id)).or(eligible.first());
    let last = last.filter(|id| partition.in_sync_replicas.is_empty() && partition.replicas.contains(id));
    PartitionChangeRecord {
        topic_id: key.topic_id,
        partition_id: key.partition.0,
        isr: last.map(|NodeId(id)| vec![*id]),
        eligible_leader_replicas: (!eligible.is_empty()).then(Vec::new),
        last_known_elr: (!known.is_empty()).then(Vec::new),
        ..Default::default()
    }
}
