//! SCRAM credentials (RFC 5802, KIP-554): what a server keeps of a password.

use crate::{ApiError, Controller, Outcome};
use hmac::{Hmac, KeyInit, Mac};
use ottla_metadata::{MetadataVersionExt, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use ottla_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use ottla_protocol::metadata_records::{MetadataRecord, RemoveUserScramCredentialRecord, UserScramCredentialRecord};
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeMap;

/// How often a password may be hashed: fewer is too weak, more is a way to keep a server busy.
const ITERATIONS: core::ops::RangeInclusive<i32> = 4096..=16384;

/// A mechanism, by the hash that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramMechanism {
    /// `SCRAM-SHA-256`
    Sha256,
    /// `SCRAM-SHA-512`
    Sha512,
}

impl ScramMechanism {
    /// The mechanism of a number in requests and records.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The number in requests and records.
    pub fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The salted password: the password hashed so many times. Costs as much time as it is meant to.
    pub fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }
    }

    fn keyed(self, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .ok()
                .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec()),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .ok()
                .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec()),
        }
    }

    fn hash(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    /// What a server keeps: neither the password nor anything that could be used in its place. `None` without a password.
    pub fn keys(self, salted_password: &[u8]) -> Option<ScramKeys> {
        if salted_password.is_empty() {
            return None;
        }
        let client_key = self.keyed(salted_password, b"Client Key")?;
        Some(ScramKeys { stored: self.hash(&client_key), server: self.keyed(salted_password, b"Server Key")? })
    }
}

/// The two keys by which a server and a client prove to each other that they know the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// The hash of the client's key.
    pub stored: Vec<u8>,
    /// The server's key.
    pub server: Vec<u8>,
}

impl Controller {
    /// AlterUserScramCredentials: each user for itself. A user may be named once only.
    pub fn alter_user_scram_credentials(
        &mut self,
        request: &AlterUserScramCredentialsRequest,
    ) -> Outcome<AlterUserScramCredentialsResponse> {
        let mut users: BTreeMap<&str, Result<VersionedRecord, ApiError>> = BTreeMap::new();
        for deletion in &request.deletions {
            let decided = |controller: &Self| controller.delete_credential(deletion);
            self.once_per_user(&mut users, &deletion.name, decided);
        }
        for upsertion in &request.upsertions {
            let decided = |_: &Self| upsert_credential(upsertion);
            self.once_per_user(&mut users, &upsertion.name, decided);
        }
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(users.len());
        for (user, decided) in users {
            let (error_code, error_message) = ApiError::parts(decided.map(|record| records.push(record)));
            let user = user.to_owned();
            results.push(AlterUserScramCredentialsResult { user, error_code, error_message, ..Default::default() });
        }
        Outcome::in_batches(records, AlterUserScramCredentialsResponse { results, ..Default::default() })
    }

    fn once_per_user<'a>(
        &self,
        users: &mut BTreeMap<&'a str, Result<VersionedRecord, ApiError>>,
        user: &'a str,
        decide: impl FnOnce(&Self) -> Result<VersionedRecord, ApiError>,
    ) {
        let decided = match users.get(user) {
            None if !self.metadata_version().has_scram() => {
                let message = "The current metadata.version does not support SCRAM";
                Err(ApiError::new(ErrorCode::UnsupportedVersion, message))
            }
            None => decide(self),
            Some(Ok(_)) => {
                let message = "A user credential cannot be altered twice in the same request";
                Err(ApiError::new(ErrorCode::DuplicateResource, message))
            }
            Some(Err(_)) => return,
        };
        users.insert(user, decided);
    }

    fn delete_credential(&self, deletion: &ScramCredentialDeletion) -> Result<VersionedRecord, ApiError> {
        let mechanism = mechanism(&deletion.name, deletion.mechanism)?;
        let name = deletion.name.clone();
        if !self.image.scram.credentials.contains_key(&(mechanism.code(), name.clone())) {
            let message = "Attempt to delete a user credential that does not exist";
            return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
        }
        let record = RemoveUserScramCredentialRecord { name, mechanism: mechanism.code(), ..Default::default() };
        Ok(MetadataRecord::RemoveUserScramCredential(record).into())
    }
}

fn mechanism(user: &str, code: i8) -> Result<ScramMechanism, ApiError> {
    if user.is_empty() {
        return Err(ApiError::new(ErrorCode::UnacceptableCredential, "Username must not be empty"));
    }
    ScramMechanism::from_code(code)
        .ok_or_else(|| ApiError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"))
}

fn upsert_credential(upsertion: &ScramCredentialUpsertion) -> Result<VersionedRecord, ApiError> {
    let mechanism = mechanism(&upsertion.name, upsertion.mechanism)?;
    if !ITERATIONS.contains(&upsertion.iterations) {
        let few = upsertion.iterations < *ITERATIONS.start();
        let message = if few { "Too few iterations" } else { "Too many iterations" };
        return Err(ApiError::new(ErrorCode::UnacceptableCredential, message));
    }
    // Kafka's own answer to a password of no bytes: an error without a name or a sentence.
    let keys =
        mechanism.keys(&upsertion.salted_password).ok_or_else(|| ApiError::bare(ErrorCode::UnknownServerError))?;
    let record = UserScramCredentialRecord {
        name: upsertion.name.clone(),
        mechanism: mechanism.code(),
        salt: upsertion.salt.clone(),
        stored_key: keys.stored.into(),
        server_key: keys.server.into(),
        iterations: upsertion.iterations,
        ..Default::default()
    };
    Ok(MetadataRecord::UserScramCredential(record).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The example of RFC 7677: user "user", password "pencil".
    #[test]
    fn the_keys_are_those_of_the_standards_example() {
        let salt = [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        let salted = ScramMechanism::Sha256.salted_password(b"pencil", &salt, 4096);
        assert_eq!(hex(&salted), "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
        let keys = ScramMechanism::Sha256.keys(&salted).unwrap();
        // The server's proof in the standard: the keyed hash of the conversation with the server's key.
        let conversation = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = ScramMechanism::Sha256.keyed(&keys.server, conversation.as_bytes()).unwrap();
        assert_eq!(hex(&proof), "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
    }
}
