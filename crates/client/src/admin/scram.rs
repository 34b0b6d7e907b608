use super::{Admin, item};
use crate::error::{ClientError, Result};
use crate::random;
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::AlterUserScramCredentialsRequest;
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use sha2::{Sha256, Sha512};
use std::collections::BTreeMap;

/// A SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramMechanism {
    /// One that this release does not know.
    Unknown,
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// What is told of a user's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScramCredential {
    /// Its mechanism.
    pub mechanism: ScramMechanism,
    /// How many iterations went into it.
    pub iterations: i32,
}

/// A change of a user's credential.
#[derive(Clone)]
pub enum ScramAlteration {
    /// Sets it.
    Set {
        /// The mechanism.
        mechanism: ScramMechanism,
        /// From 4,096 to 16,384.
        iterations: i32,
        /// The password, which is not sent.
        password: String,
        /// Of some unpredictable bytes; an empty one is made up.
        salt: Bytes,
    },
    /// Deletes it.
    Delete {
        /// The mechanism.
        mechanism: ScramMechanism,
    },
}

impl ScramMechanism {
    fn code(self) -> i8 {
        match self {
            Self::Unknown => 0,
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// What is sent for a password (RFC 5802): it can't be turned back, but is as good as the password to the server.
    fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Bytes {
        match self {
            Self::Unknown => Bytes::new(),
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations).to_vec().into()
            }
            Self::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), salt, iterations).to_vec().into()
            }
        }
    }
}

impl Admin {
    /// Sets and deletes users' credentials. Each user has a result of its own: all changes of a user are made, or none.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn alter_scram_credentials(
        &self,
        alterations: &[(String, ScramAlteration)],
    ) -> Result<BTreeMap<String, Result<()>>> {
        let mut request = AlterUserScramCredentialsRequest::default();
        for (user, alteration) in alterations {
            let name = user.clone();
            match alteration {
                ScramAlteration::Set { mechanism, iterations, password, salt } => {
                    let salt = if salt.is_empty() { random_salt() } else { salt.clone() };
                    let rounds = u32::try_from(*iterations).unwrap_or_default().min(ITERATIONS_MAX);
                    request.upsertions.push(ScramCredentialUpsertion {
                        name,
                        mechanism: mechanism.code(),
                        iterations: *iterations,
                        salted_password: mechanism.salted(password, &salt, rounds.max(1)),
                        salt,
                        ..Default::default()
                    });
                }
                ScramAlteration::Delete { mechanism } => {
                    let mechanism = mechanism.code();
                    request.deletions.push(ScramCredentialDeletion { name, mechanism, ..Default::default() });
                }
            }
        }
        self.at_any(&request, |response| {
            let results = response.results.into_iter();
            Ok(results.map(|result| (result.user, item(result.error_code, result.error_message))).collect())
        })
        .await
    }

    /// The credentials of these users, or of all when the list is empty. A user without any is left out.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_scram_credentials(
        &self,
        users: &[String],
    ) -> Result<Vec<(String, Result<Vec<ScramCredential>>)>> {
        let user = |name: &String| UserName { name: name.clone(), ..Default::default() };
        let users = (!users.is_empty()).then(|| users.iter().map(user).collect());
        let request = DescribeUserScramCredentialsRequest { users, ..Default::default() };
        let results = self
            .at_any(&request, |response| match ClientError::of(response.error_code, response.error_message) {
                Some(error) => Err(error),
                None => Ok(response.results),
            })
            .await?;
        let mut described = Vec::with_capacity(results.len());
        for result in results {
            if result.error_code == ErrorCode::ResourceNotFound.code() {
                continue;
            }
            let credentials = item(result.error_code, result.error_message).map(|()| {
                let infos = result.credential_infos.into_iter();
                infos.map(|info| credential(info.mechanism, info.iterations)).collect()
            });
            described.push((result.user, credentials));
        }
        Ok(described)
    }
}

/// More are refused by the server; here they would only take time.
const ITERATIONS_MAX: u32 = 16_384;

/// Sixteen bytes that nobody foresees: the keys of a hasher come from the system's randomness.
fn random_salt() -> Bytes {
    [random::number().to_be_bytes(), random::number().to_be_bytes()].concat().into()
}

fn credential(mechanism: i8, iterations: i32) -> ScramCredential {
    let mechanism = match mechanism {
        1 => ScramMechanism::Sha256,
        2 => ScramMechanism::Sha512,
        _ => ScramMechanism::Unknown,
    };
    ScramCredential { mechanism, iterations }
}
