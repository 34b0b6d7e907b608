//! Which of librdkafka's tests are run, by the numbers in their files' names. `NUMBER:SUBTEST` is a part of one.
//!
//! Left out are those that ask no server (the library marks them as local, or brings a server of its own: 0139, 0150), that
//! know themselves to fail (0028, 0047), or that want what is not there:
//!
//! | tests | what they want |
//! |---|---|
//! | 0053 | a library for JSON, which is not part of the source |
//! | 0059 | ten steps within ten seconds, of which each takes a second on either server, by the library's own pause after a seek |
//! | 0077, 0129 | a `segment.bytes` that releases from 4.0 on refuse |
//! | 0081's `CreateAcls`, `DescribeAcls`, `DeleteAcls`, 0109 | access lists, so an authorizer |
//! | 0097, 0115, 0119, 0126, 0135, 0142 | TLS or authentication |
//! | 0101 | three racks |
//! | 0103 | topics of three replicas |
//! | 0107, 0111, parts of 0045 | a server that makes no topics by itself |

/// Always run.
pub(crate) const SHORT: [&str; 73] = [
    "0001", "0002", "0003", "0005", "0007", "0008", "0011", "0012", "0013", "0014", "0015", "0016", "0017", "0018",
    "0019", "0020", "0021", "0022", "0026", "0029", "0030", "0031", "0034", "0035", "0036", "0038", "0039", "0040",
    "0041", "0042", "0044", "0045", "0048", "0050", "0051", "0052", "0054", "0055", "0056", "0057", "0060", "0061",
    "0063", "0064", "0065", "0067", "0068", "0069", "0070", "0073", "0082", "0083", "0084", "0085", "0086", "0089",
    "0090", "0092", "0098", "0099", "0102", "0110", "0112", "0113", "0118", "0122", "0125", "0127", "0130", "0132",
    "0137", "0140", "0153",
];

/// The parts of the tests of administration, always run.
pub(crate) const ADMINISTRATION: [&str; 17] = [
    "0081:do_test_unclean_destroy",
    "0081:do_test_CreateTopics",
    "0081:do_test_DeleteTopics",
    "0081:do_test_CreatePartitions",
    "0081:do_test_AlterConfigs",
    "0081:do_test_IncrementalAlterConfigs",
    "0081:do_test_DescribeConfigs",
    "0081:do_test_DeleteRecords",
    "0081:do_test_ListConsumerGroups",
    "0081:do_test_DescribeConsumerGroups",
    "0081:do_test_DescribeTopics",
    "0081:do_test_DescribeCluster",
    "0081:do_test_DeleteGroups",
    "0081:do_test_DeleteConsumerGroupOffsets",
    "0081:do_test_ListOffsets",
    "0081:do_test_AlterConsumerGroupOffsets",
    "0081:do_test_ListConsumerGroupOffsets",
];

/// Those that take a quarter of a minute and longer, most of which wait for times to be over or for a network that is played to
/// be bad.
pub(crate) const LONG: [&str; 10] = ["0033", "0049", "0075", "0076", "0088", "0091", "0093", "0094", "0114", "0123"];
