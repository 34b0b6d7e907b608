//! The checker is checked: files are changed between a kill and the next start, as if the server had not written them, or
//! had written them wrong.

use ottla_protocol::ErrorCode;
use ottla_records::{Batches, assign_offsets};
use ottla_tests::Server;
use ottla_tests::history::{Change, Compacted, History, Kind, LogName, Outcome, Policy};
use ottla_tests::mixed_load::{
    Entry, LogReader, LogWriter, Observer, Wire, World, Written, commit_offset, configure, created, delete_records,
    look_at_topic, now_ms,
};
use ottla_types::{LeaderEpoch, Offset};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const GROUP: &str = "proof";
const BEFORE: [(&str, &str); 1] = [("retention.ms", "1000000")];

/// A killed server with a history, its files as they were half way through it and at its end.
struct Scene {
    server: Server,
    history: History,
    log: LogName,
    keyed: LogName,
    half: PathBuf,
    whole: PathBuf,
    _folder: tempfile::TempDir,
}

/// Records, keys, commits, settings and a later start, from this number on.
fn work(world: &World, log: &LogName, keyed: &LogName, round: i64) {
    let mut wire = Wire::new(&world.address);
    let mut writer = LogWriter::new(world, log.clone(), 100);
    for _ in 0..50 {
        let written = writer.write(world, &[Entry::PLAIN; 4], -1, None);
        assert!(matches!(written, (_, Written::At(_))), "{written:?}");
    }
    let mut writer = LogWriter::new(world, keyed.clone(), 100);
    for key in 0..5 {
        let entry = Entry { key: Some(key), is_tombstone: false };
        let (values, Written::At(base)) = writer.write(world, &[entry], -1, None) else { panic!("not written") };
        let history = &mut *world.history();
        let compacted = history.compacted.get_mut(keyed).unwrap();
        compacted.note(base, key, Some(values[0]), &mut history.violations);
    }
    let offset = 100 * round;
    world.history().offsets.ask(GROUP, &log.topic, 0, offset);
    let end = Instant::now() + Duration::from_secs(20);
    while let Err(error) = commit_offset(&mut wire, GROUP, log, offset) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(10));
    }
    world.history().offsets.acknowledge(GROUP, &log.topic, 0, offset);
    let value = (1_000_000 * round).to_string();
    configure(&mut wire, &log.topic, "retention.ms", Some(&value)).unwrap();
    let start = 20 * round;
    assert_eq!(delete_records(&mut wire, log, start).unwrap(), (ErrorCode::None, start));
    let history = &mut *world.history();
    let change = Change::Configure("retention.ms".to_owned(), Some(value));
    history.catalog.note(&log.topic, &change, Outcome::Done(None), &mut history.violations);
    let policy = Policy { asked_start: start, done_start: start, ..Policy::default() };
    history.policies.insert(log.clone(), policy);
}

/// A topic that the history knows of from its beginning.
fn topic(world: &World, name: &str, configs: &[(&str, &str)]) -> LogName {
    let log = created(&world.address, name, 1, configs).unwrap().remove(0);
    let history = &mut *world.history();
    let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let change = Change::Create { partitions: 1, configs };
    history.catalog.note(name, &change, Outcome::Done(Some(log.id)), &mut history.violations);
    log
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

impl Scene {
    fn new() -> Self {
        // Small files are written soon, so that there are older ones to restore.
        let settings = [("log.flush.offset.checkpoint.interval.ms", "100"), ("log.initial.task.delay.ms", "50")];
        let mut server = Server::start(&settings).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (half, whole) = (folder.path().join("half"), folder.path().join("whole"));
        let data = server.directory().join("data");
        let world = World::new(&server.bootstrap(), 1, Duration::ZERO);
        let log = topic(&world, "proof", &BEFORE);
        let keyed = topic(&world, "keys", &[("cleanup.policy", "compact")]);
        world.history().compacted.insert(keyed.clone(), Compacted::default());
        work(&world, &log, &keyed, 1);
        std::thread::sleep(Duration::from_millis(300));
        server.kill().unwrap();
        copy(&data, &half);
        server.launch().unwrap();
        topic(&world, "later", &[]);
        work(&world, &log, &keyed, 2);
        server.kill().unwrap();
        copy(&data, &whole);
        assert!(world.history().violations.is_empty(), "{}", world.history().violations);
        let history = world.history().clone();
        Self { server, history, log, keyed, half, whole, _folder: folder }
    }

    fn data(&self) -> PathBuf {
        self.server.directory().join("data")
    }

    /// What the checker finds after this was done to the files.
    fn found_after(&mut self, damage: impl FnOnce(&Self)) -> Vec<Kind> {
        fs::remove_dir_all(self.data()).unwrap();
        copy(&self.whole, &self.data());
        damage(self);
        self.server.launch().unwrap();
        let world = World::new(&self.server.bootstrap(), 1, Duration::ZERO);
        *world.history() = self.history.clone();
        self.look(&world);
        self.server.kill().unwrap();
        assert_eq!(world.failures(), [] as [String; 0], "{}", self.server.log());
        let history = world.history();
        println!("  {}", history.violations);
        history.violations.kinds()
    }

    fn look(&self, world: &World) {
        let mut wire = Wire::new(&world.address);
        let mut there: BTreeMap<&str, bool> = BTreeMap::new();
        for name in ["proof", "keys", "later"] {
            let now = look_at_topic(&mut wire, name).unwrap();
            let history = &mut *world.history();
            history.catalog.look(name, now.as_ref(), &mut history.violations);
            there.insert(name, now.is_some());
        }
        let logs: Vec<LogName> =
            [&self.log, &self.keyed].into_iter().filter(|log| there[&*log.topic]).cloned().collect();
        let mut observer = Observer::new(world, &logs);
        observer.look(world);
        logs.iter().for_each(|log| {
            observer.check(world, log);
        });
    }

    /// The segment that is written to.
    fn last_segment(&self, log: &LogName) -> PathBuf {
        files(&self.data().join(log.to_string()), &["log"]).pop().unwrap()
    }

    /// Puts an older file or directory in the place of the present one.
    fn restore(&self, name: &str) {
        let now = self.data().join(name);
        let _ = fs::remove_dir_all(&now);
        let _ = fs::remove_file(&now);
        copy(&self.half.join(name), &now);
    }

    fn restore_files(&self, log: &LogName, extensions: &[&str]) {
        for file in files(&self.half.join(log.to_string()), extensions) {
            let name = file.file_name().unwrap();
            fs::copy(&file, self.data().join(log.to_string()).join(name)).unwrap();
        }
    }
}

/// The files of a directory with these extensions, in order.
fn files(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.extension().is_some_and(|found| extensions.iter().any(|one| found == *one));
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(is_one).collect();
    found.sort();
    found
}

/// What is made anew from the batches.
const DERIVED: [&str; 4] = ["index", "timeindex", "txnindex", "snapshot"];

#[test]
fn what_can_be_made_anew_is_no_loss() {
    let mut scene = Scene::new();
    assert_eq!(scene.found_after(|_| ()), [], "nothing");
    let removed = scene.found_after(|scene| {
        for log in [&scene.log, &scene.keyed] {
            let directory = scene.data().join(log.to_string());
            files(&directory, &DERIVED).iter().for_each(|file| fs::remove_file(file).unwrap());
            fs::remove_file(directory.join("leader-epoch-checkpoint")).unwrap();
        }
    });
    assert_eq!(removed, [], "derived files");
    let older = scene.found_after(|scene| {
        scene.restore_files(&scene.log, &DERIVED);
        scene.restore_files(&scene.keyed, &DERIVED);
    });
    assert_eq!(older, [], "older derived files");
    let checkpoints = scene.found_after(|scene| {
        fs::remove_file(scene.data().join("recovery-point-offset-checkpoint")).unwrap();
        // Written later than the scene lasts.
        let _ = fs::remove_file(scene.data().join("replication-offset-checkpoint"));
    });
    assert_eq!(checkpoints, [], "checkpoints");
    let older = scene.found_after(|scene| scene.restore("recovery-point-offset-checkpoint"));
    assert_eq!(older, [], "an older checkpoint");
}

#[test]
fn what_is_taken_from_the_logs_is_found() {
    let mut scene = Scene::new();
    let cut = scene.found_after(|scene| {
        let segment = fs::File::options().write(true).open(scene.last_segment(&scene.log)).unwrap();
        segment.set_len(segment.metadata().unwrap().len() - 30).unwrap();
    });
    assert!(cut.contains(&Kind::RecordLost), "a tail that is cut: {cut:?}");
    let old = scene.found_after(|scene| scene.restore_files(&scene.log, &["log"]));
    assert!(old.contains(&Kind::RecordLost), "an older segment: {old:?}");
    let old = scene.found_after(|scene| scene.restore_files(&scene.keyed, &["log"]));
    assert!(old.contains(&Kind::LastValueLost), "an older compacted segment: {old:?}");
    let rotten = scene.found_after(|scene| {
        let path = scene.last_segment(&scene.log);
        let mut bytes = fs::read(&path).unwrap();
        let place = bytes.len() - 20;
        bytes[place] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    // Behind the recovery point it is cut off, before it it is kept as it is and reported.
    let is_found = [Kind::RecordLost, Kind::UnreadableBatch].iter().any(|kind| rotten.contains(kind));
    assert!(is_found, "a byte in the last batch: {rotten:?}");
    let doubled = scene.found_after(|scene| append_again(&scene.last_segment(&scene.log)));
    assert!(doubled.contains(&Kind::RecordDoubled), "a batch that is there twice: {doubled:?}");
}

/// Appends the last batch once more, as the next one.
fn append_again(segment: &Path) {
    let mut bytes = fs::read(segment).unwrap();
    let (mut last, next) = {
        let last = Batches::new(&bytes).map(Result::unwrap).last().unwrap();
        (last.bytes().to_vec(), last.next_offset())
    };
    assign_offsets(&mut last, Offset(next.value()), LeaderEpoch(0)).unwrap();
    bytes.extend(last);
    fs::write(segment, bytes).unwrap();
}

#[test]
fn what_is_taken_from_the_internal_logs_is_found() {
    let mut scene = Scene::new();
    let offsets: Vec<String> = fs::read_dir(scene.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("__consumer_offsets-"))
        .collect();
    let old = scene.found_after(|scene| offsets.iter().for_each(|name| scene.restore(name)));
    assert_eq!(old, [Kind::WrongCommittedOffset], "older offsets of groups");
    let old = scene.found_after(|scene| scene.restore("__cluster_metadata-0"));
    assert!(old.contains(&Kind::TopicLost) && old.contains(&Kind::ConfigurationLost), "older metadata: {old:?}");
    let old = scene.found_after(|scene| scene.restore("log-start-offset-checkpoint"));
    assert_eq!(
        old,
        [Kind::WrongStart, Kind::MarkWentBack].into_iter().filter(|kind| old.contains(kind)).collect::<Vec<_>>()
    );
    assert!(old.contains(&Kind::WrongStart), "an older start: {old:?}");
}

/// A reader that the server lies to is believed no more than the server.
#[test]
fn a_log_is_read_as_it_lies() {
    let mut scene = Scene::new();
    scene.server.launch().unwrap();
    let scan = LogReader::new(&scene.server.bootstrap()).scan(&scene.log).unwrap();
    assert_eq!((scan.start, scan.end), (40, 400));
    assert_eq!(scan.records().count(), 360);
    scene.history.check_log(&scan, now_ms());
    assert!(scene.history.violations.is_empty(), "{}", scene.history.violations);
}
