//! Each method of the Java client's `Admin` has its counterpart in ours, or a sentence that says why it has none; and the
//! calls about access and members are answered alike by Ottla and by Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    AclEntry, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType, Admin, ClientSettings,
    MemberToRemove, Principal, Result, ScramAlteration, ScramMechanism,
};
use ottla_oracle::Oracle;
use ottla_tests::{Target, run, workspace};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// What stands for a method of the Java client.
enum Counterpart {
    /// This method of ours.
    Is(&'static str),
    /// Nothing, because.
    Not(&'static str),
}

use Counterpart::{Is, Not};

const SHARE: &str = "share groups are not served yet";
const STREAMS: &str = "streams groups are not served yet";
const TELEMETRY: &str = "this client pushes no telemetry (KIP-714)";

const COUNTERPARTS: [(&str, Counterpart); 67] = [
    ("abortTransaction", Is("abort_transaction")),
    ("addRaftVoter", Is("add_raft_voter")),
    ("alterClientQuotas", Is("alter_client_quotas")),
    ("alterConsumerGroupOffsets", Is("alter_group_offsets")),
    ("alterPartitionReassignments", Is("alter_reassignments")),
    ("alterReplicaLogDirs", Is("alter_replica_log_dirs")),
    ("alterShareGroupOffsets", Not(SHARE)),
    ("alterStreamsGroupOffsets", Is("alter_group_offsets")),
    ("alterUserScramCredentials", Is("alter_scram_credentials")),
    ("clientInstanceId", Not(TELEMETRY)),
    ("close", Is("close")),
    ("create", Is("new")),
    ("createAcls", Is("create_acls")),
    ("createDelegationToken", Is("create_delegation_token")),
    ("createPartitions", Is("create_partitions")),
    ("createTopics", Is("create_topics")),
    ("deleteAcls", Is("delete_acls")),
    ("deleteConsumerGroupOffsets", Is("delete_group_offsets")),
    ("deleteConsumerGroups", Is("delete_group")),
    ("deleteRecords", Is("delete_records")),
    ("deleteShareGroupOffsets", Not(SHARE)),
    ("deleteShareGroups", Is("delete_group")),
    ("deleteStreamsGroupOffsets", Is("delete_group_offsets")),
    ("deleteStreamsGroups", Is("delete_group")),
    ("deleteTopics", Is("delete_topics")),
    ("describeAcls", Is("describe_acls")),
    ("describeClassicGroups", Is("describe_group")),
    ("describeClientQuotas", Is("describe_client_quotas")),
    ("describeCluster", Is("describe_cluster")),
    ("describeConfigs", Is("describe_configs")),
    ("describeConsumerGroups", Is("describe_group")),
    ("describeDelegationToken", Is("describe_delegation_tokens")),
    ("describeFeatures", Is("describe_features")),
    ("describeLogDirs", Is("describe_log_dirs")),
    ("describeMetadataQuorum", Is("describe_quorum")),
    ("describeProducers", Is("describe_producers")),
    ("describeReplicaLogDirs", Is("describe_log_dirs")),
    ("describeShareGroups", Not(SHARE)),
    ("describeStreamsGroups", Not(STREAMS)),
    ("describeTopics", Is("describe_topics")),
    ("describeTransactions", Is("describe_transaction")),
    ("describeUserScramCredentials", Is("describe_scram_credentials")),
    ("electLeaders", Is("elect_leaders")),
    ("expireDelegationToken", Is("expire_delegation_token")),
    ("fenceProducers", Is("fence_producer")),
    ("forceTerminateTransaction", Is("fence_producer")),
    ("incrementalAlterConfigs", Is("alter_configs")),
    ("listClientMetricsResources", Is("list_config_resources")),
    ("listConfigResources", Is("list_config_resources")),
    ("listConsumerGroupOffsets", Is("list_group_offsets")),
    ("listConsumerGroups", Is("list_groups")),
    ("listGroups", Is("list_groups")),
    ("listOffsets", Is("list_offsets")),
    ("listPartitionReassignments", Is("list_reassignments")),
    ("listShareGroupOffsets", Not(SHARE)),
    ("listStreamsGroupOffsets", Is("list_group_offsets")),
    ("listTopics", Is("list_topics")),
    ("listTransactions", Is("list_transactions")),
    ("metrics", Is("metrics")),
    ("registerMetricForSubscription", Not(TELEMETRY)),
    ("removeMembersFromConsumerGroup", Is("remove_group_members")),
    ("removeRaftVoter", Is("remove_raft_voter")),
    ("renewDelegationToken", Is("renew_delegation_token")),
    ("unregisterBroker", Is("unregister_broker")),
    ("unregisterController", Is("unregister_controller")),
    ("unregisterMetricFromSubscription", Not(TELEMETRY)),
    ("updateFeatures", Is("update_features")),
];

/// The names of the methods, as the class says them itself.
fn methods_of_java() -> BTreeSet<String> {
    let class_path = Oracle::install().unwrap().class_path();
    let said = run(Command::new("javap").args(["-cp", &class_path, "org.apache.kafka.clients.admin.Admin"])).unwrap();
    let name = |line: &str| Some(line.split_once('(')?.0.rsplit(' ').next()?.to_owned());
    said.lines().filter(|line| line.trim_start().starts_with("public")).filter_map(name).collect()
}

/// The names of our methods, as the sources have them.
fn our_methods() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(workspace().join("crates/client/src/admin")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().map(str::trim_start) {
            let line = line.strip_prefix("pub ").map(|line| line.strip_prefix("async ").unwrap_or(line));
            let Some(rest) = line.and_then(|line| line.strip_prefix("fn ")) else { continue };
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
        }
    }
    names
}

#[test]
fn each_method_of_javas_admin_has_a_counterpart_or_a_reason() {
    let listed: BTreeSet<String> = COUNTERPARTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, methods_of_java());
    let ours = our_methods();
    for (name, counterpart) in COUNTERPARTS {
        match counterpart {
            Is(our) => assert!(ours.contains(our), "{name} is to be {our}, which there is not"),
            Not(why) => assert!(!why.is_empty(), "{name} has no counterpart and no reason"),
        }
    }
}

/// A result in one word: that it went well, or the name of the error.
fn word<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(error) => error.code().map_or("no code", |code| code.name()),
    }
}

async fn of_acls(admin: &Admin, answers: &mut Vec<String>) {
    let entry = AclEntry {
        resource_type: AclResourceType::Topic,
        resource_name: "orders".to_owned(),
        pattern_type: AclPatternType::Prefixed,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    };
    let created = admin.create_acls(&[entry]).await;
    answers.push(format!("create_acls {:?}", created.map(|all| all.iter().map(word).collect::<Vec<_>>()).ok()));
    answers.push(format!("describe_acls {}", word(&admin.describe_acls(&AclFilter::ALL).await)));
    let deleted = admin.delete_acls(&[AclFilter::ALL]).await;
    answers.push(format!("delete_acls {:?}", deleted.map(|all| all.iter().map(word).collect::<Vec<_>>()).ok()));
}

async fn of_tokens(admin: &Admin, answers: &mut Vec<String>) {
    let bob = Principal { kind: "User".to_owned(), name: "bob".to_owned() };
    let hmac = bytes_of("no such token");
    answers.push(format!("create {}", word(&admin.create_delegation_token(None, &[bob], None).await)));
    answers.push(format!("describe {}", word(&admin.describe_delegation_tokens(None).await)));
    answers.push(format!("renew {}", word(&admin.renew_delegation_token(&hmac, None).await)));
    answers.push(format!("expire {}", word(&admin.expire_delegation_token(&hmac, None).await)));
}

fn bytes_of(text: &str) -> ottla_client::Bytes {
    ottla_client::Bytes::copy_from_slice(text.as_bytes())
}

async fn of_scram(admin: &Admin, answers: &mut Vec<String>) {
    let mechanism = ScramMechanism::Sha256;
    let set = |iterations| ScramAlteration::Set {
        mechanism,
        iterations,
        password: "a secret".to_owned(),
        salt: bytes_of("some salt"),
    };
    let delete = || ScramAlteration::Delete { mechanism };
    let steps =
        [("set", set(4096), true), ("weak", set(100), true), ("delete", delete(), false), ("again", delete(), false)];
    for (step, alteration, is_left) in steps {
        let altered = admin.alter_scram_credentials(&[("alice".to_owned(), alteration)]).await.unwrap();
        answers.push(format!("{step} {:?}", altered.iter().map(|(user, result)| (user, word(result))).next()));
        answers.push(described(admin, is_left).await);
    }
}

/// What is told of alice's credentials, once some are left or none is: a broker describes what it has replayed, and answers an
/// alteration before that. What she is at the end of the patience is told too, for the comparison to find.
async fn described(admin: &Admin, is_left: bool) -> String {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let described = admin.describe_scram_credentials(&["alice".to_owned()]).await.unwrap();
        if described.is_empty() != is_left || Instant::now() > patience {
            let shown = |(user, told): &(String, Result<Vec<_>>)| format!("{user} {:?}", told.as_ref().ok());
            return described.iter().map(shown).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn of_members(admin: &Admin, answers: &mut Vec<String>) {
    let members = [MemberToRemove::Static("i".to_owned()), MemberToRemove::Dynamic("m".to_owned())];
    let removed = admin.remove_group_members("no-such-group", &members, "for a test").await;
    let each = removed.map(|all| all.iter().map(|(member, result)| format!("{member:?} {}", word(result))).collect());
    answers.push(format!("{:?}", each.unwrap_or_else(|error| vec![error.to_string()])));
}

fn answers(target: &Target) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let admin = Admin::new(ClientSettings::new(&target.bootstrap())).unwrap();
        let mut answers = Vec::new();
        of_acls(&admin, &mut answers).await;
        of_tokens(&admin, &mut answers).await;
        of_scram(&admin, &mut answers).await;
        of_members(&admin, &mut answers).await;
        admin.close();
        answers
    })
}

#[test]
fn calls_about_access_and_members_are_answered_alike() {
    let ours = answers(&Target::ottla().unwrap());
    println!("{ours:#?}");
    assert_eq!(ours, answers(&Target::apache_kafka().unwrap()));
    assert!(ours.iter().any(|answer| answer.contains("iterations: 4096")), "a credential was set and described");
}
