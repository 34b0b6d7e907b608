//! Stands in for the file of this name among rskafka's tests, which starts a Java machine within the test and lets it fetch a
//! Java client. The tests that want it are not run; they only have to compile.

use rskafka::client::partition::Compression;
use rskafka::record::{Record, RecordAndOffset};

/// Lets the calling test go on: those that want Java are left out by their names, and others ask for it by mistake.
#[macro_export]
macro_rules! maybe_skip_java_interopt {
    () => {};
}

/// What a test says that wants Java all the same.
pub const NOT_RUN: &str = "there is no Java client inside the test";

pub async fn produce(_: &[String], _: Vec<(String, i32, Record)>, _: Compression) -> Vec<i64> {
    panic!("{NOT_RUN}")
}

pub async fn consume(_: &[String], _: &str, _: i32, _: usize) -> Vec<RecordAndOffset> {
    panic!("{NOT_RUN}")
}
