//! `kafka-storage`: Ottla's and Apache Kafka's say the same with the same exit code, and make the same files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::tool_calls::Calls;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What stands for longer texts in the calls.
const TEXTS: [(&str, &str); 4] = [
    (
        "STATIC",
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=C\nlisteners=C://:1,PLAINTEXT://:2\n\
         controller.quorum.voters=1@localhost:1\nlog.dirs=FOLDER/",
    ),
    (
        "DYNAMIC",
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=C\nlisteners=C://:1,PLAINTEXT://:2\n\
         controller.quorum.bootstrap.servers=localhost:1\nlog.dirs=FOLDER/",
    ),
    (
        "BROKER",
        "process.roles=broker\nnode.id=1\ncontroller.listener.names=C\nlisteners=PLAINTEXT://:2\n\
         controller.quorum.bootstrap.servers=localhost:1\nlog.dirs=FOLDER/",
    ),
    ("CLUSTER", "AAAAAAAAAAAAAAAAAAAABQ"),
];

/// The calls, as [`Calls`] reads them.
const CALLS: &[&str] = &[
    "kafka-storage",
    "kafka-storage nonsense",
    "kafka-storage random-uuid x",
    "kafka-storage info",
    "kafka-storage info --config",
    "kafka-storage info --config /nonexistent",
    "kafka-storage info -c FILE:STATICa,FOLDER/b",
    "kafka-storage format",
    "kafka-storage format -c x",
    "kafka-storage format -t x",
    "kafka-storage format -t x -c /nonexistent",
    "kafka-storage format -t CLUSTER -c FILE:STATICa,FOLDER/b",
    "kafka-storage format -t CLUSTER -c FILE:STATICa",
    "kafka-storage format -g -t CLUSTER -c FILE:STATICa,FOLDER/b",
    "kafka-storage format -g -t CLUSTER -c FILE:STATICa,FOLDER/b,FOLDER/c",
    "kafka-storage format -g -t AAAAAAAAAAAAAAAAAAAABg -c FILE:STATICa",
    "WORDS kafka-storage format -g -t CLUSTER -c FILE:process.roles=broker,controller\nnode.id=2\ncontroller.listener.names=C\nlisteners=C://:1,PLAINTEXT://:2\ncontroller.quorum.voters=2@localhost:1\nlog.dirs=FOLDER/a",
    "kafka-storage info -c FILE:STATICc",
    "kafka-storage format -s -t CLUSTER -c FILE:DYNAMICs",
    "kafka-storage format -s -t CLUSTER -c FILE:STATICs2",
    "kafka-storage format -t CLUSTER -c FILE:DYNAMICs3",
    "kafka-storage format -N -t CLUSTER -c FILE:DYNAMICs4",
    "kafka-storage format -N -t CLUSTER -c FILE:BROKERs5",
    "kafka-storage format -t CLUSTER -c FILE:BROKERs6",
    "kafka-storage format -s -t CLUSTER -c FILE:BROKERs7",
    "kafka-storage format -I 1@localhost:1:AAAAAAAAAAAAAAAAAAAABw -t CLUSTER -c FILE:DYNAMICi1",
    "kafka-storage format -I x -t CLUSTER -c FILE:DYNAMICi2",
    "kafka-storage format -I 2@localhost:1:AAAAAAAAAAAAAAAAAAAABw -t CLUSTER -c FILE:DYNAMICi3",
    "kafka-storage format -I 1@localhost:1:AAAAAAAAAAAAAAAAAAAABw,1@localhost:1:AAAAAAAAAAAAAAAAAAAABw -t CLUSTER -c FILE:DYNAMICi4",
    "kafka-storage format -I 1@localhost:1:bad -t CLUSTER -c FILE:DYNAMICi5",
    "kafka-storage format -I 1@localhost:1:AAAAAAAAAAAAAAAAAAAABw -s -t CLUSTER -c FILE:DYNAMICi6",
    "kafka-storage format -r 4.0 -t CLUSTER -c FILE:STATICr1",
    "kafka-storage format -r 3.7-IV4 -t CLUSTER -c FILE:STATICr2",
    "kafka-storage format -r 9.9 -t CLUSTER -c FILE:STATICr3",
    "kafka-storage format -r 3.2 -t CLUSTER -c FILE:STATICr4",
    "kafka-storage format -r 4.0 -s -t CLUSTER -c FILE:DYNAMICr5",
    "kafka-storage format -r 3.7 -s -t CLUSTER -c FILE:DYNAMICr6",
    "kafka-storage format -f group.version=0 -t CLUSTER -c FILE:STATICf1",
    "kafka-storage format -f group.version=9 -t CLUSTER -c FILE:STATICf2",
    "kafka-storage format -f x=1 -t CLUSTER -c FILE:STATICf3",
    "kafka-storage format -f x -t CLUSTER -c FILE:STATICf4",
    "kafka-storage format -f metadata.version=25 -t CLUSTER -c FILE:STATICf5",
    "kafka-storage format -f metadata.version=25 -f kraft.version=1 -t CLUSTER -c FILE:STATICf6",
    "kafka-storage format -s -f kraft.version=0 -t CLUSTER -c FILE:DYNAMICf7",
    "kafka-storage format -r 4.0 -f metadata.version=25 -t CLUSTER -c FILE:STATICf8",
    "kafka-storage format -f group.version=1 -f group.version=0 -t CLUSTER -c FILE:STATICf9",
    "kafka-storage format -S SCRAM-SHA-256=[name=alice,password=alice-secret,salt=MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3M=,iterations=8192] -t CLUSTER -c FILE:STATICS1",
    "kafka-storage format -S SCRAM-SHA-256=[name=alice] -t CLUSTER -c FILE:STATICS2",
    "kafka-storage format -S nonsense -t CLUSTER -c FILE:STATICS3",
    "kafka-storage format -S MD5=[name=a,password=b] -t CLUSTER -c FILE:STATICS4",
    "kafka-storage format -S SCRAM-SHA-256=[name=a,password=b,iterations=1] -t CLUSTER -c FILE:STATICS5",
    "kafka-storage format -r 3.4 -S SCRAM-SHA-256=[name=a,password=b] -t CLUSTER -c FILE:STATICS7",
    "kafka-storage format -t not-a-uuid -c FILE:STATICu1",
    "kafka-storage format -t EMPTY -c FILE:STATICu2",
    "WORDS kafka-storage format -t CLUSTER -c FILE:process.roles=broker,controller\ncontroller.listener.names=C\nlisteners=C://:1,PLAINTEXT://:2\ncontroller.quorum.voters=1@localhost:1\nlog.dirs=FOLDER/c1",
    "WORDS kafka-storage format -t CLUSTER -c FILE:process.roles=x\nnode.id=1\nlog.dirs=FOLDER/c3",
    "kafka-storage format -t CLUSTER -c FILE:STATICc4\nmetadata.log.dir=FOLDER/c4m",
    "kafka-storage info -c FILE:STATICc4\nmetadata.log.dir=FOLDER/c4m",
    "kafka-storage info -c FILE:process.roles=broker,controller\nnode.id=2\ncontroller.listener.names=C\nlisteners=C://:1,PLAINTEXT://:2\ncontroller.quorum.voters=2@localhost:1\nlog.dirs=FOLDER/c4",
    "kafka-storage version-mapping",
    "kafka-storage version-mapping -r 4.0",
    "kafka-storage version-mapping -r 3.7-IV4",
    "kafka-storage version-mapping -r 9",
    "kafka-storage feature-dependencies",
    "kafka-storage feature-dependencies -f transaction.version=2 -f kraft.version=1",
    "kafka-storage feature-dependencies --feature eligible.leader.replicas.version=1",
    "kafka-storage feature-dependencies --feature group.version=9",
    "kafka-storage feature-dependencies --feature x=9",
    "kafka-storage feature-dependencies --feature x",
    "kafka-storage feature-dependencies --feature metadata.version=99",
    "kafka-storage feature-dependencies --feature metadata.version=25",
];

/// What lies in a folder and below: of each file its mode, and what of its content has to be the same.
fn files(folder: &Path, within: &Path, found: &mut BTreeMap<String, (u32, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(within).unwrap().to_str().unwrap().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            found.insert(name, (mode, String::new()));
            files(&path, within, found);
        } else if name.contains('/') {
            found.insert(name, (mode, content(&path)));
        }
    }
}

/// Properties without comments and without the directory's random id; of a snapshot, which has times in it, how long it is.
fn content(path: &Path) -> String {
    if path.extension().is_none_or(|extension| extension != "properties") {
        return format!("{} bytes", fs::metadata(path).unwrap().len());
    }
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| if line.starts_with("directory.id=") { "directory.id" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn storage_is_formatted_and_told_of_in_the_same_way() {
    let texts = |call: &&str| TEXTS.iter().fold((*call).to_owned(), |call, (name, text)| call.replace(name, text));
    let calls: Vec<String> = CALLS.iter().map(texts).collect();
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let wrong = Calls::new(&calls, "").compare_in([folders[0].path(), folders[1].path()]).unwrap();
    assert!(wrong.is_empty(), "{} of {} calls:\n{}", wrong.len(), CALLS.len(), wrong.join("\n"));
    let [theirs, ours] = folders.map(|folder| {
        let mut found = BTreeMap::new();
        files(folder.path(), folder.path(), &mut found);
        found
    });
    assert!(theirs.len() > 30, "{theirs:?}");
    assert_eq!(ours, theirs);
}
