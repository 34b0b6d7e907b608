//! What the records of the metadata log make of an image, and what a node is told of the change.
#![allow(clippy::unwrap_used)]

use ottla_metadata::{
    ConfigResource, Feature, LoadedBatch, MetadataDelta, MetadataImage, MetadataLoader, ReplayError, directory_id,
};
use ottla_protocol::metadata_records::{
    AbortTransactionRecord, AccessControlEntryRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord,
    ClearElrRecord, ClientQuotaRecord, ConfigRecord, DelegationTokenRecord, EndTransactionRecord, FeatureLevelRecord,
    MetadataRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord, UserScramCredentialRecord,
    client_quota_record,
};
use ottla_types::{
    BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerId, Timestamp, TopicId, TopicIdPartition, Uuid,
};

const TOPIC: TopicId = TopicId::from_u128(0x7001);
const OTHER: TopicId = TopicId::from_u128(0x7002);
const DIRECTORY: Uuid = Uuid::from_u128(0xd001);

fn feature(name: &str, level: i16) -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevelRecord {
        name: name.to_owned(),
        feature_level: level,
        ..Default::default()
    })
}

fn topic(name: &str, topic_id: TopicId) -> MetadataRecord {
    MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id, ..Default::default() })
}

fn partition(topic_id: TopicId, partition_id: i32, replicas: &[i32]) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        topic_id,
        partition_id,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas[0],
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![DIRECTORY; replicas.len()],
        ..Default::default()
    })
}

fn change(topic_id: TopicId, partition_id: i32, leader: i32) -> MetadataRecord {
    MetadataRecord::PartitionChange(PartitionChangeRecord { topic_id, partition_id, leader, ..Default::default() })
}

fn config(resource: &ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.to_string(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
        ..Default::default()
    })
}

fn broker(broker_id: i32, broker_epoch: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        incarnation_id: Uuid::from_u128(9),
        log_dirs: vec![DIRECTORY],
        ..Default::default()
    })
}

fn image(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::new();
    for record in records {
        image.replay(record).unwrap();
    }
    image
}

fn delta(before: &MetadataImage, records: &[MetadataRecord]) -> MetadataDelta {
    let mut delta = MetadataDelta::new(before.clone());
    for record in records {
        delta.replay(record).unwrap();
    }
    delta
}

/// One image with something of everything.
fn full() -> MetadataImage {
    image(&[
        feature("metadata.version", 33),
        feature("eligible.leader.replicas.version", 1),
        feature("group.version", 1),
        broker(1, 12),
        MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch: 12,
            fenced: -1,
            cordoned_log_dirs: Some(Vec::new()),
            ..Default::default()
        }),
        MetadataRecord::RegisterController(RegisterControllerRecord { controller_id: 1, ..Default::default() }),
        topic("a", TOPIC),
        partition(TOPIC, 0, &[1]),
        partition(TOPIC, 1, &[1, 2]),
        topic("b", OTHER),
        config(&ConfigResource::topic("a"), "retention.ms", Some("5")),
        config(&ConfigResource::broker_default(), "min.insync.replicas", Some("1")),
        MetadataRecord::ClientQuota(ClientQuotaRecord {
            entity: vec![client_quota_record::EntityData {
                entity_type: "user".to_owned(),
                entity_name: None,
                ..Default::default()
            }],
            key: "producer_byte_rate".to_owned(),
            value: 1024.0,
            ..Default::default()
        }),
        MetadataRecord::ProducerIds(ProducerIdsRecord { next_producer_id: 1_000, ..Default::default() }),
        MetadataRecord::AccessControlEntry(AccessControlEntryRecord {
            id: Uuid::from_u128(3),
            resource_name: "a".to_owned(),
            ..Default::default()
        }),
        MetadataRecord::UserScramCredential(UserScramCredentialRecord {
            name: "alice".to_owned(),
            mechanism: 1,
            iterations: 4096,
            ..Default::default()
        }),
        MetadataRecord::DelegationToken(DelegationTokenRecord { token_id: "t".to_owned(), ..Default::default() }),
    ])
}

#[test]
fn the_records_of_an_image_rebuild_it() {
    let image = full();
    let records = image.to_records();
    let mut rebuilt = MetadataImage::new();
    for record in &records {
        rebuilt.replay(&record.record).unwrap();
    }
    assert_eq!(rebuilt, image);
    assert_eq!(rebuilt.to_records(), records);
}

#[test]
fn a_snapshot_lists_its_records_in_kafkas_order_and_in_the_versions_of_its_level() {
    let records = full().to_records();
    for record in &records {
        let frame = record.record.encode_frame(record.version).unwrap();
        assert_eq!(MetadataRecord::decode_frame(&frame), Ok((record.record.clone(), record.version)));
    }
    let kinds: Vec<_> = records.iter().map(|record| (record.record.type_code(), record.version)).collect();
    let expected = [
        (12, 0),
        (12, 0),
        (12, 0),
        (0, 4),
        (27, 0),
        (2, 0),
        (3, 2),
        (3, 2),
        (2, 0),
        (4, 0),
        (4, 0),
        (14, 0),
        (15, 0),
        (18, 0),
        (11, 0),
        (10, 0),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_change_that_names_a_leader_raises_both_epochs_and_one_that_does_not_raises_one() {
    let mut image = image(&[topic("a", TOPIC), partition(TOPIC, 0, &[1, 2])]);
    let epochs = |image: &MetadataImage| {
        let partition = image.topics.partition(TOPIC, PartitionIndex(0)).unwrap();
        (partition.leader, partition.leader_epoch, partition.partition_epoch)
    };
    image.replay(&change(TOPIC, 0, 1)).unwrap();
    assert_eq!(epochs(&image), (NodeId(1), LeaderEpoch(1), 1));
    image.replay(&change(TOPIC, 0, -2)).unwrap();
    assert_eq!(epochs(&image), (NodeId(1), LeaderEpoch(1), 2));
    image.replay(&change(TOPIC, 0, -1)).unwrap();
    assert_eq!(epochs(&image), (NodeId(-1), LeaderEpoch(2), 3));
}

#[test]
fn a_partition_without_directories_is_one_from_before_they_had_ids() {
    let record =
        PartitionRecord { topic_id: TOPIC, partition_id: 0, replicas: vec![1, 2], leader: 1, ..Default::default() };
    let image = image(&[topic("a", TOPIC), MetadataRecord::Partition(record)]);
    let partition = image.topics.partition(TOPIC, PartitionIndex(0)).unwrap();
    assert_eq!(partition.directories, [directory_id::MIGRATING; 2]);
}

#[test]
fn removing_a_topic_removes_its_name_and_its_configuration() {
    let mut image = full();
    image.replay(&MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: TOPIC, ..Default::default() })).unwrap();
    assert_eq!(image.topics.topic_id("a"), None);
    assert_eq!(image.configs.get(&ConfigResource::topic("a")), None);
    assert_eq!(image.topics.len(), 1);
    image.replay(&topic("a", TopicId::from_u128(0x7003))).unwrap();
}

#[test]
fn clearing_the_last_key_of_a_resource_is_as_if_it_never_had_one() {
    let resource = ConfigResource::topic("a");
    let mut image = MetadataImage::new();
    image.replay(&config(&resource, "retention.ms", Some("1"))).unwrap();
    image.replay(&config(&resource, "retention.ms", None)).unwrap();
    assert_eq!(image, MetadataImage::new());
}

#[test]
fn eligible_leader_replicas_are_cleared_for_one_topic_or_for_all() {
    let with_elr = |topic_id| {
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            topic_id,
            partition_id: 0,
            eligible_leader_replicas: Some(vec![2]),
            ..Default::default()
        })
    };
    let before = image(&[
        topic("a", TOPIC),
        partition(TOPIC, 0, &[1, 2]),
        topic("b", OTHER),
        partition(OTHER, 0, &[1, 2]),
        with_elr(TOPIC),
        with_elr(OTHER),
    ]);
    let clear =
        |name: &str| MetadataRecord::ClearElr(ClearElrRecord { topic_name: name.to_owned(), ..Default::default() });
    let key = |topic_id| TopicIdPartition { topic_id, partition: PartitionIndex(0) };
    assert_eq!(delta(&before, &[clear("a")]).partitions, [key(TOPIC)].into());
    let all = delta(&before, &[clear("")]);
    assert_eq!(all.partitions, [key(TOPIC), key(OTHER)].into());
    let partition = all.after().topics.partition(OTHER, PartitionIndex(0)).unwrap();
    assert_eq!((partition.eligible_leader_replicas.len(), partition.partition_epoch), (0, 2));
}

#[test]
fn records_that_contradict_the_image_are_typed_errors_and_change_nothing() {
    let mut image = full();
    let before = image.clone();
    let registration_of = |broker_epoch| {
        MetadataRecord::UnregisterBroker(UnregisterBrokerRecord { broker_id: 1, broker_epoch, ..Default::default() })
    };
    let cases: Vec<(MetadataRecord, ReplayError)> = vec![
        (topic("a", OTHER), ReplayError::DuplicateTopic { name: "a".to_owned(), id: OTHER }),
        (change(TOPIC, 9, 1), ReplayError::UnknownPartition { topic: TOPIC, partition: PartitionIndex(9) }),
        (change(Uuid::from_u128(5), 0, 1), ReplayError::UnknownTopic(Uuid::from_u128(5))),
        (
            registration_of(13),
            ReplayError::BrokerEpoch { broker: NodeId(1), registered: BrokerEpoch(12), found: BrokerEpoch(13) },
        ),
        (
            feature("metadata.version", 34),
            ReplayError::FeatureLevel { feature: "metadata.version".to_owned(), level: 34, min: 7, max: 33 },
        ),
        (feature("new.thing", 1), ReplayError::UnknownFeature { feature: "new.thing".to_owned(), level: 1 }),
        (
            MetadataRecord::ProducerIds(ProducerIdsRecord { next_producer_id: 1_000, ..Default::default() }),
            ReplayError::ProducerId { current: ProducerId(1_000), found: ProducerId(1_000) },
        ),
        (
            MetadataRecord::Config(ConfigRecord { resource_type: 3, ..Default::default() }),
            ReplayError::Field { record: "ConfigRecord", field: "resourceType", value: 3 },
        ),
    ];
    for (record, error) in cases {
        assert_eq!(image.replay(&record), Err(error));
    }
    image.replay(&feature("new.thing", 0)).unwrap();
    assert_eq!(image, before);
    image.replay(&registration_of(12)).unwrap();
}

#[test]
fn a_broker_is_told_which_replicas_to_lead_to_follow_and_to_drop() {
    let before = full();
    let moved = MetadataRecord::PartitionChange(PartitionChangeRecord {
        topic_id: TOPIC,
        partition_id: 1,
        replicas: Some(vec![2, 3]),
        directories: Some(vec![DIRECTORY; 2]),
        leader: 2,
        ..Default::default()
    });
    let new = TopicId::from_u128(0x7009);
    let delta = delta(
        &before,
        &[
            moved,
            topic("new", new),
            partition(new, 0, &[1]),
            partition(new, 1, &[2, 1]),
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: OTHER, ..Default::default() }),
        ],
    );
    let local = delta.local_replicas(NodeId(1));
    let name = |replicas: &[ottla_metadata::LocalReplica]| {
        let list: Vec<String> = replicas.iter().map(|r| format!("{}-{}", r.topic.name, r.partition)).collect();
        list.join(" ")
    };
    assert_eq!(name(&local.leaders), "new-0");
    assert_eq!(name(&local.followers), "new-1");
    assert!(local.leaders[0].is_new_leader_epoch);
    assert_eq!(local.leaders[0].directory, DIRECTORY);
    let removed: Vec<String> = local.removed.iter().map(|(topic, index)| format!("{}-{index}", topic.name)).collect();
    assert_eq!(removed, ["a-1"]);
    assert_eq!(delta.created_topics, [new].into());
    assert_eq!(delta.deleted_topics.keys().collect::<Vec<_>>(), [&OTHER]);
}

#[test]
fn a_topic_that_came_and_went_within_one_delta_leaves_no_trace() {
    let before = full();
    let new = TopicId::from_u128(0x7009);
    let delta = delta(
        &before,
        &[
            topic("new", new),
            partition(new, 0, &[1]),
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: new, ..Default::default() }),
        ],
    );
    assert_eq!(delta.after(), &before);
    assert!(delta.created_topics.is_empty() && delta.deleted_topics.is_empty() && delta.partitions.is_empty());
}

#[test]
fn the_difference_of_two_images_names_what_the_records_in_between_changed() {
    let before = full();
    let records = [
        change(TOPIC, 0, 1),
        feature("share.version", 2),
        broker(2, 40),
        config(&ConfigResource::topic("a"), "retention.ms", None),
        topic("c", TopicId::from_u128(0x7009)),
        MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: OTHER, ..Default::default() }),
    ];
    let stepwise = delta(&before, &records);
    let at_once = MetadataDelta::between(before, stepwise.after().clone());
    assert_eq!(at_once.partitions, stepwise.partitions);
    assert_eq!(at_once.features, stepwise.features);
    assert_eq!(at_once.brokers, stepwise.brokers);
    assert_eq!(at_once.created_topics, stepwise.created_topics);
    assert_eq!(at_once.deleted_topics, stepwise.deleted_topics);
    assert!(at_once.configs.contains(&ConfigResource::topic("a")));
}

fn load(loader: &mut MetadataLoader, base: i64, records: &[MetadataRecord]) -> Result<(), ReplayError> {
    let last = base + i64::try_from(records.len()).unwrap() - 1;
    loader.load(LoadedBatch {
        base_offset: Offset(base),
        last_offset: Offset(last),
        epoch: LeaderEpoch(1),
        timestamp: Timestamp(base * 10),
        records,
    })
}

#[test]
fn a_transaction_of_records_is_published_as_a_whole_when_it_ends() {
    let mut loader = MetadataLoader::default();
    load(&mut loader, 0, &[feature("metadata.version", 33)]).unwrap();
    load(&mut loader, 1, &[MetadataRecord::BeginTransaction(BeginTransactionRecord::default()), topic("a", TOPIC)])
        .unwrap();
    assert!(loader.publish().is_none());
    assert_eq!(loader.transaction_start(), Some(Offset(1)));
    load(&mut loader, 3, &[topic("b", OTHER), MetadataRecord::EndTransaction(EndTransactionRecord::default())])
        .unwrap();
    let delta = loader.publish().unwrap();
    assert_eq!(delta.created_topics, [TOPIC, OTHER].into());
    assert_eq!(delta.after().provenance.offset, Offset(4));
    assert_eq!(delta.after().features.level(Feature::MetadataVersion), 33);
    assert!(loader.publish().is_none());
}

#[test]
fn an_aborted_transaction_is_as_if_it_had_not_been() {
    let mut loader = MetadataLoader::default();
    load(&mut loader, 0, &[topic("a", TOPIC)]).unwrap();
    loader.publish().unwrap();
    load(&mut loader, 1, &[MetadataRecord::BeginTransaction(BeginTransactionRecord::default()), topic("b", OTHER)])
        .unwrap();
    load(&mut loader, 3, &[MetadataRecord::AbortTransaction(AbortTransactionRecord::default())]).unwrap();
    let delta = loader.publish().unwrap();
    assert!(delta.created_topics.is_empty());
    assert_eq!((delta.after().topics.len(), delta.after().provenance.offset), (1, Offset(3)));
}

#[test]
fn transaction_markers_out_of_place_are_errors() {
    let end = MetadataRecord::EndTransaction(EndTransactionRecord::default());
    let begin = MetadataRecord::BeginTransaction(BeginTransactionRecord::default());
    let mut loader = MetadataLoader::default();
    assert_eq!(load(&mut loader, 0, &[end]), Err(ReplayError::Transaction("EndTransactionRecord")));
    let error = load(&mut loader, 0, &[begin.clone(), begin]);
    assert_eq!(error, Err(ReplayError::Transaction("BeginTransactionRecord")));
}

#[test]
fn a_snapshot_replaces_the_image_and_says_what_differs() {
    let mut loader = MetadataLoader::default();
    load(&mut loader, 0, &[topic("a", TOPIC), partition(TOPIC, 0, &[1])]).unwrap();
    loader.publish().unwrap();
    let delta = loader.load_snapshot(image(&[topic("b", OTHER)]));
    assert_eq!(delta.created_topics, [OTHER].into());
    assert_eq!(delta.deleted_topics.keys().collect::<Vec<_>>(), [&TOPIC]);
    assert_eq!(loader.published().topics.topic_id("b"), Some(OTHER));
}
