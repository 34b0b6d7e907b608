use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Crates of others that a pure crate may use: no input or output, no clock, no threads, no randomness.
const PURE_CRATES: [&str; 17] = [
    "bytes",
    "crc-fast",
    "flate2",
    "hmac",
    "indexmap",
    "lz4",
    "lz4_flex",
    "pbkdf2",
    "regex",
    "serde_json",
    "sha2",
    "smallvec",
    "snap",
    "thiserror",
    "twox-hash",
    "zstd",
    "uuid",
];

/// A crate of the workspace, as far as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct House {
    name: String,
    rank: u64,
    kind: String,
    /// Names of what it depends on to run or to build, and those of its tests apart.
    dependencies: Vec<String>,
    test_dependencies: Vec<String>,
}

/// Edges between crates that the plan does not allow.
pub(super) fn problems(workspace: &Path) -> Vec<String> {
    let metadata = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(workspace)
        .output();
    let metadata = match metadata {
        Ok(output) if output.status.success() => serde_json::from_slice::<Value>(&output.stdout),
        Ok(output) => return vec![format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr))],
        Err(error) => return vec![format!("cargo can't be run: {error}")],
    };
    match metadata {
        Ok(metadata) => check(&metadata),
        Err(error) => vec![format!("cargo metadata is not JSON: {error}")],
    }
}

fn check(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut houses = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        match house(package) {
            Ok(house) => {
                houses.insert(house.name.clone(), house);
            }
            Err(problem) => problems.push(problem),
        }
    }
    for house in houses.values() {
        problems.extend(house.dependencies.iter().filter_map(|name| edge(house, name, houses.get(name))));
        problems.extend(house.test_dependencies.iter().filter_map(|name| test_edge(house, houses.get(name))));
    }
    problems
}

fn house(package: &Value) -> Result<House, String> {
    let name = package["name"].as_str().unwrap_or_default().to_owned();
    let declared = &package["metadata"]["house"];
    let (Some(rank), Some(kind)) = (declared["rank"].as_u64(), declared["kind"].as_str()) else {
        return Err(format!("{name}: Cargo.toml has no [package.metadata.house] with rank and kind"));
    };
    if !["pure", "port", "io", "app", "main", "test", "build"].contains(&kind) {
        return Err(format!("{name}: {kind} is no kind of crate"));
    }
    let dependencies = |test: bool| {
        let all = package["dependencies"].as_array().into_iter().flatten();
        let wanted = all.filter(|dependency| (dependency["kind"].as_str() == Some("dev")) == test);
        wanted.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect()
    };
    let (dependencies, test_dependencies) = (dependencies(false), dependencies(true));
    Ok(House { name, rank, kind: kind.to_owned(), dependencies, test_dependencies })
}

/// What is wrong with `house` depending on `name`, which is `target` if it is of the workspace.
fn edge(house: &House, name: &str, target: Option<&House>) -> Option<String> {
    let from = format!("{} (rank {}, {})", house.name, house.rank, house.kind);
    let Some(target) = target else {
        let impure = house.kind == "pure" && !PURE_CRATES.contains(&name);
        return impure.then(|| format!("{from} must not depend on {name}, which is not on tidy's list of pure crates"));
    };
    let to = format!("{} (rank {}, {})", target.name, target.rank, target.kind);
    if target.rank >= house.rank {
        return Some(format!("{from} must not depend on {to}: only downwards"));
    }
    if house.kind == "pure" && !["pure", "build"].contains(&target.kind.as_str()) {
        return Some(format!("{from} must not depend on {to}: pure crates on pure ones only"));
    }
    if target.kind == "test" && house.kind != "test" {
        return Some(format!("{from} must not depend on {to} outside its tests"));
    }
    None
}

/// Tests may use lower crates, and crates that exist for tests.
fn test_edge(house: &House, target: Option<&House>) -> Option<String> {
    let target = target?;
    let allowed = target.rank < house.rank || target.kind == "test";
    // A simulator or an operating system behind a port has the port's users as its peers.
    let behind_a_port = target.kind == "io" && target.rank <= house.rank;
    (!allowed && !behind_a_port)
        .then(|| format!("the tests of {} must not depend on {}, which is above it", house.name, target.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, rank: u64, kind: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "metadata": { "house": { "rank": rank, "kind": kind } }, "dependencies": dependencies })
    }

    fn problems_of(packages: Vec<Value>) -> Vec<String> {
        check(&json!({ "packages": packages }))
    }

    #[test]
    fn downward_edges_are_fine() {
        let packages = vec![
            package("types", 0, "pure", &[("bytes", None)]),
            package("raft", 3, "pure", &[("types", None), ("sim", Some("dev"))]),
            package("log", 4, "io", &[("types", None), ("rustix", None)]),
            package("sim", 9, "test", &[("log", None)]),
        ];
        assert_eq!(problems_of(packages), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_is_refused() {
        let packages =
            vec![package("types", 0, "pure", &[("raft", None)]), package("raft", 3, "pure", &[("types", None)])];
        assert_eq!(
            problems_of(packages),
            ["types (rank 0, pure) must not depend on raft (rank 3, pure): only downwards"]
        );
    }

    #[test]
    fn a_pure_crate_with_an_impure_dependency_is_refused() {
        let packages =
            vec![package("env", 1, "port", &[]), package("raft", 3, "pure", &[("env", None), ("tokio", None)])];
        assert_eq!(problems_of(packages).len(), 2);
    }

    #[test]
    fn shipped_code_must_not_use_what_exists_for_tests() {
        let packages = vec![package("sim", 4, "test", &[]), package("broker", 6, "app", &[("sim", None)])];
        assert_eq!(problems_of(packages).len(), 1);
    }

    #[test]
    fn a_crate_without_rank_is_refused() {
        assert_eq!(problems_of(vec![json!({ "name": "x", "metadata": null, "dependencies": [] })]).len(), 1);
    }
}
