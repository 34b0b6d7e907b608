use crate::argparse::{Opt, Options, Parser, Subcommand};

const TOPIC: Opt = Opt::text("topic", "The topic.");
const PARTITION: Opt = Opt::integer("partition", "The partition's number.");

pub(super) const PARSER: Parser = Parser {
    about: "Shows transactional ids and the producers of partitions, and finds and ends transactions that hang.",
    usage: "usage: kafka-transactions.sh [-h] [-v] [--command-config FILE]
                             --bootstrap-server host:port COMMAND ...\n",
    options: Options::of(&[
        Opt::VERSION,
        Opt::text("command-config", "A properties file with settings of the client."),
        Opt::text("bootstrap-server", "Servers of the cluster, host:port.").required(),
    ]),
    subcommands: &[
        Subcommand {
            name: "list",
            help: "List transactional ids.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port list [-h]
                             [--duration-filter DURATION_FILTER]
                             [--transactional-id-pattern TRANSACTIONAL_ID_PATTERN]\n",
            options: Options::of(&[
                Opt::long("duration-filter", "Only those open for more than so many milliseconds; all if negative."),
                Opt::text("transactional-id-pattern", "Only ids that this regular expression matches."),
            ]),
        },
        Subcommand {
            name: "describe",
            help: "Describe a transactional id.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port describe [-h]
                             --transactional-id TRANSACTIONAL_ID\n",
            options: Options::of(&[Opt::text("transactional-id", "The transactional id.").required()]),
        },
        Subcommand {
            name: "describe-producers",
            help: "Describe the producers of a partition.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port
                             describe-producers [-h]
                             [--broker-id BROKER_ID] --topic TOPIC
                             --partition PARTITION\n",
            options: Options::of(&[
                Opt::integer("broker-id", "The broker to ask; the leader if there is none."),
                TOPIC.required(),
                PARTITION.required(),
            ]),
        },
        Subcommand {
            name: "abort",
            help: "Abort a transaction that hangs.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port abort [-h]
                             --topic TOPIC --partition PARTITION
                             [--start-offset START_OFFSET]
                             [--producer-id PRODUCER_ID]
                             [--producer-epoch PRODUCER_EPOCH]
                             [--coordinator-epoch COORDINATOR_EPOCH]\n",
            options: Options::of(&[
                TOPIC.required(),
                PARTITION.required(),
                Opt::long("start-offset", "Where the transaction begins; enough for brokers of 3.0 and newer."),
                Opt::long("producer-id", "For older brokers: the producer's id."),
                Opt::short_number("producer-epoch", "For older brokers: the producer's epoch."),
                Opt::integer("coordinator-epoch", "For older brokers: the coordinator's epoch."),
            ]),
        },
        Subcommand {
            name: "find-hanging",
            help: "Find transactions that hang.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port find-hanging [-h]
                             [--broker-id BROKER_ID]
                             [--max-transaction-timeout MAX_TRANSACTION_TIMEOUT]
                             [--topic TOPIC] [--partition PARTITION]\n",
            options: Options::of(&[
                Opt::integer("broker-id", "The broker to look at."),
                Opt::integer("max-transaction-timeout", "How many minutes are not too long; 15 if not given."),
                TOPIC,
                PARTITION,
            ]),
        },
        Subcommand {
            name: "forceTerminateTransaction",
            help: "Fence the producer of a transactional id, which aborts its transaction.",
            usage: "usage: kafka-transactions.sh --bootstrap-server host:port
                             forceTerminateTransaction [-h]
                             --transactionalId TRANSACTIONALID\n",
            options: Options::of(&[Opt::text("transactionalId", "The transactional id.").required()]),
        },
    ],
};
