//! A crowd of clients in a process of its own, for more connections than one process may have: `crowd BOOTSTRAP COUNT`.
//!
//! Connects so many times, asks something on each connection and says how many were answered and how many refused. Stays until
//! its input ends.

use ottla_tests::besieged::request;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, count] = arguments.as_slice() else {
        eprintln!("crowd BOOTSTRAP COUNT");
        return ExitCode::from(2);
    };
    match count.parse().map_err(io::Error::other).and_then(|count| gather(bootstrap, count)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn gather(bootstrap: &str, count: usize) -> io::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(bootstrap)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        streams.push(stream);
    }
    let ask = request(18, 0, b"crowd", false, &[]);
    // Who is refused may not even write.
    streams.iter_mut().for_each(|stream| drop(stream.write_all(&ask)));
    let mut answered = 0;
    for stream in &mut streams {
        answered += usize::from(is_answered(stream)?);
    }
    println!("{answered} {}", count - answered);
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
}

/// Whether the answer comes, and not the end.
fn is_answered(stream: &mut TcpStream) -> io::Result<bool> {
    let mut answer = [0; 10];
    match stream.read_exact(&mut answer) {
        Ok(()) if answer[4..] == [0, 0, 0, 7, 0, 0] => Ok(true),
        Ok(()) => Err(io::Error::other(format!("a wrong answer: {answer:?}"))),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(false),
        Err(error) => Err(error),
    }
}
