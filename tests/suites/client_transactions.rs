//! The transactions of our own client library, in both of Kafka's versions of them, on Ottla and on Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientError, ClientSettings, Consumer, ConsumerGroupMetadata, ConsumerSettings, FeatureUpgrade, Isolation,
    NewTopic, OffsetAndMetadata, OffsetReset, Producer, ProducerRecord, ProducerSettings, Recovery,
};
use ottla_tests::{Target, unique};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a reader may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One server, and the jobs' clients at it.
struct Jobs {
    servers: String,
    admin: Admin,
}

impl Jobs {
    fn at(servers: &str) -> Self {
        Self { servers: servers.to_owned(), admin: Admin::new(ClientSettings::new(servers)).unwrap() }
    }

    async fn topic(&self, name: &str) -> String {
        self.topic_with(name, &[]).await
    }

    async fn topic_with(&self, name: &str, configs: &[(&str, &str)]) -> String {
        let name = unique(name);
        let config = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let topic = NewTopic {
            name: name.clone(),
            partitions: Some(2),
            replication_factor: Some(1),
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        self.admin.create_topics(&[topic], false).await.unwrap().remove(&name).unwrap().unwrap();
        name
    }

    async fn producer(&self, id: &str) -> Producer {
        let producer = Producer::new(ProducerSettings::new(&self.servers).transactional(id)).unwrap();
        producer.init_transactions().await.unwrap();
        producer
    }

    /// The values of a topic, in no order, when so many have come.
    async fn read(&self, topic: &str, isolation: Isolation, count: usize) -> Vec<String> {
        let mut consumer = Consumer::new(ConsumerSettings {
            offset_reset: OffsetReset::Earliest,
            isolation,
            ..ConsumerSettings::new(&self.servers)
        })
        .unwrap();
        consumer.assign((0..2).map(|index| TopicPartition::new(topic, index)));
        let end = Instant::now() + PATIENCE;
        let mut values = Vec::new();
        loop {
            let records = consumer.poll(Duration::from_millis(200)).await.unwrap();
            // An empty answer behind the last one shows that no more comes than is expected.
            if records.is_empty() && values.len() >= count {
                break;
            }
            assert!(Instant::now() < end, "only {values:?} of {topic}");
            values.extend(records.into_iter().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
        consumer.close().await.unwrap();
        values.sort();
        values
    }

    /// The committed offset of a topic's first partition. Of a partition that is asked for by its name the answer is waited
    /// for until the transaction's marker is there.
    async fn committed(&self, group: &str, topic: &str) -> Option<i64> {
        let partition = TopicPartition::new(topic, 0);
        let asked = [partition.clone()].into();
        let committed = self.admin.list_group_offsets(group, Some(&asked)).await.unwrap();
        committed.get(&partition).map(|offset| offset.offset)
    }
}

async fn send(producer: &Producer, topic: &str, value: &str) {
    for partition in 0..2 {
        let mut record = ProducerRecord::new(topic).value(value.to_owned());
        record.partition = Some(partition);
        producer.send(record).await.unwrap();
    }
}

/// What is committed is seen whole, what is aborted is not seen, and readers of everything see all of it.
async fn commits_and_aborts(jobs: &Jobs) {
    let topic = jobs.topic("transactions").await;
    let producer = jobs.producer(&unique("commits")).await;
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, &format!("{round}")).await;
        if round % 2 == 0 {
            producer.commit_transaction().await.unwrap();
        } else {
            producer.flush().await;
            producer.abort_transaction().await.unwrap();
        }
    }
    assert_eq!(jobs.read(&topic, Isolation::ReadCommitted, 6).await, ["0", "0", "2", "2", "4", "4"]);
    assert_eq!(jobs.read(&topic, Isolation::ReadUncommitted, 12).await.len(), 12);
    producer.begin_transaction().unwrap();
    producer.commit_transaction().await.unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "left open").await;
    producer.flush().await;
    producer.close().await;
    assert_eq!(jobs.read(&topic, Isolation::ReadCommitted, 6).await.len(), 6, "close aborts what is open");
}

/// A second producer of the same id fences the first, which is told so.
async fn the_successor_fences(jobs: &Jobs) {
    let topic = jobs.topic("fenced").await;
    let id = unique("fenced");
    let first = jobs.producer(&id).await;
    first.begin_transaction().unwrap();
    send(&first, &topic, "of a zombie").await;
    first.flush().await;
    let second = jobs.producer(&id).await;
    let error = match first.commit_transaction().await.unwrap_err() {
        // The leader may notice first; what it says is then confirmed by the coordinator.
        error if error.recovery() == Recovery::AbortTransaction => first.abort_transaction().await.unwrap_err(),
        error => error,
    };
    assert_eq!(error.recovery(), Recovery::CloseProducer, "{error:?}");
    assert!(error.is_fenced(), "{error:?}");
    assert_eq!(first.begin_transaction().unwrap_err().recovery(), Recovery::CloseProducer);
    second.begin_transaction().unwrap();
    send(&second, &topic, "of the successor").await;
    second.commit_transaction().await.unwrap();
    assert_eq!(jobs.read(&topic, Isolation::ReadCommitted, 2).await, ["of the successor"; 2]);
}

/// A record that the broker refuses makes the transaction one that can only be aborted; the next one is whole.
async fn a_refused_record_aborts(jobs: &Jobs) {
    let topic = jobs.topic_with("refused", &[("max.message.bytes", "1000")]).await;
    let producer = jobs.producer(&unique("refused")).await;
    for round in 0..3 {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, &format!("small {round}")).await;
        producer.flush().await;
        let large = ProducerRecord::new(&topic).value("x".repeat(5_000));
        let delivery = producer.send(large).await.unwrap();
        let error = producer.commit_transaction().await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::AbortTransaction, "{error:?}");
        assert!(delivery.await.is_err());
        let refused = producer.send(ProducerRecord::new(&topic).value("more")).await.err().unwrap();
        assert!(matches!(refused, ClientError::MustAbort { .. }), "{refused:?}");
        producer.abort_transaction().await.unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, &topic, "whole").await;
        producer.commit_transaction().await.unwrap();
    }
    assert_eq!(jobs.read(&topic, Isolation::ReadCommitted, 6).await, ["whole"; 6]);
}

/// Offsets are committed with the transaction and not without it, and not by one who is no member.
async fn offsets_take_part(jobs: &Jobs) {
    let topic = jobs.topic("offsets").await;
    let group = unique("offsets");
    let producer = jobs.producer(&unique("offsets")).await;
    let outsider = ConsumerGroupMetadata::outsider(&group);
    let at = |offset| BTreeMap::from([(TopicPartition::new(topic.as_str(), 0), OffsetAndMetadata::new(offset))]);
    producer.begin_transaction().unwrap();
    producer.send_offsets_to_transaction(&at(3), &outsider).await.unwrap();
    producer.abort_transaction().await.unwrap();
    assert_eq!(jobs.committed(&group, &topic).await, None);
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "with offsets").await;
    producer.send_offsets_to_transaction(&at(5), &outsider).await.unwrap();
    producer.commit_transaction().await.unwrap();
    assert_eq!(jobs.committed(&group, &topic).await, Some(5));
    producer.begin_transaction().unwrap();
    let stranger = ConsumerGroupMetadata { generation: 4, member_id: "stranger".to_owned(), ..outsider };
    let error = producer.send_offsets_to_transaction(&at(9), &stranger).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::AbortTransaction, "{error:?}");
    producer.abort_transaction().await.unwrap();
    assert_eq!(jobs.committed(&group, &topic).await, Some(5));
}

/// A commit that its caller gave up on is finished by calling it again.
async fn a_dropped_commit_is_called_again(jobs: &Jobs) {
    let topic = jobs.topic("dropped").await;
    let producer = jobs.producer(&unique("dropped")).await;
    for round in 0..20 {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, "once").await;
        // From before anything is sent until behind the answer.
        let patience = Duration::from_micros(300 * round);
        if tokio::time::timeout(patience, producer.commit_transaction()).await.is_err() {
            producer.commit_transaction().await.unwrap();
        }
    }
    assert_eq!(jobs.read(&topic, Isolation::ReadCommitted, 40).await, ["once"; 40]);
}

async fn all_jobs(servers: &str) {
    let jobs = Jobs::at(servers);
    commits_and_aborts(&jobs).await;
    the_successor_fences(&jobs).await;
    a_refused_record_aborts(&jobs).await;
    offsets_take_part(&jobs).await;
    a_dropped_commit_is_called_again(&jobs).await;
    jobs.admin.close();
}

/// Does the jobs with transactions of the second version, then of the first.
fn both_versions(target: &Target) {
    let servers = target.bootstrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let admin = Admin::new(ClientSettings::new(&servers)).unwrap();
        let level = admin.describe_features().await.unwrap().finalized.get("transaction.version").copied();
        assert_eq!(level, Some(2));
        all_jobs(&servers).await;
        let first = BTreeMap::from([("transaction.version".to_owned(), 1)]);
        admin.update_features(&first, FeatureUpgrade::SafeDowngrade, false).await.unwrap();
        all_jobs(&servers).await;
        admin.close();
    });
}

#[test]
fn transactions_of_both_versions_work_on_ottla() {
    both_versions(&Target::ottla().unwrap());
}

#[test]
fn transactions_of_both_versions_work_on_apache_kafka() {
    both_versions(&Target::apache_kafka().unwrap());
}
