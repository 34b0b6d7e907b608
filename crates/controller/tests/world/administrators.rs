use super::World;
use crate::cluster::{topic, topics};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, DeleteTopicsRequest, ElectLeadersRequest,
    IncrementalAlterConfigsRequest, UnregisterBrokerRequest, UpdateFeaturesRequest,
    alter_partition_reassignments_request, create_partitions_request, delete_topics_request, elect_leaders_request,
    incremental_alter_configs_request, update_features_request,
};

impl World {
    pub(super) fn create(&mut self) {
        let name = self.any_name();
        let factor = i16::try_from(1 + self.dice.below(4)).unwrap();
        let minimum = ["1", "2", "3"][self.dice.below(3)];
        let unclean = if self.dice.one_in(6) { "true" } else { "false" };
        let configs = [("min.insync.replicas", minimum), ("unclean.leader.election.enable", unclean)];
        let response = self.cluster.create_topics(&topics([topic(&name, 3, factor, &configs)]));
        self.past.unclean |= unclean == "true" && response.topics[0].error_code == 0;
    }

    pub(super) fn grow(&mut self) {
        let count = i32::try_from(3 + self.dice.below(4)).unwrap();
        let topic =
            create_partitions_request::CreatePartitionsTopic { name: self.any_name(), count, ..Default::default() };
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        let context = self.cluster.context(3);
        let outcome = self.cluster.controller.create_partitions(&context, &request);
        self.cluster.commit(outcome);
    }

    pub(super) fn delete(&mut self) {
        let name = Some(self.any_name());
        let request = DeleteTopicsRequest {
            topics: vec![delete_topics_request::DeleteTopicState { name, ..Default::default() }],
            ..Default::default()
        };
        let context = self.cluster.context(6);
        let outcome = self.cluster.controller.delete_topics(&context, &request);
        self.cluster.commit(outcome);
    }

    /// Everywhere by preference, or one partition at all costs.
    pub(super) fn elect(&mut self) {
        let mut request = ElectLeadersRequest { election_type: 0, topic_partitions: None, ..Default::default() };
        if self.dice.one_in(6) {
            let Some((id, index, _)) = self.any_partition() else { return };
            let topic = self.cluster.controller.image().topics.topic(id).unwrap().name.to_string();
            request.election_type = 1;
            request.topic_partitions = Some(vec![elect_leaders_request::TopicPartitions {
                topic,
                partitions: vec![index.0, index.0],
                ..Default::default()
            }]);
            self.past.unclean = true;
        }
        let outcome = self.cluster.controller.elect_leaders(&request);
        self.cluster.commit(outcome);
    }

    /// A partition is to be moved, perhaps twice at once, or a move is taken back.
    pub(super) fn reassign(&mut self) {
        let Some((topic_id, index, _)) = self.any_partition() else { return };
        let name = self.cluster.controller.image().topics.topic(topic_id).unwrap().name.to_string();
        let mut partitions = Vec::new();
        for _ in 0..=usize::from(self.dice.one_in(8)) {
            let mut target = self.brokers();
            target = self.dice.shuffled(target);
            target.truncate(1 + self.dice.below(4));
            let replicas = (!self.dice.one_in(4)).then_some(target);
            partitions.push(alter_partition_reassignments_request::ReassignablePartition {
                partition_index: index.0,
                replicas,
                ..Default::default()
            });
        }
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![alter_partition_reassignments_request::ReassignableTopic {
                name,
                partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcome = self.cluster.controller.alter_partition_reassignments(&request);
        self.cluster.commit(outcome);
    }

    pub(super) fn set_minimum(&mut self) {
        let value = Some(["1", "2", "3"][self.dice.below(3)].to_owned());
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 2,
                resource_name: self.any_name(),
                configs: vec![incremental_alter_configs_request::AlterableConfig {
                    name: "min.insync.replicas".to_owned(),
                    config_operation: 0,
                    value,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcome = self.cluster.controller.incremental_alter_configs(&request);
        self.cluster.commit(outcome);
    }

    pub(super) fn switch_elr(&mut self) {
        let level = i16::try_from(self.dice.below(2)).unwrap();
        let request = UpdateFeaturesRequest {
            feature_updates: vec![update_features_request::FeatureUpdateKey {
                feature: "eligible.leader.replicas.version".to_owned(),
                max_version_level: level,
                upgrade_type: if level == 0 { 2 } else { 1 },
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut upgrade = |_, _| Err("No.".to_owned());
        let outcome = self.cluster.controller.update_features(2, &request, &mut upgrade);
        if self.cluster.commit(outcome).error_code == 0 && level == 0 {
            self.past.without_elr = true;
        }
    }

    /// A broker is struck out. Its process, if it lives, registers again some day.
    pub(super) fn unregister(&mut self, id: i32) {
        let request = UnregisterBrokerRequest { broker_id: id, ..Default::default() };
        let outcome = self.cluster.controller.unregister_broker(&request);
        self.cluster.commit(outcome);
    }
}
