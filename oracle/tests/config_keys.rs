//! Our declarations of configuration keys against the pinned release's own.

#![allow(clippy::unwrap_used)]

use ottla_config::{ConfigKey, ConfigType, DefaultValue, Scope, keys};
use ottla_oracle::Oracle;
use std::fmt::Write as _;

const SCOPES: [Scope; 7] = [
    Scope::Broker,
    Scope::Topic,
    Scope::Group,
    Scope::ClientMetrics,
    Scope::BrokerQuota,
    Scope::UserClientQuota,
    Scope::IpQuota,
];

#[test]
fn every_fact_of_every_key_is_the_pinned_releases() {
    let oracle = Oracle::install().unwrap();
    let theirs = oracle.run_program("ConfigKeys", &["facts"]).unwrap();
    let mut theirs: Vec<&str> = theirs.lines().collect();
    let mut ours: Vec<String> =
        SCOPES.into_iter().flat_map(|scope| keys::all(scope).map(move |key| facts(scope, key))).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    let missing: Vec<_> = theirs.iter().filter(|line| !ours.iter().any(|our| our == *line)).collect();
    let extra: Vec<_> = ours.iter().filter(|line| !theirs.contains(&line.as_str())).collect();
    assert!(missing.is_empty() && extra.is_empty(), "theirs only: {missing:#?}\nours only: {extra:#?}");
    println!("{} keys compared", ours.len());
}

fn facts(scope: Scope, key: &ConfigKey) -> String {
    let default = match key.default {
        DefaultValue::Required => "!".to_owned(),
        DefaultValue::Null => "~".to_owned(),
        DefaultValue::Of(_) => key.default_value().unwrap().to_text(),
    };
    let mode = if scope == Scope::Broker { key.update_mode.name() } else { "" };
    let synonyms: Vec<String> =
        key.server_synonyms.iter().map(|synonym| format!("{}*{}", synonym.name, synonym.factor)).collect();
    [
        format!("{scope:?}").as_str(),
        key.name,
        key.config_type.name(),
        default.as_str(),
        key.importance.name(),
        mode,
        synonyms.join(",").as_str(),
        if key.internal { "internal" } else { "" },
    ]
    .join("\t")
}

#[test]
fn every_key_accepts_and_refuses_the_values_that_the_pinned_release_does() {
    let mut probes = Vec::new();
    for scope in SCOPES {
        // A class must be loadable there, which here nothing can be.
        for key in keys::all(scope).filter(|key| key.config_type != ConfigType::Class) {
            probes.extend(values(key.config_type).into_iter().map(|value| (scope, key, value)));
        }
    }
    let mut file = String::new();
    for (scope, key, value) in &probes {
        writeln!(file, "{scope:?}\t{}\t{value}", key.name).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("probes");
    std::fs::write(&path, file).unwrap();
    let answers = Oracle::install().unwrap().run_program("ConfigKeys", &["parse", path.to_str().unwrap()]).unwrap();
    let mut differences = Vec::new();
    assert_eq!(answers.lines().count(), probes.len());
    for ((_, key, value), theirs) in probes.iter().zip(answers.lines()) {
        let ours = match key.parse(value) {
            Ok(_) if key.is_sensitive() => "= [hidden]".to_owned(),
            Ok(value) => format!("= {}", value.to_text()),
            Err(invalid) => format!("! {invalid}"),
        };
        if differs_on_purpose(key, value) {
            continue;
        }
        if ours != theirs && !(ours.starts_with('!') && theirs.starts_with('!')) {
            differences.push(format!("{} {value:?}: theirs {theirs}, ours {ours}", key.name));
        }
    }
    assert!(differences.is_empty(), "{} differences: {differences:#?}", differences.len());
    println!("{} values compared", probes.len());
}

/// Apache Kafka takes a bootstrap server without a host, or with a scheme before it, and fails later when it connects.
fn differs_on_purpose(key: &ConfigKey, value: &str) -> bool {
    key.name == "controller.quorum.bootstrap.servers" && (value.starts_with(':') || value.contains("://"))
}

/// Values at and around all bounds that occur, in good and bad shapes.
fn values(config_type: ConfigType) -> Vec<String> {
    let values = match config_type {
        ConfigType::Boolean => "true|false|TRUE| True |yes|1||tru",
        ConfigType::Int | ConfigType::Short | ConfigType::Long => NUMBERS,
        ConfigType::Double => DOUBLES,
        ConfigType::String | ConfigType::Class | ConfigType::Password => TEXTS,
        ConfigType::List => LISTS,
    };
    values.split('|').map(str::to_owned).collect()
}

/// For integers, separated by bars.
const NUMBERS: &str = concat!(
    "-131073|-131072|-3|-2|-1|0|1|2|3|4|5|6|9|10|11|17|18|22|23|25|26|99|100|500|501|999|1000|1001|1023|",
    "1024|1999|2000|2001|3600|3601|9999|10000|10001|14999|15000|30000|30001|32767|32768|60000|60001|",
    "86400|86401|524287|524288|1048575|1048576|3600000|3600001|8388607|8388608|2147483639|2147483640|",
    "2147483647|2147483648|9223372036854775807|9223372036854775808|+7| 7 |7.0||x|0x10|1_0",
);

/// For floating-point numbers.
const DOUBLES: &str = concat!(
    "-0.1|0|0.0|0.05|0.5|0.51|1|1.0|1.1|100|1e3|1E-5|1.5d|2f|.5|5.|NaN|Infinity|-Infinity|inf|nan|x|| 1 |",
    "12345678.9|0.001|0.00099|1e7|123456789012|-0",
);

/// For texts.
const TEXTS: &str = concat!(
    "| |x| x |producer|gzip|GZIP|CreateTime|createtime|LogAppendTime|none|required|bidirectional|",
    "DISABLED|rs256|PLAINTEXT|plaintext|SASL_SSL|latest|earliest|LATEST|read_committed|by_duration:PT1H|",
    "by_duration:P1D|by_duration:PT-1H|by_duration:x|by_duration:",
);

/// For lists.
const LISTS: &str = concat!(
    "| |a|a,b|a , b|a,a|a,,b|,|delete|compact|delete,compact|compact,compact|broker|broker,controller|",
    "controller,other|consumer,classic|*|*,*|0:1|0:1,1:2|0:1,x|0:|:1|1@host:9093|",
    "1@host:9093,2@[::1]:9094|1@host|x@host:1|1@host:x|host:9093|host:9093,[::1]:9094|host|host:x|",
    "PLAINTEXT://:9092|A://a:1,B://b:2",
);
