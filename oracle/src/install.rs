use crate::{KAFKA_VERSION, Oracle, OracleError, run};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A cold Maven cache over a slow line took under two minutes; twice that and more is allowed.
const MAVEN_LIMIT: Duration = Duration::from_secs(600);

impl Oracle {
    /// The oracle, installed: Maven brings the jars the first time, later calls find them.
    ///
    /// # Errors
    /// Maven or the registry does not serve.
    pub fn install() -> Result<Self, OracleError> {
        let oracle = Self::at_home();
        let complete = oracle.jars().join(".complete");
        if complete.exists() {
            return Ok(oracle);
        }
        let _lock = oracle.lock("install")?;
        if complete.exists() {
            return Ok(oracle);
        }
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f"]).arg(Self::workspace().join("oracle/pom.xml"));
        maven.arg(format!("-Dkafka.version={KAFKA_VERSION}"));
        maven.arg("dependency:copy-dependencies");
        maven.arg(format!("-DoutputDirectory={}", oracle.jars().display()));
        let fetched = run(&mut maven, MAVEN_LIMIT)?;
        if fetched.code != Some(0) {
            let output = format!("{}{}", fetched.stdout, fetched.stderr);
            return Err(OracleError::Argument(format!(
                "Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{output}"
            )));
        }
        fs::write(&complete, "").map_err(OracleError::file("write", &complete))?;
        Ok(oracle)
    }
}
