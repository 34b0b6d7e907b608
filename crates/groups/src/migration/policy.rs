/// Which way a group with members may change its protocol: `group.consumer.migration.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MigrationPolicy {
    /// Neither way; a consumer group with members takes no member of the classic protocol.
    Disabled,
    /// From consumer to classic.
    Downgrade,
    /// From classic to consumer.
    Upgrade,
    /// Both ways.
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    /// The one of a name, in letters of any case.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => Some(Self::Disabled),
            "downgrade" => Some(Self::Downgrade),
            "upgrade" => Some(Self::Upgrade),
            "bidirectional" => Some(Self::Bidirectional),
            _ => None,
        }
    }

    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}
