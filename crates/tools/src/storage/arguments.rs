//! The arguments of `kafka-storage`.

use crate::argparse::{Opt, Options, Parser, Subcommand};

const CONFIG: Opt = Opt::text("config", "The properties file of the node.").short('c').required();

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "info",
        help: "Tell about the node's log directories.",
        usage: "usage: kafka-storage info [-h] --config CONFIG\n",
        options: Options::of(&[CONFIG]),
    },
    Subcommand {
        name: "format",
        help: "Format the node's log directories.",
        usage: "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID
                     [--add-scram ADD_SCRAM] [--ignore-formatted]
                     [--release-version RELEASE_VERSION]
                     [--feature FEATURE] [--standalone |
                     --no-initial-controllers |
                     --initial-controllers INITIAL_CONTROLLERS]\n",
        options: Options::of(&[
            CONFIG,
            Opt::text("cluster-id", "The id of the cluster; random-uuid makes one.").short('t').required(),
            Opt::text("add-scram", "SCRAM credentials to start with. This version keeps none yet.").short('S'),
            Opt::flag("ignore-formatted", "Leave directories alone that are formatted, and format the others.")
                .short('g'),
            Opt::text("release-version", "The release whose features the cluster starts with: 3.3-IV3 to 4.4-IV2.")
                .short('r'),
            Opt::text("feature", "The level of one feature, as feature=level.").short('f'),
            Opt::flag("standalone", "The node is the only voter of a dynamic quorum.").short('s').exclusive(),
            Opt::flag("no-initial-controllers", "The node asks others for the voters of a dynamic quorum.")
                .short('N')
                .exclusive(),
            Opt::text(
                "initial-controllers",
                "The voters of a dynamic quorum, the same on all nodes: id@host:port:directory, by commas.",
            )
            .short('I')
            .exclusive(),
        ]),
    },
    Subcommand {
        name: "version-mapping",
        help: "Tell which feature levels belong to a release.",
        usage: "usage: kafka-storage version-mapping [-h]
                     [--release-version RELEASE_VERSION]\n",
        options: Options::of(&[Opt::text(
            "release-version",
            "The release, 3.3-IV3 to 4.4-IV2; without it, the newest stable one.",
        )
        .short('r')]),
    },
    Subcommand {
        name: "feature-dependencies",
        help: "Tell which other features a feature's level needs.",
        usage: "usage: kafka-storage feature-dependencies [-h] --feature FEATURE\n",
        options: Options::of(&[Opt::text(
            "feature",
            "The feature and its level, as feature=level; may be given several times.",
        )
        .short('f')
        .required()]),
    },
    Subcommand {
        name: "random-uuid",
        help: "Make an id for a cluster.",
        usage: "usage: kafka-storage random-uuid [-h]\n",
        options: Options::NONE,
    },
];

const USAGE: &str = "usage: kafka-storage [-h]
                     {info,format,version-mapping,feature-dependencies,random-uuid}
                     ...\n";

/// How the arguments are read.
pub(super) const PARSER: Parser = Parser {
    about: "Formats the log directories of a node, and tells about them.",
    usage: USAGE,
    options: Options::NONE,
    subcommands: SUBCOMMANDS,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argparse::Outcome;

    fn parsed(line: &str) -> Outcome {
        PARSER.parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn error(line: &str) -> String {
        match parsed(line) {
            Outcome::Mistake(mistake) => mistake.error,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_long_short_abbreviated_and_may_be_joined_with_their_value() {
        for line in
            ["format -c f -t x", "format --config=f --cluster-id x", "format --conf f --cluster x", "format -cf -tx"]
        {
            let Outcome::Run("format", values) = parsed(line) else { panic!("{line}") };
            assert_eq!((values.one("config"), values.one("cluster-id")), (Some("f"), Some("x")), "{line}");
        }
        let Outcome::Run(_, values) = parsed("format -c f -t x -f a=1 -f b=2 -g") else { panic!() };
        assert_eq!(values.all("feature"), ["a=1", "b=2"]);
        assert!(values.has("ignore-formatted") && !values.has("standalone"));
    }

    #[test]
    fn mistakes_have_the_texts_of_argparse() {
        assert_eq!(error(""), "too few arguments");
        assert!(error("bogus").starts_with("invalid choice: 'bogus' (choose from 'info', "));
        assert_eq!(error("info"), "argument --config/-c is required");
        assert_eq!(error("format"), "argument --cluster-id/-t is required");
        assert_eq!(error("info -c"), "argument --config/-c: expected one argument");
        assert_eq!(error("info -c -x"), "argument --config/-c: expected one argument");
        assert_eq!(error("info --bogus"), "unrecognized arguments: '--bogus'");
        assert_eq!(error("random-uuid x"), "unrecognized arguments: 'x'");
        let both = "argument --no-initial-controllers/-N: not allowed with argument --standalone/-s";
        assert_eq!(error("format -c x -t y -s -N"), both);
    }

    #[test]
    fn help_is_no_mistake() {
        for line in ["-h", "--help", "format --help", "info -h", "random-uuid --help"] {
            assert!(matches!(parsed(line), Outcome::Help(_)), "{line}");
        }
    }
}
