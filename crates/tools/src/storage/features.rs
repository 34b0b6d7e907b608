use crate::argparse::Values;
use crate::console::Console;
use crate::subcommands::Failure;
use ottla_metadata::{Feature, MetadataVersionExt, level_of_release, releases};
use ottla_types::MetadataVersion;

/// The features in the order in which Kafka's tool lists them.
const LISTED: [Feature; 6] = [
    Feature::KraftVersion,
    Feature::TransactionVersion,
    Feature::GroupVersion,
    Feature::EligibleLeaderReplicasVersion,
    Feature::ShareVersion,
    Feature::StreamsVersion,
];

/// The first level whose release has dynamic quorums: 3.9-IV0.
const DYNAMIC_QUORUMS: MetadataVersion = MetadataVersion(21);

/// The name of a level.
pub(crate) fn release_of(level: MetadataVersion) -> &'static str {
    releases().find(|(other, _)| *other == level).map_or("unknown", |(_, name)| name)
}

/// The level of a release, or the sentence that lists those up to `newest`.
pub(crate) fn level_of(release: &str, newest: MetadataVersion) -> Result<MetadataVersion, Failure> {
    level_of_release(release).filter(|level| *level <= newest).ok_or_else(|| {
        let known: Vec<_> = releases().filter(|(level, _)| *level <= newest).map(|(_, name)| name).collect();
        Failure(format!("Unknown metadata.version '{release}'. Supported metadata.version are: {}", known.join(", ")))
    })
}

/// The newest level there is, stable or not.
pub(crate) fn newest() -> MetadataVersion {
    releases().last().map_or(MetadataVersion::LATEST, |(level, _)| level)
}

/// The levels that belong to a release, in the order in which Kafka's tools list the features.
pub(crate) fn levels_at(level: MetadataVersion) -> impl Iterator<Item = (Feature, i16)> {
    LISTED.into_iter().map(move |feature| match feature {
        // A new cluster has it only where the voters are told to be dynamic.
        Feature::KraftVersion => (feature, i16::from(level >= DYNAMIC_QUORUMS)),
        feature => (feature, feature.default_level(level)),
    })
}

/// `version-mapping`.
pub(crate) fn mapping(values: &Values, console: &mut Console) -> Result<(), Failure> {
    let release = values.one("release-version").unwrap_or(release_of(MetadataVersion::LATEST));
    let level = level_of(release, newest())?;
    console.line(&format!("metadata.version={level} ({release})"));
    for (feature, level) in levels_at(level) {
        console.line(&format!("{}={level}", feature.name()));
    }
    Ok(())
}

/// `feature-dependencies`.
pub(super) fn dependencies(values: &Values, console: &mut Console) -> Result<(), Failure> {
    for argument in values.all("feature") {
        show_dependencies(argument, console)?;
    }
    Ok(())
}

fn show_dependencies(argument: &str, console: &mut Console) -> Result<(), Failure> {
    let (name, text) = argument.split_once('=').ok_or_else(|| {
        let expected = "Expected format: 'feature=version' (e.g. 'group.version=1')";
        Failure(format!("Invalid feature format: {argument}. {expected}"))
    })?;
    let invalid = || Failure(format!("Invalid version format: {text} for feature {name}"));
    let level: i16 = text.parse().map_err(|_| invalid())?;
    show_needed(name, level, &|| format!("Feature level {level} is not supported for feature {name}"), console)
}

/// Tells what a feature's level needs; `unsupported` says that there is no such level.
pub(crate) fn show_needed(
    name: &str,
    level: i16,
    unsupported: &dyn Fn() -> String,
    console: &mut Console,
) -> Result<(), Failure> {
    if name == Feature::MetadataVersion.name() {
        let release = releases().find(|(other, _)| other.0 == level);
        let (_, release) = release.ok_or_else(|| Failure(format!("Unknown metadata.version {level}")))?;
        console.line(&format!("{name}={level} ({release}) has no dependencies."));
        return Ok(());
    }
    let feature = Feature::from_name(name).ok_or_else(|| Failure(format!("Unknown feature: {name}")))?;
    if !feature.supported().contains(level) {
        return Err(Failure(unsupported()));
    }
    let needed = ottla_metadata::dependencies(feature, level);
    if needed.is_empty() {
        console.line(&format!("{name}={level} has no dependencies."));
        return Ok(());
    }
    console.line(&format!("{name}={level} requires:"));
    for (other, least) in needed {
        let release = match other {
            Feature::MetadataVersion => format!(" ({})", release_of(MetadataVersion(*least))),
            _ => String::new(),
        };
        console.line(&format!("    {}={least}{release}", other.name()));
    }
    Ok(())
}
