use super::check_name;
use super::placement::{Placer, UsableBroker};
use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::random::Sequence;
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::{
    BrokerRegistration, ConfigResource, LeaderRecoveryState, MetadataVersionExt, Partition, VersionedRecord,
};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_protocol::metadata_records::{MetadataRecord, TopicRecord};
use ottla_types::{BrokerId, LeaderEpoch, NodeId, PartitionIndex, TopicId};
use std::collections::{BTreeMap, BTreeSet};

/// The most partitions that one request may create. Kafka's figure.
pub(super) const PARTITIONS_MAX: i64 = 10_000;
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Topics of coordinators, without which clients could do nothing with the topics that there are.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// What a topic is made of, before it is records.
struct Plan {
    partitions: Vec<Partition>,
    configs: BTreeMap<String, String>,
}

impl Controller {
    /// CreateTopics. Each topic succeeds or fails by itself; the answers come in the order of the request, those about
    /// names that came twice or are not for users after the others. The configurations in the response are for principals that may see them: the API layer strips them from others.
    pub fn create_topics(&mut self, context: &Context, request: &CreateTopicsRequest) -> Outcome<CreateTopicsResponse> {
        let mut random = Sequence::new(context.seed);
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(request.topics.len());
        if let Err(error) = self.check_new_partitions(request) {
            return Outcome::answer(refuse_all(request, &error));
        }
        let mut room = self.room_for_partitions();
        let mut seen = BTreeSet::new();
        let names = request.topics.iter().map(|topic| topic.name.as_str());
        let duplicates: BTreeSet<_> = names.filter(|name| !seen.insert(*name)).collect();
        for topic in &request.topics {
            if duplicates.contains(&*topic.name) || topic.name == METADATA_TOPIC {
                continue;
            }
            results.push(match self.create_topic(topic, &mut random, &mut room, &mut records) {
                Ok(result) => result,
                Err(error) => refused(&topic.name, error),
            });
        }
        let has_metadata_topic = seen.contains(METADATA_TOPIC) && !duplicates.contains(METADATA_TOPIC);
        let duplicates = duplicates
            .into_iter()
            .map(|name| refused(name, ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.")));
        results.extend(duplicates);
        if has_metadata_topic {
            let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
            results.push(refused(METADATA_TOPIC, ApiError::new(ErrorCode::InvalidRequest, message)));
        }
        if records.len() > RECORDS_MAX {
            let message = TOO_MANY_RECORDS;
            return Outcome::answer(refuse_all(request, &ApiError::new(ErrorCode::PolicyViolation, message)));
        }
        if request.validate_only {
            records.clear();
        }
        Outcome::atomic(records, CreateTopicsResponse { topics: results, ..Default::default() })
    }

    fn check_new_partitions(&self, request: &CreateTopicsRequest) -> Result<(), ApiError> {
        let wanted = |topic: &CreatableTopic| -> i64 {
            match (topic.assignments.len(), topic.num_partitions) {
                (0, -1) => i64::from(self.node.topics.num_partitions),
                (0, count) => i64::from(count.max(0)),
                (count, _) => i64::try_from(count).unwrap_or(i64::MAX),
            }
        };
        let total = request.topics.iter().map(wanted).fold(0i64, i64::saturating_add);
        if total > PARTITIONS_MAX {
            let message = "Excessively large number of partitions per request.";
            return Err(ApiError::new(ErrorCode::PolicyViolation, message));
        }
        Ok(())
    }

    /// How many more partitions there may be.
    pub(super) fn room_for_partitions(&self) -> usize {
        let max = usize::try_from(self.node.topics.ottla_partitions_max).unwrap_or(0);
        max.saturating_sub(self.by_state.partitions())
    }

    pub(super) fn no_room_for_partitions(&self) -> ApiError {
        let max = self.node.topics.ottla_partitions_max;
        let message = format!("There may be no more than ottla.partitions.max = {max} partitions.");
        ApiError::new(ErrorCode::PolicyViolation, message)
    }

    fn create_topic(
        &self,
        topic: &CreatableTopic,
        random: &mut Sequence,
        room: &mut usize,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<CreatableTopicResult, ApiError> {
        self.check_new_name(&topic.name)?;
        let configs = creation_configs(topic)?;
        let resource = ConfigResource::topic(topic.name.as_str());
        let config_records = self.records_of_new_resource(&resource, &configs)?;
        let partitions = if topic.assignments.is_empty() {
            self.place_partitions(topic, random)?
        } else {
            self.assigned_partitions(topic)?
        };
        if !INTERNAL_TOPICS.contains(&topic.name.as_str()) {
            *room = room.checked_sub(partitions.len()).ok_or_else(|| self.no_room_for_partitions())?;
        }
        let plan = Plan { partitions, configs };
        let topic_id = random.uuid();
        let record = TopicRecord { name: topic.name.clone(), topic_id, ..Default::default() };
        records.push(MetadataRecord::Topic(record).into());
        // A broker that applies the partitions finds the configuration in place.
        records.extend(config_records);
        let indexed = (0..).map(PartitionIndex).zip(&plan.partitions);
        records.extend(indexed.map(|(index, partition)| self.partition_record(topic_id, index, partition)));
        Ok(self.created(topic, topic_id, &plan))
    }

    fn check_new_name(&self, name: &str) -> Result<(), ApiError> {
        if self.image.topics.topic_id(name).is_some() {
            return Err(ApiError::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        if let Some(other) = self.names.colliding(name) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
        }
        check_name(name).map_err(|message| ApiError::new(ErrorCode::InvalidTopicException, message))
    }

    fn place_partitions(&self, topic: &CreatableTopic, random: &mut Sequence) -> Result<Vec<Partition>, ApiError> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        let defaults = &self.node.topics;
        let partitions = if topic.num_partitions == -1 { defaults.num_partitions } else { topic.num_partitions };
        let factor = match topic.replication_factor {
            -1 => i16::try_from(defaults.default_replication_factor).unwrap_or(i16::MAX),
            factor => factor,
        };
        let cannot = |reason: String| {
            let message = format!("Unable to replicate the partition {factor} time(s): {reason}");
            ApiError::new(ErrorCode::InvalidReplicationFactor, message)
        };
        let mut placer = self.placer(random);
        let count = placer.check(factor).map_err(cannot)?;
        let place = |_| {
            let placed = self.new_partition(placer.place(count));
            placed.ok_or_else(|| cannot("All brokers are currently fenced or in controlled shutdown.".to_owned()))
        };
        (0..partitions).map(place).collect()
    }

    fn assigned_partitions(&self, topic: &CreatableTopic) -> Result<Vec<Partition>, ApiError> {
        let request_error = |field| {
            let message = format!("A manual partition assignment was specified, but {field} was not set to -1.");
            Err(ApiError::new(ErrorCode::InvalidRequest, message))
        };
        if topic.replication_factor != -1 {
            return request_error("replication factor");
        }
        if topic.num_partitions != -1 {
            return request_error("numPartitions");
        }
        let mut partitions = BTreeMap::new();
        let mut factor = None;
        for assignment in &topic.assignments {
            let index = assignment.partition_index;
            if partitions.contains_key(&index) {
                let message = format!("Found multiple manual partition assignments for partition {index}");
                return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
            }
            let replicas: Vec<BrokerId> = assignment.broker_ids.iter().copied().map(NodeId).collect();
            self.check_assignment(&replicas, factor)?;
            factor = Some(replicas.len());
            partitions.insert(index, self.assigned_partition(replicas, index)?);
        }
        if !partitions.keys().copied().eq((0..).take(partitions.len())) {
            let message = "partitions should be a consecutive 0-based integer sequence";
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        Ok(partitions.into_values().collect())
    }

    pub(super) fn assigned_partition(&self, replicas: Vec<BrokerId>, index: i32) -> Result<Partition, ApiError> {
        self.new_partition(replicas).ok_or_else(|| {
            let message = format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            );
            ApiError::new(ErrorCode::InvalidReplicaAssignment, message)
        })
    }

    pub(crate) fn check_assignment(&self, replicas: &[BrokerId], factor: Option<usize>) -> Result<(), ApiError> {
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut previous = None;
        for id in sorted {
            let Some(broker) = self.image.cluster.broker(id) else {
                return invalid(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is registered."
                ));
            };
            if !broker.has_uncordoned_directories() {
                return invalid(format!(
                    "The manual partition assignment includes broker {id}, but all its log directories are cordoned."
                ));
            }
            if previous == Some(id) {
                return invalid(format!("The manual partition assignment includes the broker {id} more than once."));
            }
            previous = Some(id);
        }
        match factor {
            Some(factor) if factor != replicas.len() => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn placer(&self, random: &mut Sequence) -> Placer {
        let brokers = self.image.cluster.brokers.values();
        // One that has stopped comes back some day; one that is stopping just now would have to be waited for.
        let takes_replicas = |broker: &BrokerRegistration| {
            broker.has_uncordoned_directories() && (broker.fenced || !broker.in_controlled_shutdown)
        };
        let usable = brokers.filter(|broker| takes_replicas(broker)).map(|broker| UsableBroker {
            id: broker.id,
            rack: broker.rack.clone(),
            is_fenced: broker.fenced,
        });
        let seed = crate::Seed(u128::from(random.next()) << 64 | u128::from(random.next()));
        Placer::new(usable, seed)
    }

    /// A new partition on these brokers; `None` if none of them may lead it.
    pub(super) fn new_partition(&self, replicas: Vec<BrokerId>) -> Option<Partition> {
        let in_sync: Vec<_> = replicas.iter().copied().filter(|id| self.is_active_broker(*id)).collect();
        let leader = *in_sync.first()?;
        Some(Partition {
            directories: replicas.iter().map(|id| self.default_directory(*id)).collect(),
            replicas,
            in_sync_replicas: in_sync,
            leader,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            ..Default::default()
        })
    }

    pub(super) fn partition_record(
        &self,
        topic_id: TopicId,
        index: PartitionIndex,
        partition: &Partition,
    ) -> VersionedRecord {
        let level = self.metadata_version();
        let with_elr = self.image.features.has_eligible_leader_replicas();
        let record = partition.to_record(topic_id, index, level, with_elr);
        VersionedRecord::new(MetadataRecord::Partition(record), level.partition_record_version())
    }

    fn created(&self, topic: &CreatableTopic, topic_id: TopicId, plan: &Plan) -> CreatableTopicResult {
        let mut configs: Vec<_> = ottla_config::describe::topic(&self.node, &plan.configs, None)
            .into_iter()
            .map(|entry| CreatableTopicConfigs {
                name: entry.name,
                value: entry.value,
                read_only: entry.read_only,
                config_source: entry.source.id(),
                is_sensitive: entry.is_sensitive,
                ..Default::default()
            })
            .collect();
        configs.sort_by(|left, right| left.name.cmp(&right.name));
        let factor = plan.partitions.first().map_or(0, |partition| partition.replicas.len());
        CreatableTopicResult {
            name: topic.name.clone(),
            topic_id,
            error_message: None,
            num_partitions: i32::try_from(plan.partitions.len()).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
            configs: Some(configs),
            ..Default::default()
        }
    }
}

fn creation_configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, ApiError> {
    let mut configs = BTreeMap::new();
    let mut nulls = Vec::new();
    for config in &topic.configs {
        match &config.value {
            Some(value) => {
                configs.insert(config.name.clone(), value.clone());
            }
            None => nulls.push(config.name.as_str()),
        }
    }
    if nulls.is_empty() {
        return Ok(configs);
    }
    let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
    Err(ApiError::new(ErrorCode::InvalidConfig, message))
}

fn refused(name: &str, error: ApiError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code.code(),
        error_message: error.message,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

fn refuse_all(request: &CreateTopicsRequest, error: &ApiError) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| refused(&topic.name, error.clone())).collect();
    CreateTopicsResponse { topics, ..Default::default() }
}
