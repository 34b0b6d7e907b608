//! Events that a tool tells of, each a line of JSON.

use crate::console::Console;
use crate::java::now_ms;
use serde_json::Value;

/// An object whose members stay in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    /// Adds a member.
    pub(crate) fn with(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into().to_string();
        self.member(name, &value)
    }

    /// Adds a member that is a list of objects.
    pub(crate) fn with_list(self, name: &str, objects: impl IntoIterator<Item = Object>) -> Self {
        let objects: Vec<_> = objects.into_iter().map(Self::text).collect();
        self.member(name, &format!("[{}]", objects.join(",")))
    }

    fn member(mut self, name: &str, value: &str) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{comma}\"{name}\":{value}"));
        self
    }

    /// The object as JSON.
    pub(crate) fn text(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// An event of now.
pub(crate) fn event(name: &str) -> Object {
    Object::default().with("timestamp", now_ms()).with("name", name)
}

impl Console {
    /// Tells of an event at once.
    pub(crate) fn event(&mut self, event: Object) {
        self.line(&event.text());
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_in_their_order() {
        let inner = Object::default().with("topic", "a\"b").with("partition", 0);
        let object = Object::default().with("z", 1.5).with("a", Value::Null).with_list("list", [inner.clone(), inner]);
        let expected = r#"{"z":1.5,"a":null,"list":[{"topic":"a\"b","partition":0},{"topic":"a\"b","partition":0}]}"#;
        assert_eq!(object.text(), expected);
    }
}
