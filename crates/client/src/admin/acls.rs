use super::{Admin, item};
use crate::error::{ClientError, Result};
use ottla_protocol::messages::create_acls_request::AclCreation;
use ottla_protocol::messages::delete_acls_request::DeleteAclsFilter;
use ottla_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

/// Gives an enumeration of the protocol its codes and names.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// One that this release does not know.
            Unknown,
        }

        impl $name {
            /// Kafka's name of it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "UNKNOWN",
                }
            }

            fn code(self) -> i8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown => 0,
                }
            }

            fn of_code(code: i8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

coded! {
    /// What an access control entry is about.
    AclResourceType {
        /// In a filter: any.
        Any = 1, "ANY";
        /// A topic.
        Topic = 2, "TOPIC";
        /// A group.
        Group = 3, "GROUP";
        /// The cluster, whose name is `kafka-cluster`.
        Cluster = 4, "CLUSTER";
        /// A transactional id.
        TransactionalId = 5, "TRANSACTIONAL_ID";
        /// A delegation token.
        DelegationToken = 6, "DELEGATION_TOKEN";
        /// A user.
        User = 7, "USER";
    }
}

coded! {
    /// How the name of an access control entry names resources.
    AclPatternType {
        /// In a filter: any.
        Any = 1, "ANY";
        /// In a filter: every entry that is about the resource of that name.
        Match = 2, "MATCH";
        /// The resource of that name; `*` names all.
        Literal = 3, "LITERAL";
        /// All resources whose names begin with it.
        Prefixed = 4, "PREFIXED";
    }
}

coded! {
    /// What an access control entry allows or denies.
    AclOperation {
        /// In a filter: any.
        Any = 1, "ANY";
        /// Everything.
        All = 2, "ALL";
        /// To read.
        Read = 3, "READ";
        /// To write.
        Write = 4, "WRITE";
        /// To create.
        Create = 5, "CREATE";
        /// To delete.
        Delete = 6, "DELETE";
        /// To alter.
        Alter = 7, "ALTER";
        /// To describe.
        Describe = 8, "DESCRIBE";
        /// What brokers do among themselves.
        ClusterAction = 9, "CLUSTER_ACTION";
        /// To describe configurations.
        DescribeConfigs = 10, "DESCRIBE_CONFIGS";
        /// To alter configurations.
        AlterConfigs = 11, "ALTER_CONFIGS";
        /// To produce idempotently.
        IdempotentWrite = 12, "IDEMPOTENT_WRITE";
        /// To create delegation tokens for others.
        CreateTokens = 13, "CREATE_TOKENS";
        /// To describe delegation tokens of others.
        DescribeTokens = 14, "DESCRIBE_TOKENS";
        /// To take part in two-phase commits.
        TwoPhaseCommit = 15, "TWO_PHASE_COMMIT";
    }
}

coded! {
    /// Whether an access control entry allows or denies.
    AclPermission {
        /// In a filter: any.
        Any = 1, "ANY";
        /// It denies.
        Deny = 2, "DENY";
        /// It allows.
        Allow = 3, "ALLOW";
    }
}

/// An access control entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclEntry {
    /// What it is about.
    pub resource_type: AclResourceType,
    /// The name, or the beginning of names.
    pub resource_name: String,
    /// How the name is meant.
    pub pattern_type: AclPatternType,
    /// Whom it is for: `User:alice`.
    pub principal: String,
    /// From where; `*` is everywhere.
    pub host: String,
    /// What it allows or denies.
    pub operation: AclOperation,
    /// Whether it allows or denies.
    pub permission: AclPermission,
}

/// Which access control entries are meant; `None` and `Any` leave a field out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    /// What they are about.
    pub resource_type: AclResourceType,
    /// Their name.
    pub resource_name: Option<String>,
    /// How the name is meant.
    pub pattern_type: AclPatternType,
    /// Whom they are for.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// What they allow or deny.
    pub operation: AclOperation,
    /// Whether they allow or deny.
    pub permission: AclPermission,
}

impl AclFilter {
    /// All entries.
    pub const ALL: Self = Self {
        resource_type: AclResourceType::Any,
        resource_name: None,
        pattern_type: AclPatternType::Any,
        principal: None,
        host: None,
        operation: AclOperation::Any,
        permission: AclPermission::Any,
    };
}

impl Admin {
    /// The access control entries that match.
    ///
    /// # Errors
    /// No answer could be had; `SECURITY_DISABLED` when the cluster has no authorizer.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<AclEntry>> {
        let request = DescribeAclsRequest {
            resource_type_filter: filter.resource_type.code(),
            resource_name_filter: filter.resource_name.clone(),
            pattern_type_filter: filter.pattern_type.code(),
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation.code(),
            permission_type: filter.permission.code(),
            ..Default::default()
        };
        self.at_any(&request, |response| {
            item(response.error_code, response.error_message)?;
            let mut entries = Vec::new();
            for resource in response.resources {
                entries.extend(resource.acls.into_iter().map(|acl| AclEntry {
                    resource_type: AclResourceType::of_code(resource.resource_type),
                    resource_name: resource.resource_name.clone(),
                    pattern_type: AclPatternType::of_code(resource.pattern_type),
                    principal: acl.principal,
                    host: acl.host,
                    operation: AclOperation::of_code(acl.operation),
                    permission: AclPermission::of_code(acl.permission_type),
                }));
            }
            Ok(entries)
        })
        .await
    }

    /// Adds access control entries. Each has a result of its own, in their order.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn create_acls(&self, entries: &[AclEntry]) -> Result<Vec<Result<()>>> {
        let creation = |entry: &AclEntry| AclCreation {
            resource_type: entry.resource_type.code(),
            resource_name: entry.resource_name.clone(),
            resource_pattern_type: entry.pattern_type.code(),
            principal: entry.principal.clone(),
            host: entry.host.clone(),
            operation: entry.operation.code(),
            permission_type: entry.permission.code(),
            ..Default::default()
        };
        let request = CreateAclsRequest { creations: entries.iter().map(creation).collect(), ..Default::default() };
        self.at_any(&request, |response| {
            let results = response.results.into_iter();
            every(entries.len(), results.map(|result| item(result.error_code, result.error_message)).collect())
        })
        .await
    }

    /// Deletes the access control entries that match. Each filter has a result of its own, in their order: the entries it
    /// matched, each with whether it was deleted.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn delete_acls(&self, filters: &[AclFilter]) -> Result<Vec<Result<Vec<(AclEntry, Result<()>)>>>> {
        let wanted = |filter: &AclFilter| DeleteAclsFilter {
            resource_type_filter: filter.resource_type.code(),
            resource_name_filter: filter.resource_name.clone(),
            pattern_type_filter: filter.pattern_type.code(),
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation.code(),
            permission_type: filter.permission.code(),
            ..Default::default()
        };
        let request = DeleteAclsRequest { filters: filters.iter().map(wanted).collect(), ..Default::default() };
        self.at_any(&request, |response| {
            let results = response.filter_results.into_iter().map(|result| {
                item(result.error_code, result.error_message)?;
                let deleted = result.matching_acls.into_iter().map(|acl| {
                    let entry = AclEntry {
                        resource_type: AclResourceType::of_code(acl.resource_type),
                        resource_name: acl.resource_name,
                        pattern_type: AclPatternType::of_code(acl.pattern_type),
                        principal: acl.principal,
                        host: acl.host,
                        operation: AclOperation::of_code(acl.operation),
                        permission: AclPermission::of_code(acl.permission_type),
                    };
                    (entry, item(acl.error_code, acl.error_message))
                });
                Ok(deleted.collect())
            });
            every(filters.len(), results.collect())
        })
        .await
    }
}

/// The results, when there is one for each thing asked.
fn every<T>(asked: usize, results: Vec<T>) -> Result<Vec<T>> {
    if results.len() == asked { Ok(results) } else { Err(ClientError::State("not every entry was answered")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_to_their_names_and_back() {
        for code in 1..=15 {
            assert_eq!(AclOperation::of_code(code).code(), code);
        }
        assert_eq!(AclOperation::of_code(15).name(), "TWO_PHASE_COMMIT");
        assert_eq!(AclOperation::of_code(99), AclOperation::Unknown);
        assert_eq!(AclResourceType::of_code(5).name(), "TRANSACTIONAL_ID");
        assert_eq!(AclPatternType::Prefixed.code(), 4);
        assert_eq!(AclPermission::Allow.code(), 3);
    }

    #[test]
    fn an_answer_for_fewer_things_than_were_asked_is_an_error() {
        assert!(every(2, vec![()]).is_err());
        assert!(every(1, vec![()]).is_ok());
    }
}
