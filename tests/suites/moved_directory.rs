//! One data directory, served in turns by Apache Kafka and by Ottla: each finds all that the other has written, goes on with
//! it, and survives being killed with it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "moved_directory/calls.rs"]
mod calls;
#[path = "failing_disk/check.rs"]
mod check;
#[path = "failing_disk/clients.rs"]
mod clients;
#[path = "moved_directory/contents.rs"]
mod contents;
#[path = "moved_directory/dumps.rs"]
mod dumps;
#[path = "moved_directory/groups.rs"]
mod groups;
#[path = "moved_directory/host.rs"]
mod host;
#[path = "failing_disk/line.rs"]
mod line;
#[path = "moved_directory/mixed.rs"]
mod mixed;
#[path = "moved_directory/picture.rs"]
mod picture;
#[path = "moved_directory/producers.rs"]
mod producers;
#[path = "moved_directory/settings.rs"]
mod settings;
#[path = "moved_directory/topics.rs"]
mod topics;

#[path = "moved_directory/refused.rs"]
mod refused;

#[path = "failing_disk/working.rs"]
mod working;

use check::check_everything;
use clients::Client;
use contents::{Contents, settle};
use host::{End, Host};
use line::{Line, now};
use ottla_tests::number;
use picture::{differences, picture};
use std::thread::sleep;
use std::time::Duration;
use working::{Clients, Worked, make_topics};

/// Members are known for longer than all this takes, and compaction does not wait.
const PROPERTIES: [(&str, &str); 5] = [
    ("group.consumer.max.session.timeout.ms", "600000"),
    ("group.consumer.session.timeout.ms", "600000"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.initial.task.delay.ms", "100"),
];

/// Lets both servers have their turns, `ends` saying how each ends; gives how many things were compared.
fn take_turns(host: &mut Host, ends: &[End]) -> usize {
    let mut asker = host.asker();
    let mut contents = Contents::begin(&mut asker);
    let mut compared = 0;
    for (turn, end) in ends.iter().enumerate() {
        contents.write(&mut asker, *end == End::Killed);
        settle(&mut asker);
        topics::wait_until_cleaned(host.folder.path());
        let expected = picture(&mut asker);
        host.change(*end);
        let found = picture(&mut asker);
        let wrong = differences(&expected, &found);
        let who = if turn % 2 == 0 { "Ottla" } else { "Apache Kafka" };
        assert!(wrong.is_empty(), "{who} after turn {turn}, {end:?}:\n{}\n{}", wrong.join("\n"), host.said_by_ottla());
        compared += found.len();
    }
    contents.write(&mut asker, false);
    compared
}

#[test]
fn a_directory_goes_from_apache_kafka_to_ottla_and_back_whether_stopped_or_killed() {
    let rounds = number("OTTLA_MOVED_ROUNDS", 1);
    let mut host = Host::new(&PROPERTIES, &[]);
    let ends = [End::Stopped, End::Stopped, End::Killed, End::Killed];
    let ends: Vec<End> = (0..rounds).flat_map(|_| ends).collect();
    let compared = take_turns(&mut host, &ends);
    host.end(End::Stopped);
    let files = dumps::agree(&host.folder.path().join("node/data"));
    println!(
        "{compared} things looked at, each by the other server after {} ends, and {files} files dumped",
        ends.len()
    );
}

/// A node that stands alone by what is in its log, and not by its properties.
const STANDALONE: [(&str, &str); 2] =
    [("controller.quorum.voters", ""), ("controller.quorum.bootstrap.servers", "127.0.0.1:CONTROLLER_PORT")];

/// Several directories, one for the metadata alone, of which snapshots are written again and again.
#[test]
fn several_directories_with_the_metadata_in_one_of_its_own_go_back_and_forth() {
    let own = [
        ("log.dirs", "DIRECTORY/a,DIRECTORY/b,DIRECTORY/c"),
        ("metadata.log.dir", "DIRECTORY/metadata"),
        ("metadata.log.max.record.bytes.between.snapshots", "5000"),
        ("metadata.max.retention.bytes", "20000"),
    ];
    let rounds = number("OTTLA_MOVED_ROUNDS", 1);
    let mut host = Host::new(&[&PROPERTIES[..], &STANDALONE, &own].concat(), &["--standalone"]);
    let ends: Vec<End> = (0..rounds).flat_map(|_| [End::Stopped, End::Killed]).collect();
    let compared = take_turns(&mut host, &ends);
    println!("{compared} things looked at, each by the other server after {} ends", ends.len());
}

/// A way of formatting: what the properties say beyond the usual, and the options.
type Format = (Vec<(&'static str, &'static str)>, Vec<&'static str>);

/// Those in which Apache Kafka's tool formats the directory of a node alone. The oldest level comes first: it has the least of
/// what has come since.
fn formats() -> Vec<Format> {
    let statically = |release| (Vec::new(), vec!["--release-version", release]);
    let mut all: Vec<Format> = vec![statically("3.3")];
    for release in ["3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2", "4.3"] {
        all.push(statically(release));
    }
    for release in ["3.9", "4.0", "4.2"] {
        all.push((STANDALONE.to_vec(), vec!["--standalone", "--release-version", release]));
    }
    let credentials = "SCRAM-SHA-256=[name=bob,password=bob-secret]";
    all.push((
        Vec::new(),
        vec!["--add-scram", credentials, "--add-scram", "SCRAM-SHA-512=[name=eve,password=e,iterations=5000]"],
    ));
    let controllers = "1@127.0.0.1:CONTROLLER_PORT:AAAAAAAAAAAAAAAAAAAABw";
    all.push((STANDALONE.to_vec(), vec!["--initial-controllers", controllers]));
    all.push((Vec::new(), vec!["--feature", "group.version=0", "--feature", "transaction.version=0"]));
    all.push((
        Vec::new(),
        vec!["--feature", "transaction.version=1", "--feature", "eligible.leader.replicas.version=0"],
    ));
    all
}

/// `OTTLA_MOVED_FORMATS` is how many of the ways are tried.
#[test]
fn a_directory_formatted_for_an_older_release_or_in_another_way_goes_back_and_forth() {
    let count = usize::try_from(number("OTTLA_MOVED_FORMATS", 1)).unwrap();
    for (own, format) in formats().into_iter().take(count) {
        let mut host = Host::new(&[&PROPERTIES[..], &own].concat(), &format);
        let compared = take_turns(&mut host, &[End::Stopped, End::Stopped]);
        println!("{format:?}: {compared} things looked at");
    }
}

/// A server is killed while clients of all kinds work, and the other goes on with what it finds: `OTTLA_MOVED_KILLS` times.
#[test]
fn kills_under_load_lose_nothing_that_either_server_has_promised() {
    let eager = [("log.roll.ms", "200"), ("metadata.log.max.record.bytes.between.snapshots", "4000")];
    let mut host = Host::new(&[&PROPERTIES[..], &eager].concat(), &[]);
    let address = host.address();
    let mut line = Line::new(address.clone());
    make_topics(&mut line).unwrap();
    let mut clients = Clients::default();
    let kills = number("OTTLA_MOVED_KILLS", 2);
    for kill in 0..kills {
        let until_killed = || {
            sleep(Duration::from_millis(500 + kill * 137 % 300));
            host.end(End::Killed);
        };
        let worked = clients.work(&address, [usize::MAX; 4], until_killed);
        assert!(worked.iter().all(|worked| *worked == Worked::Gone), "{worked:?}");
        host.start_next();
    }
    let steps = [clients.idempotent.steps() + 4, clients.transactional.steps() + 6, clients.committer.steps() + 1];
    let creator = (clients.creator.steps() / 3 + 2) * 3;
    let worked = clients.work(&address, [steps[0], steps[1], steps[2], creator], || ());
    assert_eq!(worked, [Worked::Done; 4], "{}", host.said_by_ottla());
    check_everything(&mut line, &clients);
    let promises = clients.promises();
    let began = promises.iter().map(|promise| promise.asked).min().unwrap_or_default();
    println!("{kills} kills, {} promises in {} ms", promises.len(), (now() - began) / 1000);
}
