use super::{Admin, item};
use crate::error::{ClientError, Result};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};

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

impl Admin {
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

fn credential(mechanism: i8, iterations: i32) -> ScramCredential {
    let mechanism = match mechanism {
        1 => ScramMechanism::Sha256,
        2 => ScramMechanism::Sha512,
        _ => ScramMechanism::Unknown,
    };
    ScramCredential { mechanism, iterations }
}
