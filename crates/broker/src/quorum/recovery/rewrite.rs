use super::{RecoveryError, Survivor, backup};
use crate::quorum::files::QuorumFiles;
use crate::quorum::snapshots::snapshot_of;
use crate::quorum::start::voter_endpoints;
use ottla_config::NodeConfig;
use ottla_log::Environment;
use ottla_metadata::VersionedRecord;
use ottla_protocol::metadata_records::{MetadataRecord, PartitionRecord};
use ottla_raft::{ControlRecord, ElectionState, KraftVersion, OffsetAndEpoch, ReplicaKey, SnapshotId, Voter, VoterSet};
use ottla_types::{BrokerId, LeaderEpoch, NodeId, Offset};
use std::collections::BTreeSet;
use std::path::Path;

/// More than any other replica's log can be ahead of the most complete survivor's.
const SKIPPED_OFFSETS: i64 = 1_000_000;
/// More elections than the lost voters can have held meanwhile.
const SKIPPED_EPOCHS: i32 = 1_000;
/// More changes of leader than the lost decisions can have given one partition.
const SKIPPED_PARTITION_EPOCHS: i32 = 1_000;
/// A thousand blocks.
const SKIPPED_PRODUCER_IDS: i64 = 1_000_000;

/// What makes a survivor the only voter.
pub struct Recovery {
    /// The snapshot that takes the log's place.
    pub snapshot: SnapshotId,
    /// The only voter; none where it stands in the properties.
    pub voters: VoterSet,
    contents: Vec<u8>,
    quorum_state: String,
}

impl Recovery {
    /// Plans it: nothing is written yet. Brokers that are lost with their disks are in no in-sync set any more where others are left.
    ///
    /// # Errors
    /// The properties name other voters, or the directory has no id.
    pub fn of(survivor: &Survivor, config: &NodeConfig, lost: &BTreeSet<BrokerId>) -> Result<Self, RecoveryError> {
        let (stated, voters) = lone_voter(survivor, config)?;
        let raised = |number: i32| number.checked_add(SKIPPED_EPOCHS).ok_or(RecoveryError::NoRoom);
        let epoch = LeaderEpoch(raised(survivor.epoch.0)?);
        let offset = survivor.end.offset.0.checked_add(SKIPPED_OFFSETS).ok_or(RecoveryError::NoRoom)?;
        let snapshot = SnapshotId(OffsetAndEpoch { offset: Offset(offset), epoch });
        let time = survivor.image.provenance.timestamp;
        let start = ControlRecord::snapshot_start(time, survivor.version, &stated);
        let mut records = survivor.image.to_records();
        for record in &mut records {
            skip_lost_numbers(record)?;
            if let MetadataRecord::Partition(partition) = &mut record.record {
                leave_to_survivors(partition, lost);
            }
        }
        let contents = snapshot_of(&start, &records, epoch, time)?;
        let election = ElectionState { epoch, leader: None, voted: None };
        let quorum_state = election.to_file(survivor.version, &voters);
        Ok(Self { snapshot, voters: stated, contents, quorum_state })
    }

    /// Copies the directory as it is to `backup`, and makes its node the only voter. Everything is durable when this returns.
    /// The last step is one file that gets its name: if power is lost before it, the node is as it was.
    ///
    /// # Errors
    /// A file can't be written, or there is something at the backup's place.
    pub fn write(&self, environment: &Environment, survivor: &Survivor, backup: &Path) -> Result<(), RecoveryError> {
        backup::copy(&*environment.disk, &survivor.directory, backup)?;
        let (disk, clock) = (environment.disk.clone(), environment.clock.clone());
        let files = QuorumFiles { disk, clock, directory: survivor.directory.clone() };
        files.write_quorum_state(&self.quorum_state)?;
        files.write_snapshot(self.snapshot, &self.contents)?;
        Ok(())
    }
}

/// The voters that a snapshot states, and those that count.
fn lone_voter(survivor: &Survivor, config: &NodeConfig) -> Result<(VoterSet, VoterSet), RecoveryError> {
    let id = config.node_id;
    let endpoints = voter_endpoints(config, id);
    match survivor.version {
        KraftVersion::Static => {
            let configured: Vec<NodeId> = config.quorum.voters.keys().copied().collect();
            if configured != [id] {
                let address = endpoints
                    .first()
                    .map_or_else(|| "HOST:PORT".to_owned(), |endpoint| format!("{}:{}", endpoint.host, endpoint.port));
                return Err(RecoveryError::ConfiguredVoters(format!("controller.quorum.voters={id}@{address}")));
            }
            let key = ReplicaKey { id, directory: None };
            Ok((VoterSet::default(), VoterSet::new([Voter::new(key, endpoints)])))
        }
        KraftVersion::Dynamic => {
            let directory = survivor.properties.directory_id;
            let directory =
                directory.ok_or_else(|| RecoveryError::NoDirectoryId(config.metadata_log_dir.clone().into()))?;
            let voters = VoterSet::new([Voter::new(ReplicaKey::new(id, directory), endpoints)]);
            Ok((voters.clone(), voters))
        }
    }
}

/// Decisions that are lost may have used the next epochs of partitions and the next producer ids: they are not used again.
fn skip_lost_numbers(record: &mut VersionedRecord) -> Result<(), RecoveryError> {
    let raised = |number: i32| number.checked_add(SKIPPED_PARTITION_EPOCHS).ok_or(RecoveryError::NoRoom);
    match &mut record.record {
        MetadataRecord::Partition(partition) => {
            partition.leader_epoch = raised(partition.leader_epoch)?;
            partition.partition_epoch = raised(partition.partition_epoch)?;
        }
        MetadataRecord::ProducerIds(ids) => {
            let next = ids.next_producer_id.checked_add(SKIPPED_PRODUCER_IDS);
            ids.next_producer_id = next.ok_or(RecoveryError::NoRoom)?;
        }
        _ => {}
    }
    Ok(())
}

/// Takes lost brokers out of a partition's in-sync replicas, as a controller does with those that are fenced. It would do so when the
/// survivor's broker has registered anew, and that leaves the in-sync replicas then too: nobody would be left to lead. Where all are lost,
/// nothing is changed.
fn leave_to_survivors(partition: &mut PartitionRecord, lost: &BTreeSet<BrokerId>) {
    let is_left = |id: &i32| !lost.contains(&NodeId(*id));
    let left: Vec<i32> = partition.isr.iter().copied().filter(is_left).collect();
    let Some(next) = partition.replicas.iter().copied().find(|id| left.contains(id)) else { return };
    partition.isr = left;
    if let Some(eligible) = &mut partition.eligible_leader_replicas {
        eligible.retain(is_left);
    }
    if !is_left(&partition.leader) {
        partition.leader = next;
    }
}
