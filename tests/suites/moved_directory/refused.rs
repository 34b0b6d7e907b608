//! Directories that can't be served as the properties say: the refusal says what to do, and changes nothing.

use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Server, binary};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// All files below a folder with their lengths, in order. A lock is taken and left by whoever looks.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != ".lock") {
            found.push((path.clone(), fs::metadata(&path).unwrap().len()));
        }
    }
    found.sort();
    found
}

/// Starts Ottla with these properties instead of its own, and gives what it says when it refuses.
fn refusal(folder: &Path, overrides: &[&str]) -> String {
    let mut command = Command::new(binary().unwrap());
    command.arg(folder.join("server.properties")).stdin(Stdio::null());
    for setting in overrides {
        command.args(["--override", setting]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// A server with two directories, the first with the metadata, each with partitions; stopped.
fn stopped_server(folder: &Path) -> Server {
    let directories = format!("{0}/a,{0}/b", folder.display());
    let mut server = Server::start(&[("log.dirs", &directories)]).unwrap();
    let topics = json!([{ "name": "t", "numPartitions": 4, "replicationFactor": 1 }]);
    let body = json!({ "topics": topics, "timeoutMs": 30_000 });
    Asker::new(server.bootstrap()).ask(ApiKey::CreateTopics, 7, &body).unwrap();
    server.stop().unwrap();
    server
}

#[test]
fn what_cannot_be_served_is_refused_with_what_to_do_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().display();
    let mut server = stopped_server(folder.path());
    let before = files(folder.path());
    let swapped = format!("log.dirs={within}/b,{within}/a");
    let elsewhere = format!("metadata.log.dir={within}/new");
    let foreign = tempfile::tempdir().unwrap();
    let other = stopped_server(foreign.path());
    let of_others = format!("log.dirs={within}/a,{}/b", foreign.path().display());
    let cases: [(&[&str], &[&str]); 6] = [
        (&[&swapped], &["/b holds no metadata", "/a does", "name that in metadata.log.dir, or first in log.dirs"]),
        (&[&elsewhere], &["/new is empty", "holds partitions", "name its directory in metadata.log.dir"]),
        (&["node.id=7"], &["belongs to node", "node.id"]),
        (&[&of_others], &["belongs to the cluster", "log.dirs"]),
        (&["authorizer.class.name=a.B"], &["a.B", "remove the key if everybody"]),
        (&["remote.log.storage.system.enable=true"], &["tiered storage"]),
    ];
    for (overrides, words) in cases {
        let said = refusal(server.directory(), overrides);
        assert!(words.iter().all(|word| said.contains(word)), "{overrides:?}: {said}");
        assert_eq!(files(folder.path()), before, "{overrides:?}");
    }
    drop(other);
    server.launch().unwrap();
    let body = json!({ "topics": null, "allowAutoTopicCreation": false });
    let answer = Asker::new(server.bootstrap()).ask(ApiKey::Metadata, 12, &body).unwrap();
    assert_eq!(answer["topics"][0]["partitions"].as_array().map(Vec::len), Some(4), "{answer}");
}
