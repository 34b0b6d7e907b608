//! Which clients a subscription of client metrics means: its `match` (KIP-714).

use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// The most memory of one compiled expression: enough for thousands of alternatives, and nothing that a client could
/// hurt the node with.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What a client can be told by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ClientAttribute {
    /// `client_instance_id`: the id that its telemetry bears.
    InstanceId,
    /// `client_id`
    ClientId,
    /// `client_software_name`
    SoftwareName,
    /// `client_software_version`
    SoftwareVersion,
    /// `client_source_address`
    SourceAddress,
    /// `client_source_port`
    SourcePort,
}

impl ClientAttribute {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "client_instance_id" => Self::InstanceId,
            "client_id" => Self::ClientId,
            "client_software_name" => Self::SoftwareName,
            "client_software_version" => Self::SoftwareVersion,
            "client_source_address" => Self::SourceAddress,
            "client_source_port" => Self::SourcePort,
            _ => return None,
        })
    }
}

/// One regular expression per attribute that counts. They match in linear time: look-around and references to groups,
/// which Apache Kafka would take, are refused.
#[derive(Clone, Debug, Default)]
pub struct ClientMatch {
    expressions: BTreeMap<ClientAttribute, Regex>,
}

impl ClientMatch {
    /// Reads the elements of a `match`, each `attribute=expression`.
    ///
    /// # Errors
    /// The first element that is none.
    pub fn parse(elements: &[String]) -> Result<Self, &str> {
        let parsed = elements.iter().map(|element| parse(element).ok_or(element.as_str()));
        Ok(Self { expressions: parsed.collect::<Result<_, _>>()? })
    }

    /// Whether every expression matches all of its attribute's value; an attribute that is not known matches none.
    pub fn matches<'a>(&self, value: impl Fn(ClientAttribute) -> Option<&'a str>) -> bool {
        self.expressions
            .iter()
            .all(|(attribute, expression)| value(*attribute).is_some_and(|value| expression.is_match(value)))
    }
}

fn parse(element: &str) -> Option<(ClientAttribute, Regex)> {
    // Kafka cuts at every equals sign, and does not see those at the end.
    let (name, expression) = element.trim_end_matches('=').split_once('=')?;
    if expression.contains('=') {
        return None;
    }
    let attribute = ClientAttribute::from_name(name.trim())?;
    let expression = expression.trim();
    let compile = |text: &str| RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build().ok();
    // Alone first: brackets that close what they did not open would else end the group around it.
    compile(expression)?;
    Some((attribute, compile(&format!("^(?:{expression})$"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(elements: &[&str]) -> Result<ClientMatch, String> {
        let elements: Vec<String> = elements.iter().map(|element| (*element).to_owned()).collect();
        ClientMatch::parse(&elements).map_err(str::to_owned)
    }

    fn value(attribute: ClientAttribute) -> Option<&'static str> {
        match attribute {
            ClientAttribute::SoftwareName => Some("apache-kafka-java"),
            ClientAttribute::SoftwareVersion => Some("4.4.0"),
            _ => None,
        }
    }

    #[test]
    fn a_client_is_meant_when_every_expression_matches_the_whole_of_its_attribute() {
        assert!(of(&[]).unwrap().matches(value));
        assert!(of(&["client_software_name=apache.*", " client_software_version = 4\\..*"]).unwrap().matches(value));
        assert!(!of(&["client_software_name=apache"]).unwrap().matches(value), "a part only");
        assert!(!of(&["client_software_name=apache.*", "client_software_version=3.*"]).unwrap().matches(value));
        assert!(!of(&["client_id=.*"]).unwrap().matches(value), "it has none");
    }

    #[test]
    fn an_element_is_an_attribute_and_an_expression_with_one_equals_sign_between() {
        for good in ["client_id=a", "client_id=a=", "client_source_port=9[0-9]+", "client_instance_id=x|y"] {
            assert!(of(&[good]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "client_id",
            "client_id=",
            "=a",
            "client_id=a=b",
            "client_id==b",
            "name=a",
            "client_id=(",
            "client_id=a)(b",
        ] {
            assert_eq!(of(&[bad]).unwrap_err(), bad);
        }
    }

    #[test]
    fn an_expression_that_would_take_much_memory_is_refused() {
        assert!(of(&["client_id=(a{1000}){1000}"]).is_err());
    }
}
