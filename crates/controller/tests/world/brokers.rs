use super::{Process, World};
use crate::cluster::registration;
use ottla_protocol::messages::{
    AlterPartitionRequest, AssignReplicasToDirsRequest, BrokerHeartbeatRequest, alter_partition_request,
    assign_replicas_to_dirs_request,
};
use ottla_types::{NodeId, Uuid};

impl World {
    /// A broker's process starts, after one that stopped in good order or did not.
    pub(super) fn start(&mut self, id: i32, clean: bool) {
        self.incarnations += 1;
        let number = u128::try_from(id).unwrap();
        let mut request = registration(id, self.incarnations);
        // Now and then a directory has been replaced by an empty one.
        let generation = if clean { 0 } else { u128::try_from(self.dice.below(2)).unwrap() * self.incarnations };
        request.log_dirs = vec![
            Uuid::from_u128(0xd1d1_0000 + number * 16),
            Uuid::from_u128(0xd1d1_0001 + number * 16 + (generation << 32)),
        ];
        request.previous_broker_epoch = if clean { self.epoch(id).unwrap_or(-1) } else { -1 };
        if self.racks {
            request.rack = Some(format!("rack{}", id % 3));
        }
        // A broker that the cluster has forgotten has no epoch to show.
        let is_lossy = !clean || self.epoch(id).is_none();
        if self.cluster.register(&request).error_code == 0 {
            self.past.lossy |= is_lossy && self.processes.contains_key(&id);
            let (incarnation, directories) = (self.incarnations, request.log_dirs);
            self.processes.insert(id, Process { incarnation, directories, offline: Vec::new() });
        }
    }

    /// After a lost leadership: what brokers believe of their registrations may be void; they start again.
    pub(super) fn adopt_incarnations(&mut self) {
        let registered = self.cluster.controller.image().cluster.brokers.clone();
        for (id, process) in &mut self.processes {
            if let Some(broker) = registered.get(&NodeId(*id)) {
                process.directories.clone_from(&broker.log_dirs);
                process.offline.clear();
            }
        }
    }

    pub(super) fn beat(&mut self, id: i32, want_fence: bool, want_shut_down: bool) {
        let Some(epoch) = self.epoch(id) else { return };
        let offline_log_dirs = self.processes[&id].offline.clone();
        let request =
            BrokerHeartbeatRequest { want_fence, want_shut_down, offline_log_dirs, ..self.cluster.alive(id, epoch) };
        self.cluster.heartbeat(&request);
    }

    /// A directory fails; the broker says so with its next heartbeat, which may be the one that unfences it.
    pub(super) fn fail_directory(&mut self, id: i32) {
        self.past.lossy = true;
        let process = self.processes.get_mut(&id).unwrap();
        if process.offline.is_empty() && process.directories.len() > 1 {
            process.offline.push(process.directories[0]);
        }
        self.beat(id, false, false);
    }

    /// A broker says where it has put replicas; now and then into a directory that has failed.
    pub(super) fn assign_directories(&mut self, id: i32) {
        let Some(broker_epoch) = self.epoch(id) else { return };
        let process = &self.processes[&id];
        let mut directories = process.directories.clone();
        directories.push(Uuid::from_u128(2));
        let directory = directories[self.dice.below(directories.len())];
        let is_lost = directory == Uuid::from_u128(2) || self.processes[&id].offline.contains(&directory);
        self.past.lossy |= is_lost;
        let mut topics = Vec::new();
        for _ in 0..3 {
            let Some((topic_id, index, _)) = self.any_partition() else { return };
            let partition =
                assign_replicas_to_dirs_request::PartitionData { partition_index: index.0, ..Default::default() };
            topics.push(assign_replicas_to_dirs_request::TopicData {
                topic_id,
                partitions: vec![partition],
                ..Default::default()
            });
        }
        let request = AssignReplicasToDirsRequest {
            broker_id: id,
            broker_epoch,
            directories: vec![assign_replicas_to_dirs_request::DirectoryData {
                id: directory,
                topics,
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcome = self.cluster.controller.assign_replicas_to_dirs(&request);
        self.cluster.commit(outcome);
    }

    /// A leader proposes some of its replicas as in sync, not all of which may be, for one partition or twice for it.
    pub(super) fn alter(&mut self) {
        let Some((topic_id, index, partition)) = self.any_partition() else { return };
        let leader = partition.leader.0;
        let Some(broker_epoch) = self.epoch(leader) else { return };
        self.past.altered = true;
        let mut partitions = Vec::new();
        for _ in 0..=usize::from(self.dice.one_in(8)) {
            let mut members = vec![leader];
            for id in partition.replicas.iter().map(|id| id.0).filter(|id| *id != leader) {
                if !self.dice.one_in(3) {
                    members.push(id);
                }
            }
            let stale = i64::from(self.dice.one_in(20));
            let state = |id: i32| alter_partition_request::BrokerState {
                broker_id: id,
                broker_epoch: self.epoch(id).unwrap_or(-1) - stale,
                ..Default::default()
            };
            partitions.push(alter_partition_request::PartitionData {
                partition_index: index.0,
                leader_epoch: partition.leader_epoch.0 - i32::from(stale > 0),
                partition_epoch: partition.partition_epoch,
                new_isr: members.clone(),
                new_isr_with_epochs: members.into_iter().map(state).collect(),
                ..Default::default()
            });
        }
        let request = AlterPartitionRequest {
            broker_id: leader,
            broker_epoch,
            topics: vec![alter_partition_request::TopicData { topic_id, partitions, ..Default::default() }],
            ..Default::default()
        };
        let version = if self.dice.one_in(4) { 2 } else { 3 };
        let context = self.cluster.context(version);
        let outcome = self.cluster.controller.alter_partition(&context, &request);
        self.cluster.commit(outcome);
    }
}
