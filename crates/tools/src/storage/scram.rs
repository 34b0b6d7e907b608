use crate::subcommands::Failure;
use ottla_controller::ScramMechanism;
use ottla_env::Random;
use ottla_env_os::OsRandom;
use ottla_protocol::json::bytes_of;
use ottla_protocol::metadata_records::UserScramCredentialRecord;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// How often a password may be hashed.
const ITERATIONS: RangeInclusive<i32> = 4_096..=16_384;

/// How many bytes a salt has that is made here.
const SALT_BYTES: usize = 32;

/// A credential of `--add-scram`: `SCRAM-SHA-256=[name=alice,password=secret]`, with `salt`, `iterations` and `saltedpassword`
/// where they are to be given.
pub(super) fn credential(argument: &str) -> Result<UserScramCredentialRecord, Failure> {
    let refused = |sentence: String| Failure(sentence);
    let argument = argument.trim();
    let (name, parts) = argument
        .split_once('=')
        .ok_or_else(|| refused(format!("Failed to find equals sign in SCRAM argument '{argument}'")))?;
    let mechanism = match name {
        "SCRAM-SHA-256" => ScramMechanism::Sha256,
        "SCRAM-SHA-512" => ScramMechanism::Sha512,
        _ => return Err(refused(format!("The add-scram mechanism {name} is not supported."))),
    };
    let parts = parts
        .strip_prefix('[')
        .ok_or_else(|| refused("Expected configuration string to start with [".to_owned()))?
        .strip_suffix(']')
        .ok_or_else(|| refused("Expected configuration string to end with ]".to_owned()))?;
    made(mechanism, components(parts)?)
}

fn components(parts: &str) -> Result<BTreeMap<&str, &str>, Failure> {
    let component = |part| match str::split_once(part, '=') {
        Some((name, value)) => {
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Ok((name, unquoted.unwrap_or(value)))
        }
        None => Err(Failure(format!("No equals sign found in SCRAM component: {part}"))),
    };
    parts.split(',').map(component).collect()
}

fn made(mechanism: ScramMechanism, mut components: BTreeMap<&str, &str>) -> Result<UserScramCredentialRecord, Failure> {
    let refused = |sentence: String| Failure(sentence);
    let name = components.remove("name").ok_or_else(|| refused("You must supply 'name' to add-scram".to_owned()))?;
    let salt = components
        .remove("salt")
        .map(|text| bytes_of(text).ok_or_else(|| refused(format!("Failed to decode given salt: {text}"))));
    let salt = salt.transpose()?;
    let iterations = components
        .remove("iterations")
        .map(|text| text.parse::<i32>().map_err(|_| refused(format!("Failed to parse iterations count: {text}"))));
    let iterations = iterations.transpose()?.unwrap_or(*ITERATIONS.start());
    let (password, salted) = (components.remove("password"), components.remove("saltedpassword"));
    let salted = match (password, salted, &salt) {
        (Some(_), ..) => None,
        (None, None, _) => {
            return Err(refused("You must supply one of 'password' or 'saltedpassword' to add-scram".to_owned()));
        }
        (None, Some(_), None) => {
            return Err(refused("You must supply 'salt' with 'saltedpassword' to add-scram".to_owned()));
        }
        (None, Some(text), Some(_)) => {
            Some(bytes_of(text).ok_or_else(|| refused(format!("Failed to decode given saltedPassword: {text}")))?)
        }
    };
    if !components.is_empty() {
        let unknown = components.into_keys().collect::<Vec<_>>().join(", ");
        return Err(refused(format!("Unknown SCRAM configurations: {unknown}")));
    }
    if !ITERATIONS.contains(&iterations) {
        let (sign, bound) =
            if iterations < *ITERATIONS.start() { (">=", ITERATIONS.start()) } else { ("<=", ITERATIONS.end()) };
        let name = if mechanism == ScramMechanism::Sha256 { "SCRAM_SHA_256" } else { "SCRAM_SHA_512" };
        return Err(refused(format!("The 'iterations' value must be {sign} {bound} for add-scram using {name}")));
    }
    let salt = salt.unwrap_or_else(|| {
        let mut bytes = vec![0; SALT_BYTES];
        OsRandom.fill(&mut bytes);
        bytes
    });
    let hash = |password: &str| mechanism.salted_password(password.as_bytes(), &salt, iterations.unsigned_abs());
    let salted = salted.unwrap_or_else(|| hash(password.unwrap_or_default()));
    let keys = mechanism.keys(&salted).ok_or_else(|| refused("The password is empty".to_owned()))?;
    Ok(UserScramCredentialRecord {
        name: name.to_owned(),
        mechanism: mechanism.code(),
        salt: salt.into(),
        stored_key: keys.stored.into(),
        server_key: keys.server.into(),
        iterations,
        ..Default::default()
    })
}

/// The record as Kafka's Java object shows itself.
pub(super) fn shown(record: &UserScramCredentialRecord) -> String {
    let bytes = |bytes: &[u8]| {
        let numbers: Vec<_> = bytes.iter().map(|byte| byte.cast_signed().to_string()).collect();
        format!("[{}]", numbers.join(", "))
    };
    format!(
        "UserScramCredentialRecord(name='{}', mechanism={}, salt={}, storedKey={}, serverKey={}, iterations={})",
        record.name,
        record.mechanism,
        bytes(&record.salt),
        bytes(&record.stored_key),
        bytes(&record.server_key),
        record.iterations
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_that_kafka_makes_of_the_same_password() {
        let argument = "SCRAM-SHA-256=[name=alice,password=alice-secret,salt=\"MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3M=\",iterations=8192]";
        let record = credential(argument).unwrap();
        assert_eq!((record.name.as_str(), record.mechanism, record.iterations), ("alice", 1, 8_192));
        // As kafka-storage of the pinned release printed them.
        let shown = shown(&record);
        assert!(shown.contains("storedKey=[-35, -85, 89, 71, -65, -30, 100, 120,"), "{shown}");
        assert!(shown.contains("serverKey=[42, 80, -126, 52, -21, 33, 33, 1,"), "{shown}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let error = |argument: &str| credential(argument).unwrap_err().0;
        assert_eq!(error("x"), "Failed to find equals sign in SCRAM argument 'x'");
        assert_eq!(error("MD5=[]"), "The add-scram mechanism MD5 is not supported.");
        assert_eq!(error("SCRAM-SHA-256=x"), "Expected configuration string to start with [");
        assert_eq!(error("SCRAM-SHA-256=[password=x]"), "You must supply 'name' to add-scram");
        assert_eq!(error("SCRAM-SHA-256=[name=a,x=y,password=b]"), "Unknown SCRAM configurations: x");
        let few = error("SCRAM-SHA-512=[name=a,password=b,iterations=1]");
        assert_eq!(few, "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_512");
    }
}
