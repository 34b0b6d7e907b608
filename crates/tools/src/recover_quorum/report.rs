//! What the tool says.

use crate::texts::count;
use ottla_broker::{Recovery, Survivor};
use ottla_raft::KraftVersion;
use ottla_types::NodeId;
use std::collections::BTreeSet;
use std::path::Path;

/// What the directory holds.
pub(super) fn found(survivor: &Survivor) -> String {
    let Survivor { properties, directory, end, epoch, image, .. } = survivor;
    let partitions = image.topics.partitions().count();
    let mut text = format!(
        "Node {} of cluster {}, {}\n  the log ends with epoch {} at offset {}; the newest epoch it knows of is {epoch}\n  {}, {} with \
         {}\n",
        properties.node_id,
        properties.cluster_id,
        directory.display(),
        end.epoch,
        end.offset,
        count(image.cluster.brokers.len(), "broker"),
        count(image.topics.len(), "topic"),
        count(partitions, "partition"),
    );
    if survivor.torn_bytes > 0 {
        text.push_str(&format!(
            "  the last {} bytes of the log are no whole batch and don't count\n",
            survivor.torn_bytes
        ));
    }
    if survivor.has_open_transaction {
        text.push_str("  the log ends within a metadata transaction, which does not count\n");
    }
    let voters: Vec<String> = survivor.voters.ids().map(|id| id.to_string()).collect();
    text.push_str(&match survivor.version {
        KraftVersion::Dynamic => format!("  voters: {} (kraft.version 1: they stand in the log)\n", voters.join(", ")),
        KraftVersion::Static => "  kraft.version 0: the voters are those of controller.quorum.voters\n".to_owned(),
    });
    text
}

/// The warning that it deserves.
pub(super) fn warning(survivor: &Survivor) -> String {
    let end = survivor.end;
    format!(
        "\nWARNING: this is for a quorum whose majority is lost FOR EVER. If enough voters can be started again, start them instead.\n\
         - What the lost voters had decided without this node is lost: topics, configurations, who is in sync. Partitions may lose records.\n\
         - Run this on every voter that is left, without --execute, and recover the one whose log ends with the greatest epoch, and of \
         those with the same epoch the one with the greatest offset. Here: epoch {}, offset {}.\n\
         - The other voters must never be started again with the directories that they have. Together they could decide without this node: \
         two clusters with one id.\n\n",
        end.epoch, end.offset
    )
}

/// What would be done.
pub(super) fn steps(survivor: &Survivor, recovery: &Recovery, backup: &Path, lost: &BTreeSet<NodeId>) -> String {
    let id = survivor.properties.node_id;
    let voters = if recovery.voters.is_empty() {
        "the voters stay those of controller.quorum.voters, which names this node alone".to_owned()
    } else {
        format!("node {id} is the only voter")
    };
    let ids: Vec<String> = lost.iter().map(NodeId::to_string).collect();
    let in_sync = if ids.is_empty() {
        "who is in sync stays as it is: --lost names brokers that are lost with their disks".to_owned()
    } else {
        format!("brokers that are lost, {}, are not in sync any more where another replica is", ids.join(", "))
    };
    format!(
        "Steps:\n  1. copy {} to {}\n  2. write quorum-state with epoch {}\n  3. write the snapshot {}: all of the metadata above; {voters}; \
         {in_sync}\n",
        survivor.directory.display(),
        backup.display(),
        recovery.snapshot.0.epoch,
        recovery.snapshot.file_name(),
    )
}

/// What is to be done now.
pub(super) fn done(survivor: &Survivor, recovery: &Recovery, backup: &Path) -> String {
    let back = format!(
        "To go back, put the files of {} in the place of those of {}.\n",
        backup.display(),
        survivor.directory.display()
    );
    let next = if recovery.voters.is_empty() {
        "Start this node, then the brokers, whose controller.quorum.voters must name this node alone too. For more voters, go over to \
         kraft.version 1 (kafka-features upgrade --feature kraft.version=1) and add them (kafka-metadata-quorum add-controller).\n"
    } else {
        "Start this node; brokers follow by themselves. Then add voters with empty directories (kafka-metadata-quorum add-controller).\n"
    };
    format!("Done. {next}{back}")
}
