//! Kafka's wire: every request, response, header and internal record, as borrowed views and owned forms
