//! A server's metrics, read once.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);
/// No more of an answer is read.
const BYTES_MAX: u64 = 64 << 20;

/// The numbers that the screen shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scrape {
    /// Requests by API since the start, with the milliseconds that 99 of 100 take at the most.
    pub(super) requests: Vec<(String, f64, f64)>,
    /// The part of their time that the threads of connections are idle.
    pub(super) idle: Option<f64>,
}

pub(super) fn read(address: &str) -> io::Result<Scrape> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(BYTES_MAX).read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no page of metrics"));
    }
    Ok(parse(&answer))
}

fn parse(text: &str) -> Scrape {
    const TIMES: &str = "kafka_network_requestmetrics_totaltimems";
    let mut scrape = Scrape::default();
    for line in text.lines() {
        let Some((series, value)) =
            line.rsplit_once(' ').and_then(|(series, value)| Some((series, value.parse().ok()?)))
        else {
            continue;
        };
        if series == "kafka_network_socketserver_networkprocessoravgidle_percent" {
            scrape.idle = Some(value);
        }
        let Some(rest) = series.strip_prefix(TIMES) else { continue };
        let Some(request) = rest.split("request=\"").nth(1).and_then(|rest| rest.split('"').next()) else { continue };
        // Fetches are there once more by kind.
        if matches!(request, "FetchConsumer" | "FetchFollower") {
            continue;
        }
        if !scrape.requests.iter().any(|(known, _, _)| known == request) {
            scrape.requests.push((request.to_owned(), 0.0, 0.0));
        }
        let entry = scrape.requests.iter_mut().find(|(known, _, _)| known == request);
        match entry {
            Some((_, count, _)) if rest.starts_with("_count") => *count = value,
            Some((_, _, slowest)) if rest.contains("quantile=\"0.99\"") => *slowest = value,
            _ => {}
        }
    }
    scrape.requests.sort_by(|(_, one, _), (_, other, _)| other.total_cmp(one));
    scrape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_with_their_times_the_most_frequent_first() {
        let text = "# TYPE x y\nkafka_network_requestmetrics_totaltimems{request=\"Fetch\",quantile=\"0.99\"} 2.5\n\
            kafka_network_requestmetrics_totaltimems_count{request=\"Fetch\"} 3\n\
            kafka_network_requestmetrics_totaltimems_count{request=\"FetchConsumer\"} 3\n\
            kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"} 7\n\
            kafka_network_socketserver_networkprocessoravgidle_percent 0.5\nnonsense\n";
        let requests = vec![("Produce".to_owned(), 7.0, 0.0), ("Fetch".to_owned(), 3.0, 2.5)];
        assert_eq!(parse(text), Scrape { requests, idle: Some(0.5) });
    }
}
