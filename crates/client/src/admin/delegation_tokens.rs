use super::Admin;
use crate::error::{Result, check};
use bytes::Bytes;
use ottla_protocol::messages::create_delegation_token_request::CreatableRenewers;
use ottla_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, DescribeDelegationTokenRequest, ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
};
use std::time::Duration;

/// Someone: `User` and `alice`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// Its type, `User`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A delegation token (KIP-48): a secret by which others act for its owner. Times are milliseconds since the epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// Its id, the user's name when it is used to authenticate.
    pub token_id: String,
    /// Its secret.
    pub hmac: Bytes,
    /// Whom it stands for.
    pub owner: Principal,
    /// Who asked for it.
    pub requester: Principal,
    /// Who may renew it, beside its owner.
    pub renewers: Vec<Principal>,
    /// When it was made.
    pub issued_ms: i64,
    /// When it ends unless it is renewed.
    pub expires_ms: i64,
    /// When it ends whatever is done.
    pub latest_ms: i64,
}

impl std::fmt::Debug for DelegationToken {
    /// Without the secret, which must not come into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegationToken")
            .field("token_id", &self.token_id)
            .field("owner", &self.owner)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Makes a delegation token for the owner, or for the one who asks with `None`. It lives at most `lifetime_max`, or as
    /// long as the server allows with `None`.
    ///
    /// # Errors
    /// No answer could be had, or the server refused: over a connection without authentication it does.
    pub async fn create_delegation_token(
        &self,
        owner: Option<&Principal>,
        renewers: &[Principal],
        lifetime_max: Option<Duration>,
    ) -> Result<DelegationToken> {
        let renewer = |principal: &Principal| CreatableRenewers {
            principal_type: principal.kind.clone(),
            principal_name: principal.name.clone(),
            ..Default::default()
        };
        let request = CreateDelegationTokenRequest {
            owner_principal_type: owner.map(|owner| owner.kind.clone()),
            owner_principal_name: owner.map(|owner| owner.name.clone()),
            renewers: renewers.iter().map(renewer).collect(),
            max_lifetime_ms: lifetime_max.map_or(-1, milliseconds),
            ..Default::default()
        };
        self.at_any(&request, |response| {
            check(response.error_code)?;
            Ok(DelegationToken {
                token_id: response.token_id,
                hmac: response.hmac,
                owner: Principal { kind: response.principal_type, name: response.principal_name },
                requester: Principal {
                    kind: response.token_requester_principal_type,
                    name: response.token_requester_principal_name,
                },
                renewers: renewers.to_vec(),
                issued_ms: response.issue_timestamp_ms,
                expires_ms: response.expiry_timestamp_ms,
                latest_ms: response.max_timestamp_ms,
            })
        })
        .await
    }

    /// The delegation tokens of these owners, or all that the one who asks may see with `None`.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn describe_delegation_tokens(&self, owners: Option<&[Principal]>) -> Result<Vec<DelegationToken>> {
        let owner = |principal: &Principal| DescribeDelegationTokenOwner {
            principal_type: principal.kind.clone(),
            principal_name: principal.name.clone(),
            ..Default::default()
        };
        let owners = owners.map(|owners| owners.iter().map(owner).collect());
        let request = DescribeDelegationTokenRequest { owners, ..Default::default() };
        self.at_any(&request, |response| {
            check(response.error_code)?;
            let token =
                |token: ottla_protocol::messages::describe_delegation_token_response::DescribedDelegationToken| {
                    let renewers = token.renewers.into_iter();
                    DelegationToken {
                        token_id: token.token_id,
                        hmac: token.hmac,
                        owner: Principal { kind: token.principal_type, name: token.principal_name },
                        requester: Principal {
                            kind: token.token_requester_principal_type,
                            name: token.token_requester_principal_name,
                        },
                        renewers: renewers
                            .map(|renewer| Principal { kind: renewer.principal_type, name: renewer.principal_name })
                            .collect(),
                        issued_ms: token.issue_timestamp,
                        expires_ms: token.expiry_timestamp,
                        latest_ms: token.max_timestamp,
                    }
                };
            Ok(response.tokens.into_iter().map(token).collect())
        })
        .await
    }

    /// Lets a token live on for this long, or for the server's default with `None`. Answers when it ends now, in
    /// milliseconds since the epoch.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn renew_delegation_token(&self, hmac: &Bytes, period: Option<Duration>) -> Result<i64> {
        let renew_period_ms = period.map_or(-1, milliseconds);
        let request = RenewDelegationTokenRequest { hmac: hmac.clone(), renew_period_ms, ..Default::default() };
        self.at_any(&request, |response| check(response.error_code).map(|()| response.expiry_timestamp_ms)).await
    }

    /// Lets a token end after this long, or at once with `None`. Answers when it ends, in milliseconds since the epoch.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn expire_delegation_token(&self, hmac: &Bytes, after: Option<Duration>) -> Result<i64> {
        let expiry_time_period_ms = after.map_or(-1, milliseconds);
        let request = ExpireDelegationTokenRequest { hmac: hmac.clone(), expiry_time_period_ms, ..Default::default() };
        self.at_any(&request, |response| check(response.error_code).map(|()| response.expiry_timestamp_ms)).await
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
