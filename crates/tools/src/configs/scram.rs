use super::ConfigError;
use super::options::{Change, ConfigOptions};
use bytes::Bytes;
use ottla_client::{Admin, ClientError, ScramAlteration, ScramMechanism};

/// How often a password is hashed: not less than this, and so often when nothing is said.
const ITERATIONS_MIN: i32 = 4_096;

/// The mechanism of that name.
pub(super) fn mechanism(name: &str) -> Option<ScramMechanism> {
    [ScramMechanism::Sha256, ScramMechanism::Sha512].into_iter().find(|mechanism| mechanism.name() == name)
}

/// Changes a user's credentials; passwords do not leave this process.
pub(super) async fn alter(admin: &Admin, options: &ConfigOptions, change: &Change) -> Result<(), ConfigError> {
    let refused = |sentence: &str| Err(ConfigError::Argument(sentence.to_owned()));
    if change.set.keys().chain(&change.delete).any(|key| mechanism(key).is_none()) {
        return refused(
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.",
        );
    }
    let user = options.names.first().map(String::as_str).unwrap_or_default();
    if user.is_empty() {
        return refused(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using \
             --bootstrap-server.",
        );
    }
    let mut alterations = Vec::new();
    for (name, value) in &change.set {
        let Some(mechanism) = mechanism(name) else { continue };
        let (iterations, password) = credential(name, value).map_err(ConfigError::Argument)?;
        let password = password.to_owned();
        alterations.push(ScramAlteration::Set { mechanism, iterations, password, salt: Bytes::new() });
    }
    let deleted = change.delete.iter().filter_map(|name| mechanism(name));
    alterations.extend(deleted.map(|mechanism| ScramAlteration::Delete { mechanism }));
    let alterations: Vec<_> = alterations.into_iter().map(|alteration| (user.to_owned(), alteration)).collect();
    let altered = admin.alter_scram_credentials(&alterations).await?;
    Ok(altered.into_values().collect::<Result<(), ClientError>>()?)
}

/// How often to hash which password: `iterations=8192,password=secret`, the former may be left out.
fn credential<'a>(name: &str, value: &'a str) -> Result<(i32, &'a str), String> {
    let wrong = || format!("Invalid credential property {}={value}", name.replace('-', "_"));
    let (iterations, rest) = match value.strip_prefix("iterations=") {
        Some(rest) => {
            let (number, rest) = rest.split_once(',').ok_or_else(wrong)?;
            (number.parse().map_err(|_| wrong())?, rest)
        }
        None => (ITERATIONS_MIN, value),
    };
    let password = rest.strip_prefix("password=").ok_or_else(wrong)?;
    if iterations < ITERATIONS_MIN {
        return Err(format!("Iterations {iterations} is less than the minimum {ITERATIONS_MIN} required for {name}"));
    }
    Ok((iterations, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_anything_in_it_and_is_hashed_often_enough() {
        assert_eq!(credential("SCRAM-SHA-256", "password=a,b=c").unwrap(), (4_096, "a,b=c"));
        assert_eq!(credential("SCRAM-SHA-256", "iterations=8192,password=x").unwrap(), (8_192, "x"));
        let few = credential("SCRAM-SHA-256", "iterations=1,password=x").unwrap_err();
        assert_eq!(few, "Iterations 1 is less than the minimum 4096 required for SCRAM-SHA-256");
        assert_eq!(credential("SCRAM-SHA-512", "x").unwrap_err(), "Invalid credential property SCRAM_SHA_512=x");
    }
}
