//! kafka-python's tests: pytest's, in the source of the package.

use crate::outcomes::{Known, Outcomes, on_both, test_program};
use libtest_mimic::Failed;
use ottla_tests::{Target, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Topics that are made by themselves have four partitions in kafka-python's tests, whose only node has the id 0.
const SETTINGS: [(&str, &str); 2] = [("num.partitions", "4"), ("node.id", "0")];

/// The newest release that kafka-python knows, which its tests expect it to find.
const RELEASE: &str = "4.3";

const SUITES: [&str; 3] = ["admin", "consumer", "producer"];

/// On either server the library's members lose an assignment when a poll ends amid a second join, so that the group of this
/// test stands still more often than not: what it shows is not of the server. Groups are in the suite `foreign_clients`.
const OWN_DEFECT: &str = "test/integration/test_consumer_integration.py::test_group";

/// Tests that fail on both servers, and why.
const KNOWN: Known<'_> =
    Known { failing: &[("test_create_describe_delete_acls", "no authorizer is configured")], passed_min: 50 };

/// What the package's source leaves out, as far as tests on a server that is there need it.
const SERVICE: &str = "
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass

    stop = close


class SpawnedService(ExternalService):
    pass
";

/// The unpacked source of the installed version.
fn source() -> PathBuf {
    let folder = workspace().join("target/venv/own-tests");
    let entries = fs::read_dir(&folder).expect("cargo xtask test clients installs the tests of kafka-python");
    let unpacked = entries.map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    unpacked.expect("cargo xtask test clients unpacks the tests of kafka-python")
}

/// Runs the tests in a copy of the source, and gives what became of each.
fn outcomes(target: &Target) -> Outcomes {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(source().join("test")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    fs::write(copy.path().join("test/__init__.py"), "").unwrap();
    fs::write(copy.path().join("test/service.py"), SERVICE).unwrap();
    let report = copy.path().join("report.xml");
    let mut pytest = Command::new(workspace().join("target/venv/bin/python"));
    pytest.args(["-m", "pytest", "--quiet", "--timeout=120", "--deselect", OWN_DEFECT, "--junitxml"]).arg(&report);
    pytest.args(SUITES.map(|name| format!("test/integration/test_{name}_integration.py")));
    pytest.env("KAFKA_URI", format!("kafka://{}", target.bootstrap())).env("KAFKA_VERSION", RELEASE);
    // The tests want the folder of a release to be there, though they start none.
    test_program("kafka-python", target, pytest.env("KAFKA_ROOT", copy.path()).current_dir(&copy));
    read(&report)
}

/// The names of tests and how they ended.
fn read(report: &Path) -> Outcomes {
    let report = fs::read_to_string(report).unwrap();
    let outcome = |case: &str| {
        let has = |element: &str| case.contains(element);
        if has("<failure") || has("<error") {
            "failed"
        } else if has("<skipped") {
            "skipped"
        } else {
            "passed"
        }
    };
    let name = |case: &str| case.split(" name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    report.split("<testcase ").skip(1).map(|case| (name(case), outcome(case).to_owned())).collect()
}

pub(crate) fn kafka_pythons_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    KNOWN.check(&on_both(&SETTINGS, outcomes))
}
