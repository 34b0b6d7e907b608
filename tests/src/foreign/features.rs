use super::crew::Crew;
use super::failure::{Done, Failure};
use super::jobs::{configs, group_admin, groups, offsets, records, static_member, topics, transactions};
use super::report::{Outcome, Report};
use std::fmt::Write as _;
use std::time::Instant;

/// Something that a client library can do, or lack: a job, and a column of the page.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// What adapters and the page call it.
    pub name: &'static str,
    work: fn(&mut Crew) -> Done,
}

/// All features, in the order in which they are done and shown.
pub const FEATURES: [Feature; 24] = [
    Feature { name: "topics", work: topics::life },
    Feature { name: "codec-none", work: |crew| records::codec(crew, "none") },
    Feature { name: "codec-gzip", work: |crew| records::codec(crew, "gzip") },
    Feature { name: "codec-snappy", work: |crew| records::codec(crew, "snappy") },
    Feature { name: "codec-lz4", work: |crew| records::codec(crew, "lz4") },
    Feature { name: "codec-zstd", work: |crew| records::codec(crew, "zstd") },
    Feature { name: "null-records", work: records::null_records },
    Feature { name: "repeated-headers", work: records::repeated_headers },
    Feature { name: "null-headers", work: records::null_headers },
    Feature { name: "timestamps", work: records::timestamps },
    Feature { name: "idempotent", work: records::idempotent },
    Feature { name: "offsets", work: offsets::by_time },
    Feature { name: "group-eager", work: |crew| groups::share(crew, "eager") },
    Feature { name: "group-cooperative", work: |crew| groups::share(crew, "cooperative") },
    Feature { name: "group-uniform", work: |crew| groups::share(crew, "uniform") },
    Feature { name: "group-range", work: |crew| groups::share(crew, "range") },
    Feature { name: "static-member", work: static_member::comes_back },
    Feature { name: "transactions", work: transactions::commit_and_abort },
    Feature { name: "fencing", work: transactions::fencing },
    Feature { name: "exactly-once", work: transactions::exactly_once },
    Feature { name: "group-admin", work: group_admin::look },
    Feature { name: "group-delete", work: group_admin::delete },
    Feature { name: "configs", work: configs::alter },
    Feature { name: "delete-records", work: offsets::delete_records },
];

/// The feature of this name.
pub fn feature(name: &str) -> Option<Feature> {
    FEATURES.into_iter().find(|feature| feature.name == name)
}

impl Feature {
    /// Does the job. After one that failed the crew's adapters are new ones, and the failure tells what the old ones said.
    ///
    /// # Errors
    /// The job is not done, or not well.
    pub fn work(&self, crew: &mut Crew) -> Result<(), Failure> {
        (self.work)(crew).map_err(|failure| {
            let failure = failure.with(&crew.last_words());
            crew.dismiss();
            failure
        })
    }
}

impl Crew {
    /// Does the jobs of these features, as far as the library does not lack them, and ends. `told` hears of each job when
    /// it is over.
    ///
    /// # Errors
    /// The adapter does not start, lacks what is no feature, or does not end well.
    pub fn work(mut self, features: &[Feature], mut told: impl FnMut(&str)) -> Result<Report, Failure> {
        let hello = self.hello()?;
        if let Some(unknown) = hello.lacks.keys().find(|name| feature(name).is_none()) {
            return Err(Failure::new(format!("{} lacks {unknown:?}, which is no feature", hello.client)));
        }
        let mut outcomes = Vec::new();
        for feature in features {
            if let Some(why) = hello.lacks.get(feature.name) {
                told(&format!("lacks {}: {why}", feature.name));
                outcomes.push((feature.name, Outcome::Lacking(why.clone())));
                continue;
            }
            let start = Instant::now();
            let result = feature.work(&mut self);
            let mut line = format!(
                "{:<6}{} {:.1} s",
                if result.is_ok() { "ok" } else { "FAIL" },
                feature.name,
                start.elapsed().as_secs_f64()
            );
            let outcome = match result {
                Ok(()) => Outcome::Done,
                Err(failure) => {
                    // Writing to a string does not fail.
                    let _ = write!(line, ": {failure}");
                    Outcome::Failed(failure)
                }
            };
            told(&line);
            outcomes.push((feature.name, outcome));
        }
        self.finish().map_err(|failure| failure.with(&self.last_words()))?;
        Ok(Report { client: hello.client, version: hello.version, outcomes })
    }
}
