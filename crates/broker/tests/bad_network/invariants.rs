use super::harness::asking::{Batch, metadata_log};
use super::harness::cluster::Cluster;
use ottla_env::Disk;
use ottla_types::Offset;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// What must be so at every moment.
#[derive(Default)]
pub(crate) struct Invariants {
    /// Who led which epoch.
    leaders: BTreeMap<i32, i32>,
    /// What is committed, by the first offsets of the batches.
    committed: BTreeMap<Offset, Batch>,
    /// The checksums of snapshots, by their names.
    snapshots: BTreeMap<String, u64>,
}

impl Invariants {
    /// An epoch has one leader, and so one active controller.
    pub(crate) fn check_leaders(&mut self, cluster: &Cluster) {
        for id in cluster.living_ids() {
            let quorum = cluster.node(id).node.quorum();
            assert_eq!(cluster.node(id).node.failure(), None, "node {id} has given up");
            if quorum.state == "leader" {
                let leader = *self.leaders.entry(quorum.epoch).or_insert(id);
                assert_eq!(leader, id, "two nodes lead epoch {}", quorum.epoch);
            }
            assert!(!quorum.is_active || quorum.state == "leader", "node {id} decides and does not lead");
        }
    }

    /// What is committed is the same everywhere and for ever.
    pub(crate) fn check_logs(&mut self, cluster: &Cluster) {
        for id in cluster.living_ids() {
            let end = cluster.node(id).node.quorum().high_watermark;
            for (base, batch) in metadata_log(cluster, id).into_iter().filter(|(_, batch)| batch.0.0 < end) {
                let known = *self.committed.entry(base).or_insert(batch);
                assert_eq!(known, batch, "at {base} node {id} has committed something else");
            }
            self.check_snapshots(cluster, id);
        }
    }

    /// A snapshot of the same name has the same contents, whoever has made it.
    fn check_snapshots(&mut self, cluster: &Cluster, id: i32) {
        let (disk, directory) = (&cluster.world(id).disk, Path::new("/data/__cluster_metadata-0"));
        let names = disk.list(directory).unwrap().into_iter().map(|(name, _)| name);
        for name in names.filter(|name| name.ends_with(".checkpoint") && !name.starts_with("00000000000000000000")) {
            let contents = ottla_log::read_file(disk, &directory.join(&name), 1 << 24).unwrap().unwrap();
            let mut hasher = DefaultHasher::new();
            contents.hash(&mut hasher);
            let checksum = hasher.finish();
            let known = *self.snapshots.entry(name.clone()).or_insert(checksum);
            assert_eq!(known, checksum, "node {id} has another snapshot {name}");
        }
    }

    pub(crate) fn leaders(&self) -> usize {
        self.leaders.len()
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.snapshots.len()
    }
}
