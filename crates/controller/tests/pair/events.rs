use super::{Pair, Process};
use crate::cluster::{assigned, registration, topics};
use ottla_metadata::Partition;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AssignReplicasToDirsRequest, BrokerHeartbeatRequest, DeleteTopicsRequest,
    ElectLeadersRequest, ElectLeadersResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    UnregisterBrokerRequest, alter_partition_reassignments_request, assign_replicas_to_dirs_request,
    delete_topics_request, elect_leaders_request,
};
use ottla_types::{NodeId, PartitionIndex, TopicId, Uuid};
use std::sync::Arc;
use std::time::Duration;

fn any<R>(_: &mut R) {}

fn by_topic(response: &mut ElectLeadersResponse) {
    response.replica_election_results.sort_by(|left, right| left.topic.cmp(&right.topic));
    for topic in &mut response.replica_election_results {
        topic.partition_result.sort_by_key(|partition| partition.partition_id);
    }
}

impl Pair {
    /// One event of any kind.
    pub(crate) fn step(&mut self) {
        let ids: Vec<i32> = self.processes.keys().copied().collect();
        let id = ids[self.below(ids.len())];
        match self.below(36) {
            0 | 1 => self.beat(id, true, false),
            2 | 3 => self.beat(id, false, true),
            4 => self.start(id, true),
            5 => self.start(id, false),
            6 => self.fall_silent(id),
            7 => self.fail_directory(id),
            8 | 9 => self.assign(id),
            10 if self.below(4) == 0 => self.unregister(id),
            11 => self.delete(),
            12 | 13 => self.create(),
            14..=16 => self.elect(),
            17 => self.set_minimum(),
            18..=20 => self.reassign(),
            21 => self.list(),
            22 => self.balance(),
            23..=28 => self.alter(),
            _ => self.beat(id, false, false),
        }
    }

    fn any_partition(&mut self) -> Option<(TopicId, String, PartitionIndex, Arc<Partition>)> {
        let image = self.image().clone();
        let all: Vec<_> =
            image.topics.partitions().map(|(t, index, p)| (t.id, t.name.to_string(), index, p.clone())).collect();
        if all.is_empty() { None } else { Some(all[self.below(all.len())].clone()) }
    }

    fn epoch(&self, id: i32) -> Option<i64> {
        self.image().cluster.broker(NodeId(id)).map(|broker| broker.epoch.0)
    }

    pub(super) fn start(&mut self, id: i32, clean: bool) {
        self.incarnations += 1;
        let mut request = registration(id, self.incarnations);
        let number = u128::try_from(id).unwrap();
        let replaced = if self.below(3) == 0 { self.incarnations << 32 } else { 0 };
        // One that was let go may come back with its directory before its session is over here; in Kafka it may not.
        let was_let_go = self.processes.get(&id).is_some_and(|process| process.was_let_go);
        let [first, second] = if was_let_go { [self.incarnations << 32; 2] } else { [0, replaced] };
        request.log_dirs = vec![
            Uuid::from_u128(0xd1d1_0000 + number * 16 + first),
            Uuid::from_u128(0xd1d1_0001 + number * 16 + second),
        ];
        request.rack = (self.below(2) == 0).then(|| "rack".to_owned());
        let version = 2 + i16::try_from(self.below(3)).unwrap();
        if clean && version >= 3 {
            request.previous_broker_epoch = self.epoch(id).unwrap_or(-1);
        }
        let context = self.cluster.context(version);
        let ours = self.cluster.controller.register_broker(&context, &request);
        self.concerned = Some(NodeId(id));
        let response = self.compare("register", version, &request, ours, (|r| r.error_code, any));
        self.concerned = None;
        if response.error_code == 0 {
            let directories = request.log_dirs;
            self.processes.insert(id, Process { directories, offline: Vec::new(), leaving: false, was_let_go: false });
        }
    }

    pub(super) fn beat(&mut self, id: i32, want_fence: bool, want_shut_down: bool) {
        let process = self.processes.get_mut(&id).unwrap();
        process.leaving |= want_shut_down;
        let (want_shut_down, offline_log_dirs) = (process.leaving, process.offline.clone());
        let epoch = self.epoch(id).unwrap_or(7);
        let epoch = if self.below(30) == 0 { epoch + 1 } else { epoch };
        let mut request =
            BrokerHeartbeatRequest { want_fence, want_shut_down, offline_log_dirs, ..self.cluster.alive(id, epoch) };
        if self.below(4) == 0 {
            request.current_metadata_offset -= i64::try_from(self.below(40)).unwrap();
        }
        let context = self.cluster.context(2);
        let ours = self.cluster.controller.heartbeat(&context, &request);
        let response = self.compare("heartbeat", 2, &request, ours, (|r| r.error_code, any));
        if let Some(process) = self.processes.get_mut(&id) {
            process.was_let_go |= response.should_shut_down;
        }
    }

    /// Everybody else goes on for longer than a session.
    fn fall_silent(&mut self, id: i32) {
        for _ in 0..6 {
            self.cluster.now += Duration::from_secs(2);
            self.set_clock();
            for other in self.processes.keys().copied().filter(|other| *other != id).collect::<Vec<_>>() {
                self.beat(other, false, false);
            }
            let context = self.cluster.context(0);
            let ours = self.cluster.controller.tick(&context);
            self.compare_periodic("fence", ours);
        }
    }

    fn fail_directory(&mut self, id: i32) {
        let is_active = self.image().cluster.broker(NodeId(id)).is_some_and(|broker| broker.is_active());
        let process = self.processes.get_mut(&id).unwrap();
        if is_active && !process.leaving && process.offline.is_empty() {
            process.offline.push(process.directories[0]);
        }
        self.beat(id, false, false);
    }

    /// Not where a partition waits for a leader, or for its move to end: there both look at different directories.
    fn assign(&mut self, id: i32) {
        let broker_epoch = self.epoch(id).unwrap_or(7);
        let mut directories = self.processes[&id].directories.clone();
        directories.push(Uuid::from_u128(2));
        let directory = directories[self.below(directories.len())];
        let mut topics = Vec::new();
        for _ in 0..2 {
            let Some((topic_id, _, index, partition)) = self.any_partition() else { return };
            let asked = |topic: &assign_replicas_to_dirs_request::TopicData| {
                (topic.topic_id, topic.partitions[0].partition_index) == (topic_id, index.0)
            };
            if !partition.has_leader() || partition.is_reassigning() || topics.iter().any(asked) {
                continue;
            }
            let partition_index = index.0 + i32::from(self.below(20) == 0) * 50;
            topics.push(assign_replicas_to_dirs_request::TopicData {
                topic_id,
                partitions: vec![assign_replicas_to_dirs_request::PartitionData {
                    partition_index,
                    ..Default::default()
                }],
                ..Default::default()
            });
        }
        let data = assign_replicas_to_dirs_request::DirectoryData { id: directory, topics, ..Default::default() };
        let request =
            AssignReplicasToDirsRequest { broker_id: id, broker_epoch, directories: vec![data], ..Default::default() };
        let ours = self.cluster.controller.assign_replicas_to_dirs(&request);
        self.compare("assign", 0, &request, ours, (|r| r.error_code, any));
    }

    fn unregister(&mut self, id: i32) {
        let broker_id = if self.below(3) == 0 { 99 } else { id };
        let request = UnregisterBrokerRequest { broker_id, ..Default::default() };
        let ours = self.cluster.controller.unregister_broker(&request);
        self.concerned = Some(NodeId(broker_id));
        self.compare("unregister", 0, &request, ours, (|r| r.error_code, any));
        self.concerned = None;
    }

    fn create(&mut self) {
        let name = format!("t{}", self.below(5));
        let mut partitions: Vec<(i32, Vec<i32>)> = Vec::new();
        let factor = 1 + self.below(4);
        for index in 0..4 {
            partitions.push((index, self.some_brokers(factor)));
        }
        let partitions: Vec<(i32, &[i32])> = partitions.iter().map(|(index, ids)| (*index, &**ids)).collect();
        let mut topic = assigned(&name, &partitions);
        let minimum = ["1", "2", "3"][self.below(3)];
        let unclean = if self.below(5) == 0 { "true" } else { "false" };
        let configs = [("min.insync.replicas", minimum), ("unclean.leader.election.enable", unclean)];
        topic.configs = crate::cluster::topic(&name, 1, 1, &configs).configs;
        let context = self.cluster.context(7);
        let ours = self.cluster.controller.create_topics(&context, &topics([topic]));
        self.decide_alone(ours);
    }

    fn some_brokers(&mut self, count: usize) -> Vec<i32> {
        let mut ids: Vec<i32> = self.processes.keys().copied().collect();
        for end in (1..ids.len()).rev() {
            let other = self.below(end + 1);
            ids.swap(end, other);
        }
        ids.truncate(count);
        ids
    }

    fn delete(&mut self) {
        let name = Some(format!("t{}", self.below(5)));
        let topic = delete_topics_request::DeleteTopicState { name, ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
        let context = self.cluster.context(6);
        let ours = self.cluster.controller.delete_topics(&context, &request);
        self.decide_alone(ours);
    }

    fn set_minimum(&mut self) {
        let Some((_, name, ..)) = self.any_partition() else { return };
        let value = ["1", "2", "3"][self.below(3)];
        let start = self.cluster.log.len();
        self.cluster.set_config(&name, "min.insync.replicas", value);
        self.replay_from(start);
    }

    fn elect(&mut self) {
        let election_type = i8::from(self.below(3) == 0);
        let mut request = ElectLeadersRequest { election_type, topic_partitions: None, ..Default::default() };
        if self.below(3) > 0 {
            let Some((_, topic, index, _)) = self.any_partition() else { return };
            let topic = if self.below(20) == 0 { "none".to_owned() } else { topic };
            request.topic_partitions = Some(vec![elect_leaders_request::TopicPartitions {
                topic,
                partitions: vec![index.0, 77],
                ..Default::default()
            }]);
        }
        let ours = self.cluster.controller.elect_leaders(&request);
        self.compare("elect", 2, &request, ours, (|r| r.error_code, by_topic));
    }

    /// A move, or its end before its time; not another target for one that is under way, and not back to where records may
    /// be missing.
    fn reassign(&mut self) {
        let Some((_, name, index, partition)) = self.any_partition() else { return };
        let name = if self.below(20) == 0 { "none".to_owned() } else { name };
        let count = 1 + self.below(4);
        let mut target = self.some_brokers(count);
        if self.below(20) == 0 {
            target.push(target[0]);
        }
        let is_clean = partition.in_sync_replicas.iter().any(|id| !partition.adding_replicas.contains(id));
        let replicas = match partition.is_reassigning() {
            true if !is_clean => return,
            true => None,
            false => (self.below(10) > 0).then_some(target),
        };
        let asked = alter_partition_reassignments_request::ReassignablePartition {
            partition_index: index.0,
            replicas,
            ..Default::default()
        };
        let request = AlterPartitionReassignmentsRequest {
            allow_replication_factor_change: self.below(4) > 0,
            topics: vec![alter_partition_reassignments_request::ReassignableTopic {
                name,
                partitions: vec![asked],
                ..Default::default()
            }],
            ..Default::default()
        };
        let ours = self.cluster.controller.alter_partition_reassignments(&request);
        let whole = |response: &mut ottla_protocol::messages::AlterPartitionReassignmentsResponse| {
            // Kafka's controller leaves this to the node that answers.
            response.allow_replication_factor_change = true;
        };
        self.compare("reassign", 1, &request, ours, (|r| r.error_code, whole));
    }

    fn list(&mut self) {
        let request = ListPartitionReassignmentsRequest::default();
        let ours = self.cluster.controller.list_partition_reassignments(&request);
        let by_topic = |response: &mut ListPartitionReassignmentsResponse| {
            response.topics.sort_by(|left, right| left.name.cmp(&right.name));
            for topic in &mut response.topics {
                topic.partitions.sort_by_key(|partition| partition.partition_index);
            }
        };
        let outcome = ottla_controller::Outcome::answer(ours);
        self.compare("list", 0, &request, outcome, (|r| r.error_code, by_topic));
    }

    fn balance(&mut self) {
        let ours = self.cluster.controller.balance_leaders();
        self.compare_periodic("balance", ours);
        let ours = self.cluster.controller.elect_unclean_leaders();
        self.compare_periodic("unclean", ours);
    }

    /// A leader, or one that takes itself for it, says who is in sync; not all of it can be.
    fn alter(&mut self) {
        let Some((_, name, index, partition)) = self.any_partition() else { return };
        let mut members = Vec::new();
        for id in partition.replicas.iter().map(|id| id.0) {
            if self.below(12) > 0 {
                members.push(id);
            }
        }
        if self.below(30) == 0 {
            members.push(2);
        }
        let mut request = self.cluster.proposal(&name, index.0, &members);
        let data = &mut request.topics[0].partitions[0];
        match self.below(40) {
            0 => data.leader_epoch += 1,
            1 => data.leader_epoch -= 1,
            2 => data.partition_epoch += 1,
            3 => data.partition_epoch -= 1,
            4 => data.partition_index = 99,
            5 => request.broker_epoch += 1,
            6 => request.topics[0].topic_id = Uuid::from_u128(0xabc),
            7 | 8 => data.leader_recovery_state = 1,
            9 | 10 => data.new_isr_with_epochs.iter_mut().take(2).for_each(|state| state.broker_epoch += 1),
            11 => data.new_isr_with_epochs.iter_mut().for_each(|state| state.broker_epoch = -1),
            _ => {}
        }
        let version = 2 + i16::from(self.below(4) > 0);
        if version == 2 {
            let data = &mut request.topics[0].partitions[0];
            data.new_isr = data.new_isr_with_epochs.drain(..).map(|state| state.broker_id).collect();
        }
        let context = self.cluster.context(version);
        let ours = self.cluster.controller.alter_partition(&context, &request);
        self.compare("alter", version, &request, ours, (|r| r.error_code, any));
    }
}
