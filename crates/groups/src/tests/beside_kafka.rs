//! Assignors and reconciliation beside Apache Kafka's own classes, on random groups.

use super::assignors::subscriptions_of;
use super::random::Dice;
use crate::consumer::assignor::{Assignor, Subscriber, Subscriptions};
use crate::consumer::reconcile::Reconciliation;
use crate::consumer::{ConsumerMember, HeldPartitions, MemberState, Partitions};
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

const GROUPS: usize = 1_500;
const STEPS: usize = 6;
const RECONCILIATIONS: usize = 10_000;

/// Apache Kafka's classes in one Java process.
struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let version = std::fs::read_to_string(workspace.join("oracle/KAFKA_VERSION")).unwrap();
        let jars = match std::env::var_os("OTTLA_ORACLE_LIB") {
            Some(directory) => PathBuf::from(directory),
            None => workspace.join(format!("target/oracle/lib-{}", version.trim())),
        };
        assert!(jars.is_dir(), "no jars in {}: run `cargo run -p ottla-oracle -- install` first", jars.display());
        let mut child = Command::new("java")
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(jars.join("*"))
            .arg(workspace.join("oracle/java/ConsumerGroupsOracle.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the oracle needs `java` (17 or later) on the path");
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    fn ask(&mut self, question: &str) -> String {
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{question}").unwrap();
        questions.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the oracle died of {question}");
        line.trim_end().to_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

fn topic_id(dice: &mut Dice) -> TopicId {
    let mut next = || {
        dice.roll(2);
        u128::from(dice.0)
    };
    TopicId::from_u128(next() << 64 | next())
}

fn all(partitions: &Partitions) -> impl Iterator<Item = (TopicId, i32)> {
    partitions.iter().flat_map(|(topic_id, numbers)| numbers.iter().map(|number| (*topic_id, *number)))
}

fn join(words: impl IntoIterator<Item = String>, separator: &str) -> String {
    let text = words.into_iter().collect::<Vec<_>>().join(separator);
    if text.is_empty() { "-".to_owned() } else { text }
}

/// In the order in which an answer has them.
fn partitions_text(partitions: &Partitions) -> String {
    let texts: BTreeSet<String> =
        all(partitions).map(|(topic_id, partition)| format!("{topic_id}:{partition}")).collect();
    join(texts, ",")
}

/// In the order in which the machine lists them: it counts where hashes collide.
fn partitions_question(partitions: &Partitions) -> String {
    join(all(partitions).map(|(topic_id, partition)| format!("{topic_id}:{partition}")), ",")
}

fn held_text(held: &HeldPartitions) -> String {
    let texts: BTreeSet<String> = held
        .iter()
        .flat_map(|(topic_id, since)| since.iter().map(move |(number, epoch)| format!("{topic_id}:{number}:{epoch}")))
        .collect();
    join(texts, ",")
}

/// A group that lives through some target assignments.
struct Group {
    members: BTreeMap<Arc<str>, Subscriber>,
    counts: BTreeMap<TopicId, i32>,
    is_alike: bool,
    next_member: usize,
}

impl Group {
    fn new(dice: &mut Dice) -> Self {
        let partitions_max = [3, 20, 40][dice.roll(3) as usize];
        let topics = 1 + dice.roll(14);
        let counts = (0..topics).map(|_| (topic_id(dice), 1 + dice.roll(partitions_max) as i32)).collect();
        let mut group = Self { members: BTreeMap::new(), counts, is_alike: dice.roll(2) == 0, next_member: 0 };
        for _ in 0..=dice.roll(20) {
            group.add_member(dice);
        }
        group
    }

    fn add_member(&mut self, dice: &mut Dice) {
        let topics = match self.members.values().next() {
            Some(member) if self.is_alike => member.topics.clone(),
            _ => self.some_topics(dice),
        };
        self.next_member += 1;
        let member_id = format!("member-{:x}-{}", dice.roll(1 << 30), self.next_member).into();
        let instance_id = (dice.roll(4) == 0).then(|| format!("instance-{}", self.next_member));
        self.members.insert(member_id, Subscriber { instance_id, topics, target: Partitions::new() });
    }

    fn some_topics(&self, dice: &mut Dice) -> BTreeSet<TopicId> {
        self.counts.keys().copied().filter(|_| dice.roll(4) != 0).collect()
    }

    fn some_member(&self, dice: &mut Dice) -> Arc<str> {
        let number = dice.roll(self.members.len() as u64) as usize;
        self.members.keys().nth(number).unwrap().clone()
    }

    fn change(&mut self, dice: &mut Dice) {
        for _ in 0..dice.roll(4) {
            self.add_member(dice);
        }
        for _ in 0..dice.roll(4) {
            if self.members.len() > 1 {
                let leaving = self.some_member(dice);
                self.members.remove(&leaving);
            }
        }
        let topics = self.some_topics(dice);
        if !self.is_alike {
            let changing = self.some_member(dice);
            self.members.get_mut(&changing).unwrap().topics = topics;
        } else if dice.roll(4) == 0 {
            self.members.values_mut().for_each(|member| member.topics = topics.clone());
        }
        if dice.roll(3) == 0 {
            self.counts.values_mut().for_each(|count| *count += dice.roll(3) as i32);
        }
    }

    fn question(&self, assignor: Assignor) -> String {
        let subscriptions = match subscriptions_of(&self.members) {
            Subscriptions::Alike => "HOMOGENEOUS",
            Subscriptions::Different => "HETEROGENEOUS",
        };
        let counts = self.counts.iter().map(|(topic_id, count)| format!("{topic_id}={count}"));
        let members = self.members.iter().map(|(member_id, member)| {
            let instance_id = member.instance_id.as_deref().unwrap_or_default();
            let topics = join(member.topics.iter().map(TopicId::to_string), ",");
            format!("{member_id}|{instance_id}|{topics}|{}", partitions_question(&member.target))
        });
        format!("assign {assignor} {subscriptions} {} {}", join(counts, ","), join(members, ";"))
    }

    fn assign(&mut self, assignor: Assignor) -> String {
        let targets = assignor.assign(&self.members, &self.counts, subscriptions_of(&self.members));
        for (member_id, member) in &mut self.members {
            member.target = targets.get(member_id).cloned().unwrap_or_default();
        }
        join(self.members.iter().map(|(id, member)| format!("{id}|{}", partitions_text(&member.target))), ";")
    }
}

#[test]
fn both_assignors_give_each_member_what_they_give_in_kafka() {
    let mut oracle = Oracle::start();
    let mut dice = Dice(0x5eed_0848);
    let mut assigned: usize = 0;
    for _ in 0..GROUPS {
        let mut group = Group::new(&mut dice);
        for _ in 0..STEPS {
            let assignor = if dice.roll(3) == 0 { Assignor::Range } else { Assignor::Uniform };
            let question = group.question(assignor);
            let answer = group.assign(assignor);
            assert_eq!(answer, oracle.ask(&question), "{question}");
            assigned += usize::from(answer.contains(':'));
            group.change(&mut dice);
        }
    }
    assert!(assigned > GROUPS * STEPS / 2, "only {assigned} assignments had partitions");
}

fn some_partitions(dice: &mut Dice, topics: &[TopicId], one_in: u64) -> Partitions {
    let mut some = Partitions::new();
    for topic_id in topics {
        let numbers: BTreeSet<i32> = (0..4).filter(|_| dice.roll(one_in) == 0).collect();
        if !numbers.is_empty() {
            some.insert(*topic_id, numbers);
        }
    }
    some
}

/// A member that holds these, in any state.
fn some_member(dice: &mut Dice, holding: &Partitions) -> ConsumerMember {
    let mut member = ConsumerMember {
        epoch: 9 + dice.roll(3) as i32,
        previous_epoch: 8,
        state: MemberState::from_code([0, 1, 2, 127][dice.roll(4) as usize]),
        ..ConsumerMember::new()
    };
    for (topic_id, number) in all(holding) {
        let epoch = 1 + dice.roll(9) as i32;
        let is_revoked = member.state == MemberState::UnrevokedPartitions && dice.roll(2) == 0;
        let into = if is_revoked { &mut member.pending_revocation } else { &mut member.assigned };
        into.entry(topic_id).or_default().insert(number, epoch);
    }
    member
}

fn member_text(member: &ConsumerMember) -> String {
    let (assigned, pending) = (held_text(&member.assigned), held_text(&member.pending_revocation));
    format!("{} {} {} {assigned} {pending}", member.epoch, member.previous_epoch, member.state as i8)
}

#[test]
fn a_member_is_reconciled_step_by_step_as_in_kafka() {
    let mut oracle = Oracle::start();
    let mut dice = Dice(0x5eed_0849);
    let mut changes: usize = 0;
    for _ in 0..RECONCILIATIONS {
        let topics: Vec<TopicId> = (0..3).map(|_| topic_id(&mut dice)).collect();
        let subscribed: BTreeSet<TopicId> = topics.iter().copied().filter(|_| dice.roll(5) != 0).collect();
        let mut of = |one_in| some_partitions(&mut dice, &topics, one_in);
        let (holding, target, held, owned) = (of(2), of(2), of(4), of(3));
        let member = some_member(&mut dice, &holding);
        let owned = [None, Some(Partitions::new()), Some(holding), Some(owned)][dice.roll(4) as usize].clone();
        let subscription_changed = dice.roll(2) == 0;
        let question = format!(
            "reconcile {} 11 {} {} {subscription_changed} {} {}",
            member_text(&member),
            partitions_text(&target),
            join(subscribed.iter().map(TopicId::to_string), ","),
            owned.as_ref().map_or_else(|| "null".to_owned(), partitions_text),
            partitions_text(&held),
        );
        let reconciliation = Reconciliation {
            target_epoch: 11,
            target: &target,
            topics: subscribed,
            subscription_changed,
            owned: owned.as_ref(),
            is_owned: &|topic_id, number| held.get(&topic_id).is_some_and(|numbers| numbers.contains(&number)),
        };
        let next = reconciliation.step(&member);
        let answer = next.as_ref().map_or_else(|_| "error FencedMemberEpochException".to_owned(), member_text);
        assert_eq!(answer, oracle.ask(&question), "{question}");
        changes += usize::from(next.is_ok_and(|next| next != member));
    }
    assert!(changes > RECONCILIATIONS / 4, "only {changes} members changed");
}
