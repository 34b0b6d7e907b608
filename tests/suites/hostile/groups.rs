//! Groups, sessions and transactions that are meant to take room.

use ottla_protocol::ApiKey;
use ottla_tests::Asker;
use ottla_tests::Besieged;
use ottla_tests::besieged::GOOD_TOPIC;
use ottla_tests::raw::{Connection, base64};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn join(group: &str, member: &str, protocols: &Value) -> Value {
    json!({"groupId": group, "sessionTimeoutMs": 30_000, "rebalanceTimeoutMs": 30_000, "memberId": member,
        "protocolType": "consumer", "protocols": protocols})
}

fn range(metadata: &[u8]) -> Value {
    json!([{"name": "range", "metadata": base64(metadata)}])
}

/// A client of a server whose coordinators are ready.
fn asker(besieged: &Besieged) -> Asker {
    let mut asker = Asker::new(besieged.server().bootstrap());
    for kind in [0, 1] {
        asker.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": kind, "coordinatorKeys": ["any"]})).unwrap();
    }
    asker
}

#[test]
fn fetch_sessions_and_group_members_by_the_thousand_are_bounded() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let session = json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": 0, "sessionEpoch": 0,
        "topics": [{"topic": "good", "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 10}]}]});
    let mut refused = 0;
    for _ in 0..1_200 {
        let fetched = connection.ask(ApiKey::Fetch, 12, &session).unwrap();
        assert_eq!(fetched["errorCode"], 0, "{fetched}");
        refused += i32::from(fetched["sessionId"] == 0);
    }
    assert!(refused >= 200, "the cache has 1,000 slots, {refused} got none");
    asker(&besieged);
    let join = json!({"groupId": "flood", "sessionTimeoutMs": 10_000, "rebalanceTimeoutMs": 10_000, "memberId": "",
        "protocolType": "consumer", "protocols": [{"name": "range", "metadata": ""}]});
    for _ in 0..2_000 {
        let joined = connection.ask(ApiKey::JoinGroup, 9, &join).unwrap();
        let code = joined["errorCode"].as_i64().unwrap();
        // MEMBER_ID_REQUIRED; while the coordinator loads it says so.
        assert!([79, 14, 15, 16].contains(&code), "{joined}");
    }
    besieged.stand("sessions and members").unwrap();
}

#[test]
fn forged_sessions_and_partitions_that_were_never_added_change_nothing() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let fetch = |id: &Value, epoch: i32, topics: Value, forgotten: Value| {
        json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": id, "sessionEpoch": epoch,
            "topics": topics, "forgottenTopicsData": forgotten})
    };
    let partition = json!({"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 10});
    let topics = json!([{"topic": GOOD_TOPIC, "partitions": [partition]}]);
    let mut ask = |ask: Value| connection.ask(ApiKey::Fetch, 12, &ask).unwrap();
    let id = ask(fetch(&json!(0), 0, topics, json!([])))["sessionId"].clone();
    assert_ne!(id, 0);
    let never = json!([{"topic": "never", "partitions": [0, -1, i32::MAX]}, {"topic": GOOD_TOPIC, "partitions": [7]}]);
    let answer = ask(fetch(&id, 1, json!([]), never));
    assert_eq!((&answer["errorCode"], &answer["sessionId"]), (&json!(0), &id), "{answer}");
    let id_of_another = json!(id.as_i64().unwrap() ^ 1);
    assert_eq!(ask(fetch(&id_of_another, 2, json!([]), json!([])))["errorCode"], 70);
    for epoch in [1, 3, i32::MAX] {
        assert_eq!(ask(fetch(&id, epoch, json!([]), json!([])))["errorCode"], 71, "epoch {epoch}");
    }
    // It is where it was.
    assert_eq!(ask(fetch(&id, 2, json!([]), json!([])))["errorCode"], 0);
    besieged.stand("sessions").unwrap();
}

#[test]
fn sessions_of_more_partitions_than_the_cache_holds_are_answered_without_one() {
    let besieged = Besieged::start(&[("ottla.fetch.session.partitions.max", "1000")]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let partition = |number: i32| json!({"partition": number, "fetchOffset": 0, "partitionMaxBytes": 10});
    let ask = |id: &Value, epoch: i32, partitions: core::ops::Range<i32>| {
        let partitions: Vec<_> = partitions.map(partition).collect();
        json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": id, "sessionEpoch": epoch,
            "topics": [{"topic": "nothing", "partitions": partitions}]})
    };
    let mut fetch = |ask: Value| connection.ask(ApiKey::Fetch, 12, &ask).unwrap();
    let ids: Vec<_> = (0..5).map(|_| fetch(ask(&json!(0), 0, 0..300))["sessionId"].clone()).collect();
    assert!(ids[..3].iter().all(|id| *id != 0) && ids[3..].iter().all(|id| *id == 0), "{ids:?}");
    // A session does not grow beyond either: its client has to begin anew.
    assert_eq!(fetch(ask(&ids[0], 1, 300..390))["errorCode"], 0);
    assert_eq!(fetch(ask(&ids[0], 2, 390..500))["errorCode"], 70);
    assert_ne!(fetch(ask(&json!(0), 0, 0..300))["sessionId"], 0, "it has made room");
    besieged.stand("large sessions").unwrap();
}

#[test]
fn what_a_member_says_of_itself_counts_towards_a_limit() {
    let besieged = Besieged::start(&[("ottla.group.members.max.bytes", "4194304")]).unwrap();
    let mut asker = asker(&besieged);
    let large = range(&vec![b'm'; 1 << 20]);
    // Before version 4 no id has to be asked for first; each is the leader of a group of its own.
    let mut enter = |group: &str| asker.ask(ApiKey::JoinGroup, 3, &join(group, "", &large)).unwrap();
    let joined: Vec<_> = (0..6).map(|number| enter(&format!("large-{number}"))).collect();
    let codes: Vec<_> = joined.iter().map(|joined| joined["errorCode"].as_i64().unwrap()).collect();
    assert_eq!(codes, [0, 0, 0, 81, 81, 81]);
    // Who is small still gets in, and who leaves makes room.
    let small = asker.ask(ApiKey::JoinGroup, 3, &join("small", "", &range(b""))).unwrap();
    assert_eq!(small["errorCode"], 0, "{small}");
    let leave = json!({"groupId": "large-0", "members": [{"memberId": joined[0]["memberId"]}]});
    assert_eq!(asker.ask(ApiKey::LeaveGroup, 5, &leave).unwrap()["errorCode"], 0);
    let again = asker.ask(ApiKey::JoinGroup, 3, &join("large-3", "", &large)).unwrap();
    assert_eq!(again["errorCode"], 0, "{again}");
    besieged.stand("large members").unwrap();
}

#[test]
fn protocols_by_the_thousand_and_types_that_do_not_fit_are_answered() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = asker(&besieged);
    let many: Vec<_> = (0..1_000).map(|number| json!({"name": format!("p{number}"), "metadata": ""})).collect();
    let joined = asker.ask(ApiKey::JoinGroup, 3, &join("many", "", &json!(many))).unwrap();
    assert_eq!((&joined["errorCode"], &joined["protocolName"]), (&json!(0), &json!("p0")), "{joined}");
    let twice = vec![json!({"name": "p", "metadata": ""}); 1_000];
    let joined = asker.ask(ApiKey::JoinGroup, 3, &join("twice", "", &json!(twice))).unwrap();
    assert_eq!(joined["errorCode"], 0, "{joined}");
    let mut other = join("many", "", &range(b""));
    other["protocolType"] = json!("connect");
    let joined = asker.ask(ApiKey::JoinGroup, 3, &other).unwrap();
    assert_eq!(joined["errorCode"], 23, "{joined}");
    besieged.stand("protocols").unwrap();
}

#[test]
fn a_group_takes_no_more_members_than_its_limit() {
    let besieged = Besieged::start(&[("group.max.size", "3"), ("group.consumer.max.size", "3")]).unwrap();
    let mut asker = asker(&besieged);
    let mut waiting: Vec<Connection> = Vec::new();
    let first = asker.ask(ApiKey::JoinGroup, 3, &join("full", "", &range(b""))).unwrap();
    assert_eq!(first["errorCode"], 0, "{first}");
    for _ in 0..2 {
        // They wait for the first to join again.
        let mut connection = besieged.raw().unwrap();
        connection.send(ApiKey::JoinGroup, 3, &join("full", "", &range(b""))).unwrap();
        waiting.push(connection);
    }
    let since = Instant::now();
    loop {
        let mut connection = besieged.raw().unwrap();
        connection.send(ApiKey::JoinGroup, 3, &join("full", "", &range(b""))).unwrap();
        if connection.is_answered(Duration::from_millis(500)).unwrap() {
            let refused = connection.answer(ApiKey::JoinGroup, 3).unwrap();
            assert_eq!(refused["errorCode"], 81, "{refused}");
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "a fourth member is taken");
        waiting.push(connection);
        // Who waits is counted now; the first may not come back.
        assert!(waiting.len() <= 3, "a fourth member waits");
    }
    let heartbeat = |member: &str| {
        json!({"groupId": "newer", "memberId": member, "memberEpoch": 0, "rebalanceTimeoutMs": 10_000,
            "subscribedTopicNames": [GOOD_TOPIC], "topicPartitions": []})
    };
    for (number, code) in [0, 0, 0, 81].into_iter().enumerate() {
        let answer = asker.ask(ApiKey::ConsumerGroupHeartbeat, 1, &heartbeat(&format!("m{number}"))).unwrap();
        assert_eq!(answer["errorCode"], code, "{answer}");
    }
    besieged.stand("full groups").unwrap();
}

#[test]
fn expressions_that_take_others_ages_take_no_time() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = asker(&besieged);
    let name = "a".repeat(240);
    let topic = json!({"name": name, "numPartitions": 1, "replicationFactor": 1});
    asker.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic], "timeoutMs": 10_000})).unwrap();
    let long = "x".repeat(30_000);
    let nested = "(".repeat(5_000) + &")".repeat(5_000);
    let expressions: [(&str, i64); 8] = [
        ("(a+)+$", 0),
        ("(a|aa)+b", 0),
        ("(.*)(.*)(.*)(.*)(.*)(.*)(.*)z", 0),
        (".*", 0),
        (&long, 0),
        ("((a{1000}){1000}){1000}", 128),
        (&nested, 128),
        ("(", 128),
    ];
    for (number, (expression, code)) in expressions.iter().enumerate() {
        let ask = json!({"groupId": format!("expressions-{number}"), "memberId": "m", "memberEpoch": 0,
            "rebalanceTimeoutMs": 10_000, "subscribedTopicRegex": expression, "topicPartitions": []});
        let since = Instant::now();
        let answer = asker.ask(ApiKey::ConsumerGroupHeartbeat, 1, &ask).unwrap();
        assert_eq!(answer["errorCode"], *code, "{}: {answer}", &expression[..expression.len().min(40)]);
        assert!(since.elapsed() < Duration::from_secs(20), "{number}");
    }
    besieged.stand("expressions").unwrap();
}

#[test]
fn an_assignment_larger_than_a_record_may_be_is_refused() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = asker(&besieged);
    let joined = asker.ask(ApiKey::JoinGroup, 3, &join("heavy", "", &range(b""))).unwrap();
    let (member, generation) = (&joined["memberId"], &joined["generationId"]);
    let sync = |assignments: Value| {
        json!({"groupId": "heavy", "generationId": generation, "memberId": member, "protocolType": "consumer",
            "protocolName": "range", "assignments": assignments})
    };
    let large = base64(&vec![0; 20 << 20]);
    let answer = asker.ask(ApiKey::SyncGroup, 5, &sync(json!([{"memberId": member, "assignment": large}]))).unwrap();
    // As Apache Kafka: the group can't be written as it is.
    assert_eq!(answer["errorCode"], -1, "{answer}");
    // Assignments for who is not there are let go.
    let joined = asker.ask(ApiKey::JoinGroup, 3, &join("strange", "", &range(b""))).unwrap();
    let ask = json!({"groupId": "strange", "generationId": joined["generationId"], "memberId": joined["memberId"],
        "protocolType": "consumer", "protocolName": "range",
        "assignments": [{"memberId": "stranger", "assignment": "AAAA"}, {"memberId": joined["memberId"], "assignment": "AAAB"}]});
    let answer = asker.ask(ApiKey::SyncGroup, 5, &ask).unwrap();
    assert_eq!((&answer["errorCode"], &answer["assignment"]), (&json!(0), &json!("AAAB")), "{answer}");
    besieged.stand("assignments").unwrap();
}

#[test]
fn a_transaction_of_a_hundred_thousand_partitions_is_answered() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = asker(&besieged);
    let init = |id: &str| json!({"transactionalId": id, "transactionTimeoutMs": 10_000, "producerId": -1, "producerEpoch": -1});
    let producer = asker.ask(ApiKey::InitProducerId, 4, &init("wide")).unwrap();
    assert_eq!(producer["errorCode"], 0, "{producer}");
    let partitions: Vec<i32> = (0..100_000).collect();
    let add = json!({"v3AndBelowTransactionalId": "wide", "v3AndBelowProducerId": producer["producerId"],
        "v3AndBelowProducerEpoch": producer["producerEpoch"],
        "v3AndBelowTopics": [{"name": GOOD_TOPIC, "partitions": partitions}]});
    let mut connection = besieged.raw().unwrap();
    let added = connection.ask(ApiKey::AddPartitionsToTxn, 3, &add).unwrap();
    let results = added["resultsByTopicV3AndBelow"][0]["resultsByPartition"].as_array().unwrap();
    assert_eq!(results.len(), 100_000);
    // All or nothing: what is there is not attempted because of what is not.
    let code = |number: usize| {
        results.iter().find(|result| result["partitionIndex"] == number).unwrap()["partitionErrorCode"].clone()
    };
    assert_eq!((code(0), code(1), code(99_999)), (json!(55), json!(3), json!(3)));
    // An id of 30,000 letters is one.
    let long = asker.ask(ApiKey::InitProducerId, 4, &init(&"i".repeat(30_000))).unwrap();
    assert_eq!(long["errorCode"], 0, "{long}");
    besieged.stand("wide transactions").unwrap();
}

#[test]
fn a_transaction_that_has_ended_takes_no_more_and_no_second_end() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = asker(&besieged);
    let topic = json!({"name": "ended", "numPartitions": 1, "replicationFactor": 1});
    let created = asker.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic], "timeoutMs": 10_000})).unwrap();
    assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
    let init =
        json!({"transactionalId": "ended", "transactionTimeoutMs": 10_000, "producerId": -1, "producerEpoch": -1});
    let producer = asker.ask(ApiKey::InitProducerId, 4, &init).unwrap();
    let of = |mut ask: Value| {
        for (name, value) in [
            ("transactionalId", json!("ended")),
            ("producerId", producer["producerId"].clone()),
            ("producerEpoch", producer["producerEpoch"].clone()),
        ] {
            ask[name] = value;
        }
        ask
    };
    let add = json!({"v3AndBelowTransactionalId": "ended", "v3AndBelowProducerId": producer["producerId"],
        "v3AndBelowProducerEpoch": producer["producerEpoch"], "v3AndBelowTopics": [{"name": "ended", "partitions": [0]}]});
    // Nothing was begun.
    assert_eq!(asker.ask(ApiKey::EndTxn, 3, &of(json!({"committed": true}))).unwrap()["errorCode"], 48);
    let added = asker.ask(ApiKey::AddPartitionsToTxn, 3, &add).unwrap();
    assert_eq!(added["resultsByTopicV3AndBelow"][0]["resultsByPartition"][0]["partitionErrorCode"], 0, "{added}");
    assert_eq!(asker.ask(ApiKey::EndTxn, 3, &of(json!({"committed": false}))).unwrap()["errorCode"], 0);
    // Again the same is no harm, the other end is.
    let again = asker.ask(ApiKey::EndTxn, 3, &of(json!({"committed": false}))).unwrap();
    assert_eq!(again["errorCode"], 0, "{again}");
    let other = asker.ask(ApiKey::EndTxn, 3, &of(json!({"committed": true}))).unwrap();
    assert_eq!(other["errorCode"], 48, "{other}");
    let mut old = of(json!({"committed": false}));
    old["producerEpoch"] = json!(producer["producerEpoch"].as_i64().unwrap() - 1);
    let fenced = asker.ask(ApiKey::EndTxn, 3, &old).unwrap();
    assert!([90, 47].contains(&fenced["errorCode"].as_i64().unwrap()), "{fenced}");
    besieged.stand("ended transactions").unwrap();
}

#[test]
fn coordinators_of_two_hundred_thousand_keys_are_told() {
    let besieged = Besieged::start(&[]).unwrap();
    asker(&besieged);
    let mut connection = besieged.raw().unwrap();
    let before = besieged.peak_kib().unwrap();
    let keys: Vec<String> = (0..200_000).map(|number| number.to_string()).collect();
    let found = connection.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": 0, "coordinatorKeys": keys})).unwrap();
    assert_eq!(found["coordinators"].as_array().unwrap().len(), 200_000);
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 200 << 10, "{grown} KiB");
    besieged.stand("keys").unwrap();
}
