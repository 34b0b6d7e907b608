use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::{ApiKey, Request};
use std::collections::BTreeMap;

/// What a node told about itself when the connection was made (KIP-35, KIP-584).
#[derive(Clone, Debug, Default)]
pub struct NodeVersions {
    apis: BTreeMap<i16, (i16, i16)>,
    response: ApiVersionsResponse,
}

impl NodeVersions {
    pub(crate) fn new(response: ApiVersionsResponse) -> Self {
        let apis = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Self { apis, response }
    }

    /// The range of versions that the node knows of each API, by the API's code.
    pub fn apis(&self) -> &BTreeMap<i16, (i16, i16)> {
        &self.apis
    }

    /// The whole answer, with the features.
    pub fn response(&self) -> &ApiVersionsResponse {
        &self.response
    }

    /// The greatest version that both sides know; `None` when there is none.
    pub fn common(&self, api: ApiKey) -> Option<i16> {
        let (node_min, node_max) = *self.apis.get(&api.code())?;
        let own = api.versions();
        let version = node_max.min(own.max);
        (version >= node_min && version >= own.min).then_some(version)
    }

    /// The version in which a request of this type is sent to the node.
    pub(crate) fn version_of<R: Request>(&self) -> Option<i16> {
        self.common(R::API_KEY)
    }
}
