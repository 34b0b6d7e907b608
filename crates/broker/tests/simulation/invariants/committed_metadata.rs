//! **Committed metadata.** What is committed of the metadata is the same on all nodes for ever, and so is a snapshot of it.

use crate::harness::asking::{Batch, metadata_log};
use crate::harness::cluster::Cluster;
use ottla_env::Disk;
use ottla_types::Offset;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

#[derive(Default)]
pub(crate) struct CommittedMetadata {
    /// By the first offsets of the batches.
    committed: BTreeMap<Offset, Batch>,
    /// The checksums of snapshots, by their names.
    snapshots: BTreeMap<String, u64>,
}

impl CommittedMetadata {
    pub(crate) fn check(&mut self, cluster: &Cluster) {
        for id in cluster.living_ids() {
            let end = cluster.node(id).node.quorum().high_watermark;
            for (base, batch) in metadata_log(cluster, id).into_iter().filter(|(_, batch)| batch.0.0 < end) {
                let known = *self.committed.entry(base).or_insert(batch);
                assert_eq!(known, batch, "committed metadata: at {base} node {id} has something else");
            }
            self.check_snapshots(cluster, id);
        }
    }

    fn check_snapshots(&mut self, cluster: &Cluster, id: i32) {
        let (disk, directory) = (&cluster.world(id).disk.below(), Path::new("/data/__cluster_metadata-0"));
        let names = disk.list(directory).unwrap_or_default().into_iter().map(|(name, _)| name);
        for name in names.filter(|name| name.ends_with(".checkpoint") && !name.starts_with("00000000000000000000")) {
            let Ok(Some(contents)) = ottla_log::read_file(disk, &directory.join(&name), 1 << 24) else { continue };
            let mut hasher = DefaultHasher::new();
            contents.hash(&mut hasher);
            let checksum = hasher.finish();
            let known = *self.snapshots.entry(name.clone()).or_insert(checksum);
            assert_eq!(known, checksum, "committed metadata: node {id} has another snapshot {name}");
        }
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.snapshots.len()
    }
}
