//! **Log matching**: batches of the same leader epoch at the same offset are the same, on all replicas and for ever; at the end
//! whole logs are. **Contiguity**, **checksum honesty**.

use super::Held;
use crate::harness::cluster::Cluster;
use crate::history::Value;
use crate::readers::values_of;
use ottla_env::{Disk, OpenMode};
use ottla_records::{Batches, ControlRecord, RecordBatchView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known of batches: in which log, of which leader epoch, at which offset, and their checksums.
#[derive(Default)]
pub(crate) struct KnownBatches {
    checksums: BTreeMap<(String, i32, i64), u32>,
}

/// What a batch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) base: i64,
    pub(crate) next: i64,
    pub(crate) epoch: i32,
    pub(crate) checksum: u32,
    pub(crate) producer: (i64, i16),
    pub(crate) sequence: i32,
    pub(crate) is_transactional: bool,
    pub(crate) values: Vec<(i64, Value)>,
    /// Whether it ends a transaction, and how.
    pub(crate) marker: Option<bool>,
}

/// A partition's log on its leader, in order.
pub(crate) type Contents = Vec<Written>;

impl KnownBatches {
    /// Logs that are not compacted, of topics that may not come again under their name.
    pub(crate) fn check(&mut self, cluster: &Cluster) {
        for id in cluster.living_ids().filter(|id| !cluster.world(*id).disk.is_dead()) {
            for directory in partitions(cluster, id) {
                for batch in read_headers(cluster, id, &directory) {
                    let key = (directory.clone(), batch.1, batch.0);
                    let known = *self.checksums.entry(key).or_insert(batch.2);
                    assert_eq!(
                        known, batch.2,
                        "log matching: {directory} has another batch at {} of epoch {} on node {id}",
                        batch.0, batch.1
                    );
                }
            }
        }
    }
}

/// The partitions that a node holds of topics that are checked.
fn partitions(cluster: &Cluster, id: i32) -> Vec<String> {
    let disk = cluster.world(id).disk.below();
    let entries = cluster.directories().iter().flat_map(|path| disk.list(Path::new(path)).unwrap_or_default());
    let is_checked = |name: &String| ["r-kept-", "t-written-", "r-short-"].iter().any(|topic| name.starts_with(topic));
    entries.map(|(name, _)| name).filter(|name| is_checked(name) && !name.contains('.')).collect()
}

fn segments(cluster: &Cluster, id: i32, partition: &str) -> Vec<Vec<u8>> {
    let disk = cluster.world(id).disk.below();
    let directory = PathBuf::from(cluster.log_of(id, partition));
    let names = disk.list(&directory).unwrap_or_default().into_iter().map(|(name, _)| name);
    names
        .filter(|name| name.ends_with(".log"))
        .filter_map(|name| {
            let file = disk.open(&directory.join(&name), OpenMode::Read).ok()?;
            let mut bytes = vec![0; usize::try_from(file.length().ok()?).unwrap()];
            let read = file.read_at(&mut bytes, 0).ok()?;
            bytes.truncate(read);
            Some(bytes)
        })
        .collect()
}

fn read_headers(cluster: &Cluster, id: i32, directory: &str) -> Vec<(i64, i32, u32)> {
    let mut headers = Vec::new();
    for bytes in segments(cluster, id, directory) {
        let batches = Batches::new(&bytes).map_while(Result::ok);
        headers
            .extend(batches.map(|batch| (batch.base_offset().0, batch.partition_leader_epoch().0, batch.checksum())));
    }
    headers
}

fn written(batch: &RecordBatchView<'_>) -> Written {
    let marker = batch.is_control().then(|| {
        let record = batch.uncompressed_records().unwrap().unwrap().next().unwrap().unwrap();
        ControlRecord::parse(&record).unwrap().end_transaction().unwrap().is_some_and(|marker| marker.is_commit)
    });
    Written {
        base: batch.base_offset().0,
        next: batch.next_offset().0,
        epoch: batch.partition_leader_epoch().0,
        checksum: batch.checksum(),
        producer: (batch.producer_id().0, batch.producer_epoch().0),
        sequence: batch.base_sequence().0,
        is_transactional: batch.is_transactional(),
        values: if marker.is_some() { Vec::new() } else { values_of(batch) },
        marker,
    }
}

/// The leader's log, which is that of all others.
pub(crate) fn check(cluster: &Cluster, held: &Held) -> Contents {
    let internal = held.name.starts_with("__");
    let directory = format!("{}-{}", held.name, held.place.1);
    let read = |id: i32| -> Contents {
        let mut contents = Vec::new();
        for bytes in segments(cluster, id, &directory) {
            let batches: Vec<RecordBatchView<'_>> = Batches::new(&bytes).map_while(Result::ok).collect();
            for batch in &batches {
                assert!(
                    batch.is_checksum_valid(),
                    "checksum honesty: {directory} on {id} at {:?}",
                    batch.base_offset()
                );
            }
            if !internal {
                contents.extend(batches.iter().map(written));
            }
        }
        contents
    };
    let leader = read(held.leader);
    let is_compacted = held.name.contains("compact");
    for pair in leader.windows(2) {
        let follows = if is_compacted { pair[1].base >= pair[0].next } else { pair[1].base == pair[0].next };
        assert!(follows, "contiguity: {directory}: {:?} is followed by {:?}", pair[0], pair[1]);
    }
    for id in held.replicas.iter().filter(|id| **id != held.leader && !is_compacted) {
        let other = read(*id);
        // Each removes by itself what is older than a topic keeps.
        let start = leader.first().map_or(0, |batch| batch.base).max(other.first().map_or(0, |batch| batch.base));
        let ours: Vec<_> = leader.iter().filter(|batch| batch.base >= start).collect();
        let theirs: Vec<_> = other.iter().filter(|batch| batch.base >= start).collect();
        assert_eq!(ours, theirs, "log matching: {directory} on {} (leader) and {id}", held.leader);
    }
    leader
}
