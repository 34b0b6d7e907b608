//! A controller with its log, driven by hand.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use ottla_config::{NodeConfig, properties};
use ottla_controller::format::FormatOptions;
use ottla_controller::{Context, Controller, Outcome, Periods, Seed, Settings, Task};
use ottla_metadata::{MetadataImage, VersionedRecord, supported_features};
use ottla_protocol::messages::{
    AlterPartitionRequest, BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse, CreateTopicsRequest, CreateTopicsResponse, IncrementalAlterConfigsRequest,
    alter_partition_request, broker_registration_request, create_topics_request, incremental_alter_configs_request,
};
use ottla_types::{NodeId, Offset, PartitionIndex, Uuid};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CLUSTER_ID: &str = "b3RsbGEtb3JhY2xlLS0tLQ";
pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0xd1d1_0000);

/// The controller of node 1, its log, and a clock that stands until it is moved.
pub(crate) struct Cluster {
    pub(crate) controller: Controller,
    pub(crate) log: Vec<VersionedRecord>,
    pub(crate) now: Duration,
    decisions: u128,
    /// How long the log is as far as it is committed, while nothing more gets committed.
    held: Option<usize>,
}

pub(crate) fn node_config(more: &str) -> Arc<NodeConfig> {
    let text = format!(
        "node.id=1\nprocess.roles=broker,controller\ncontroller.quorum.voters=1@127.0.0.1:20710\n\
         listeners=PLAINTEXT://127.0.0.1:19710,CONTROLLER://127.0.0.1:20710\ncontroller.listener.names=CONTROLLER\n\
         log.dirs=/data\n{more}"
    );
    let properties = properties::parse(text.as_bytes(), "test").expect("properties");
    Arc::new(NodeConfig::from_properties(properties).expect("config").0)
}

impl Cluster {
    /// A formatted node that has just become the active controller; its log holds the bootstrap records.
    pub(crate) fn formatted(more: &str) -> Self {
        Self::formatted_with(more, &Default::default())
    }

    pub(crate) fn formatted_with(more: &str, options: &FormatOptions) -> Self {
        let controller = Controller::new(settings(more), MetadataImage::new());
        let mut cluster = Self { controller, log: Vec::new(), now: Duration::from_secs(1), decisions: 0, held: None };
        let bootstrap = ottla_controller::format::bootstrap(options).unwrap();
        let outcome = cluster.controller.activation_records(&bootstrap.records, false);
        cluster.commit(outcome);
        cluster.controller.activate(cluster.now);
        cluster
    }

    /// A node alone whose broker is unfenced.
    pub(crate) fn running(more: &str) -> Self {
        let mut cluster = Self::formatted(more);
        cluster.join(1, 1);
        cluster
    }

    /// The node starts again: a new controller replays the log.
    pub(crate) fn restart(&mut self) {
        let mut controller = Controller::new(settings(""), MetadataImage::new());
        self.replay_into(&mut controller);
        self.controller = controller;
        self.now += Duration::from_secs(1);
        self.controller.activate(self.now);
    }

    /// Time passes, and the controller does what is due. Returns what it did.
    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<Task> {
        let end = self.now + duration;
        let mut tasks = self.tick();
        while let Some(next) = self.controller.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            tasks.extend(self.tick());
        }
        self.now = end;
        tasks
    }

    pub(crate) fn tick(&mut self) -> Vec<Task> {
        let mut tasks = Vec::new();
        loop {
            let context = self.context(0);
            let outcome = self.controller.tick(&context);
            match self.commit(outcome) {
                Some(task) => tasks.push(task),
                None => return tasks,
            }
        }
    }

    pub(crate) fn context(&mut self, version: i16) -> Context {
        self.decisions += 1;
        Context {
            monotonic: self.now,
            next_offset: Offset(i64::try_from(self.log.len()).unwrap()),
            seed: Seed(self.decisions << 64 | 7),
            version,
        }
    }

    pub(crate) fn commit<R>(&mut self, outcome: Outcome<R>) -> R {
        let response = self.append(outcome);
        if self.held.is_none() {
            self.controller.commit(Offset(i64::try_from(self.log.len()).unwrap() - 1));
        }
        response
    }

    /// From now on the quorum commits nothing.
    pub(crate) fn hold(&mut self) {
        self.held = Some(self.log.len());
    }

    /// Another controller led for a moment, and this one leads again: what was not committed is gone.
    pub(crate) fn lose_leadership(&mut self) {
        self.log.truncate(self.held.take().unwrap());
        self.controller.resign();
        assert_eq!(self.controller.next_deadline(), None);
        self.controller.activate(self.now);
    }

    pub(crate) fn replay_into(&self, controller: &mut Controller) {
        for (offset, record) in (0..).map(Offset).zip(&self.log) {
            controller.replay(offset, &record.record).unwrap();
        }
    }

    /// Appends a decision without committing it.
    pub(crate) fn append<R>(&mut self, outcome: Outcome<R>) -> R {
        let (batches, response) = outcome.into_batches();
        for records in batches {
            let base = Offset(i64::try_from(self.log.len()).unwrap());
            self.controller.replay_uncommitted(base, &records).unwrap();
            self.log.extend(records);
        }
        response
    }

    pub(crate) fn register(&mut self, request: &BrokerRegistrationRequest) -> BrokerRegistrationResponse {
        let context = self.context(4);
        let outcome = self.controller.register_broker(&context, request);
        self.commit(outcome)
    }

    pub(crate) fn heartbeat(&mut self, request: &BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
        let context = self.context(2);
        let outcome = self.controller.heartbeat(&context, request);
        self.commit(outcome)
    }

    /// Registers a broker and unfences it. Returns its epoch.
    pub(crate) fn join(&mut self, id: i32, incarnation: u128) -> i64 {
        let epoch = self.register(&registration(id, incarnation)).broker_epoch;
        let response = self.heartbeat(&self.alive(id, epoch));
        assert!(!response.is_fenced, "{response:?}");
        epoch
    }

    /// A heartbeat of a broker that has replayed everything and wants nothing.
    pub(crate) fn alive(&self, id: i32, epoch: i64) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: epoch,
            current_metadata_offset: i64::try_from(self.log.len()).unwrap(),
            want_fence: false,
            want_shut_down: false,
            cordoned_log_dirs: Some(Vec::new()),
            ..Default::default()
        }
    }

    /// What the leader of a partition sends that has these brokers in sync.
    pub(crate) fn proposal(&self, topic: &str, index: i32, members: &[i32]) -> AlterPartitionRequest {
        let image = self.controller.image();
        let topic = image.topics.topic_by_name(topic).unwrap();
        let now = topic.partitions.get(&PartitionIndex(index)).unwrap();
        let epoch = |id: NodeId| image.cluster.broker(id).map_or(-1, |broker| broker.epoch.0);
        let state = |id: &i32| alter_partition_request::BrokerState {
            broker_id: *id,
            broker_epoch: epoch(NodeId(*id)),
            ..Default::default()
        };
        AlterPartitionRequest {
            broker_id: now.leader.0,
            broker_epoch: epoch(now.leader),
            topics: vec![alter_partition_request::TopicData {
                topic_id: topic.id,
                partitions: vec![alter_partition_request::PartitionData {
                    partition_index: index,
                    leader_epoch: now.leader_epoch.0,
                    partition_epoch: now.partition_epoch,
                    new_isr_with_epochs: members.iter().map(state).collect(),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    pub(crate) fn set_config(&mut self, topic: &str, key: &str, value: &str) {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 2,
                resource_name: topic.to_owned(),
                configs: vec![incremental_alter_configs_request::AlterableConfig {
                    name: key.to_owned(),
                    config_operation: 0,
                    value: Some(value.to_owned()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcome = self.controller.incremental_alter_configs(&request);
        assert_eq!(self.commit(outcome).responses[0].error_code, 0);
    }

    pub(crate) fn create_topics(&mut self, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let context = self.context(7);
        let outcome = self.controller.create_topics(&context, request);
        self.commit(outcome)
    }

    /// Creates one topic and expects success.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, factor: i16) -> Uuid {
        let response = self.create_topics(&topics([topic(name, partitions, factor, &[])]));
        let result = &response.topics[0];
        assert_eq!((result.error_code, &result.error_message), (0, &None));
        result.topic_id
    }
}

pub(crate) fn settings(more: &str) -> Settings {
    Settings {
        cluster_id: CLUSTER_ID.to_owned(),
        node: node_config(more),
        voters: [NodeId(1)].into(),
        kraft_version: 0,
        periods: Periods { no_op: None, balance_leaders: None, elect_unclean_leaders: None },
    }
}

pub(crate) fn registration(id: i32, incarnation: u128) -> BrokerRegistrationRequest {
    let features = supported_features().map(|(name, range)| broker_registration_request::Feature {
        name: name.to_owned(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    });
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: CLUSTER_ID.to_owned(),
        incarnation_id: Uuid::from_u128(0x1000 + incarnation),
        listeners: vec![broker_registration_request::Listener {
            name: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 19710,
            security_protocol: 0,
            ..Default::default()
        }],
        features: features.collect(),
        rack: None,
        log_dirs: vec![Uuid::from_u128(DIRECTORY.as_u128() + u128::try_from(id).unwrap())],
        ..Default::default()
    }
}

pub(crate) fn topics<const N: usize>(topics: [create_topics_request::CreatableTopic; N]) -> CreateTopicsRequest {
    CreateTopicsRequest { topics: topics.into(), ..Default::default() }
}

pub(crate) fn topic(
    name: &str,
    partitions: i32,
    factor: i16,
    configs: &[(&str, &str)],
) -> create_topics_request::CreatableTopic {
    let config = |(name, value): &(&str, &str)| create_topics_request::CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Default::default()
    };
    create_topics_request::CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: factor,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

pub(crate) fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> create_topics_request::CreatableTopic {
    let assignment = |(index, brokers): &(i32, &[i32])| create_topics_request::CreatableReplicaAssignment {
        partition_index: *index,
        broker_ids: brokers.to_vec(),
        ..Default::default()
    };
    create_topics_request::CreatableTopic {
        assignments: assignments.iter().map(assignment).collect(),
        ..topic(name, -1, -1, &[])
    }
}
