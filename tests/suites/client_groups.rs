//! Groups of the consumer protocol (KIP-848) by our own client library, on Ottla and on Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, ErrorCode, GroupKind, GroupProtocol, NewTopic, OffsetReset,
    Producer, ProducerRecord, ProducerSettings, Rebalance,
};
use ottla_tests::{Target, unique};
use ottla_types::TopicPartition;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long something may take to come about.
const PATIENCE: Duration = Duration::from_secs(40);
const PARTITIONS: i32 = 6;

struct Jobs {
    servers: String,
    admin: Admin,
}

impl Jobs {
    async fn topic(&self, name: &str) {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            ..Default::default()
        };
        self.admin.create_topics(&[topic], false).await.unwrap().remove(name).unwrap().unwrap();
    }

    /// Numbers from `from` on, one to each partition in turn.
    async fn produce(&self, topic: &str, from: usize, count: usize) {
        let producer = Producer::new(ProducerSettings::new(&self.servers)).unwrap();
        let mut deliveries = Vec::new();
        for number in from..from + count {
            let mut record = ProducerRecord::new(topic).value(number.to_string());
            record.partition = Some(number as i32 % PARTITIONS);
            deliveries.push(producer.send(record).await.unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        let metrics = producer.metrics();
        assert_eq!(metrics.get("record-send-total"), Some(count as f64));
        assert!(metrics.get("outgoing-byte-total").unwrap() > 0.0);
        producer.close().await;
    }

    fn settings(&self, group: &str) -> ConsumerSettings {
        ConsumerSettings {
            group_protocol: GroupProtocol::Consumer,
            offset_reset: OffsetReset::Earliest,
            ..ConsumerSettings::new(&self.servers).group(group)
        }
    }

    fn member(&self, group: &str) -> Consumer {
        Consumer::new(self.settings(group)).unwrap()
    }
}

/// Polls all members until it is so; what they read is answered.
async fn until(members: &mut [Consumer], mut is_so: impl FnMut(&[Consumer], &[usize]) -> bool) -> Vec<usize> {
    let end = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    while !is_so(members, &read) {
        let shares: Vec<_> = members.iter().map(Consumer::assignment).collect();
        assert!(Instant::now() < end, "{shares:?}, {} records", read.len());
        for member in &mut *members {
            for record in member.poll(Duration::from_millis(20)).await.unwrap() {
                read.push(std::str::from_utf8(&record.value.unwrap()).unwrap().parse().unwrap());
            }
        }
    }
    read
}

fn shares(members: &[Consumer]) -> Vec<usize> {
    members.iter().map(|member| member.assignment().len()).collect()
}

fn all_of(topic: &str) -> BTreeSet<TopicPartition> {
    (0..PARTITIONS).map(|index| TopicPartition::new(topic, index)).collect()
}

/// Members come and go; each partition is with one of them, and each record is read once.
async fn members_come_and_go(jobs: &Jobs) {
    let (topic, group) = (unique("shared"), unique("shared"));
    jobs.topic(&topic).await;
    jobs.produce(&topic, 0, 600).await;
    let mut members = vec![jobs.member(&group)];
    members[0].subscribe([topic.as_str()]).unwrap();
    let mut read = until(&mut members, |members, read| shares(members) == [6] && read.len() >= 300).await;
    for expected in [vec![3, 3], vec![2, 2, 2]] {
        let mut member = jobs.member(&group);
        member.subscribe([topic.as_str()]).unwrap();
        members.push(member);
        read.extend(until(&mut members, |members, _| shares(members) == expected).await);
        let owned: Vec<_> = members.iter().flat_map(Consumer::assignment).collect();
        assert_eq!((owned.len(), owned.into_iter().collect()), (6, all_of(&topic)));
    }
    let described = jobs.admin.describe_group(&group).await.unwrap();
    assert_eq!((described.kind, described.members.len()), (GroupKind::Consumer, 3));
    assert!(members[2].group_metadata().unwrap().generation > 0);
    members.pop().unwrap().close().await.unwrap();
    members.pop().unwrap().close().await.unwrap();
    jobs.produce(&topic, 600, 60).await;
    let so_far = read.len();
    let rest = until(&mut members, |members, read| shares(members) == [6] && so_far + read.len() >= 660).await;
    read.extend(rest);
    assert_eq!(members[0].metrics().get("assigned-partitions"), Some(6.0));
    members.pop().unwrap().close().await.unwrap();
    read.sort_unstable();
    assert!(read.into_iter().eq(0..660), "each record once");
    let committed = jobs.admin.list_group_offsets(&group, None).await.unwrap();
    assert!(committed.len() == 6 && committed.values().all(|offset| offset.offset == 110), "{committed:?}");
}

/// The coordinator matches the expression, also with a topic that comes to be later.
async fn an_expression_is_matched_by_the_coordinator(jobs: &Jobs) {
    let prefix = unique("matched");
    let (first, second) = (format!("{prefix}-a"), format!("{prefix}-b"));
    jobs.topic(&first).await;
    jobs.topic(&format!("not-{prefix}")).await;
    let mut members = [jobs.member(&unique("expressions"))];
    members[0].subscribe_pattern(format!("{prefix}-.*")).unwrap();
    until(&mut members, |members, _| members[0].assignment() == all_of(&first)).await;
    jobs.topic(&second).await;
    jobs.produce(&second, 0, 12).await;
    let both: BTreeSet<_> = all_of(&first).union(&all_of(&second)).cloned().collect();
    let mut so_far = Vec::new();
    so_far.extend(until(&mut members, |members, read| members[0].assignment() == both && read.len() >= 12).await);
    so_far.sort_unstable();
    assert!(so_far.into_iter().eq(0..12));
    let [member] = members;
    member.close().await.unwrap();
}

/// A static member that comes back has what it had, and nobody else was given it meanwhile.
async fn a_static_member_comes_back(jobs: &Jobs) {
    let (topic, group) = (unique("static"), unique("static"));
    jobs.topic(&topic).await;
    let member = |instance: &str| {
        let settings = ConsumerSettings { instance_id: Some(instance.to_owned()), ..jobs.settings(&group) };
        let mut member = Consumer::new(settings).unwrap();
        member.subscribe([topic.as_str()]).unwrap();
        member
    };
    let mut members = vec![member("one"), member("two")];
    until(&mut members, |members, _| shares(members) == [3, 3]).await;
    let had = members[1].assignment();
    members.pop().unwrap().close().await.unwrap();
    let kept = members[0].assignment();
    members.push(member("two"));
    until(&mut members, |members, _| shares(members) == [3, 3]).await;
    assert_eq!((members[0].assignment(), members[1].assignment()), (kept, had));
    for member in members {
        member.close().await.unwrap();
    }
}

/// A member that nobody polls leaves, is told that it lost its partitions, and joins again.
async fn an_unpolled_member_leaves_and_joins_again(jobs: &Jobs) {
    let (topic, group) = (unique("unpolled"), unique("unpolled"));
    jobs.topic(&topic).await;
    let settings = ConsumerSettings { poll_interval_max: Duration::from_secs(1), ..jobs.settings(&group) };
    let mut members = [Consumer::new(settings).unwrap()];
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = told.clone();
    members[0].set_rebalance_listener(Box::new(move |rebalance| noted.lock().unwrap().push(rebalance.clone())));
    members[0].subscribe([topic.as_str()]).unwrap();
    until(&mut members, |members, _| shares(members) == [6]).await;
    let end = Instant::now() + PATIENCE;
    while !jobs.admin.describe_group(&group).await.unwrap().members.is_empty() {
        assert!(Instant::now() < end, "it is a member still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let is_lost = |told: &Mutex<Vec<Rebalance>>| {
        told.lock().unwrap().iter().any(|rebalance| matches!(rebalance, Rebalance::Lost(_)))
    };
    until(&mut members, |members, _| is_lost(&told) && shares(members) == [6]).await;
    let [member] = members;
    member.close().await.unwrap();
}

/// What the coordinator refuses for good is an error of `poll`.
async fn mistakes_are_told(jobs: &Jobs) {
    let refused = |mut consumer: Consumer| async move {
        let end = Instant::now() + PATIENCE;
        loop {
            match consumer.poll(Duration::from_millis(100)).await {
                Err(error) => return error,
                Ok(_) => assert!(Instant::now() < end, "it is not refused"),
            }
        }
    };
    let settings = jobs.settings(&unique("mistaken"));
    let mut consumer =
        Consumer::new(ConsumerSettings { remote_assignor: Some("no-such".to_owned()), ..settings }).unwrap();
    consumer.subscribe(["any"]).unwrap();
    let error = refused(consumer).await;
    assert!(error.is(ErrorCode::UnsupportedAssignor), "{error:?}");
    let mut consumer = jobs.member(&unique("mistaken"));
    consumer.subscribe_pattern("a(").unwrap();
    let error = refused(consumer).await;
    assert!(error.is(ErrorCode::InvalidRegularExpression), "{error:?}");
}

fn all_jobs(target: &Target) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let servers = target.bootstrap();
        let jobs = Jobs { admin: Admin::new(ClientSettings::new(&servers)).unwrap(), servers };
        members_come_and_go(&jobs).await;
        an_expression_is_matched_by_the_coordinator(&jobs).await;
        a_static_member_comes_back(&jobs).await;
        an_unpolled_member_leaves_and_joins_again(&jobs).await;
        mistakes_are_told(&jobs).await;
        assert!(jobs.admin.metrics().get("request-total").unwrap() > 0.0);
        jobs.admin.close();
    });
}

#[test]
fn groups_of_the_consumer_protocol_work_on_ottla() {
    all_jobs(&Target::ottla().unwrap());
}

#[test]
fn groups_of_the_consumer_protocol_work_on_apache_kafka() {
    all_jobs(&Target::apache_kafka().unwrap());
}
