use crate::workspace;
use ottla_oracle::{Leash, Oracle, SHORT_RUN_OPTIONS};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long an application may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Java program of `tests/clients/jvm` with Apache Kafka's jars, compiled if need be, ready for its arguments.
///
/// # Errors
/// When it does not compile.
pub fn java_client(class: &str) -> io::Result<Command> {
    let oracle = Oracle::at_home();
    let classes = oracle.compile(&workspace().join("tests/clients/jvm")).map_err(io::Error::other)?;
    let class_path = format!("{}:{}", classes.display(), oracle.class_path());
    let mut command = Command::new("java");
    // Without a configuration of its own the logger would speak on standard output, where the program says how far it is.
    command.args(SHORT_RUN_OPTIONS).args(["-Xmx256M", "-Dlog4j2.level=OFF", "-cp", &class_path, class]);
    Ok(command)
}

/// A program that works on a server while a test does something to the server. It says on standard output how far it is,
/// and comes to its end when its standard input ends, or by itself. Killed when dropped.
#[derive(Debug)]
pub struct Load {
    child: Child,
    said: BufReader<ChildStdout>,
    _leash: Leash,
}

impl Load {
    /// Starts the program.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().map_err(|error| {
                io::Error::new(error.kind(), format!("{} can't be run: {error}", command.get_program().display()))
            })?;
        let said = child.stdout.take().map(BufReader::new).ok_or_else(|| io::Error::other("no standard output"))?;
        let leash = Leash::tie(&child)?;
        Ok(Self { child, said, _leash: leash })
    }

    /// Waits for the next line that it says.
    ///
    /// # Errors
    /// When it says another line than this, or no more.
    pub fn expect(&mut self, line: &str) -> io::Result<()> {
        let mut said = String::new();
        self.said.read_line(&mut said)?;
        if said.trim_end() == line {
            return Ok(());
        }
        // The lines after it say more.
        self.said.read_to_string(&mut said)?;
        Err(io::Error::other(format!("instead of {line:?} it said: {said}")))
    }

    /// Says a line to it, and returns the line that it answers.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        let input = self.child.stdin.as_mut().ok_or_else(|| io::Error::other("no standard input"))?;
        writeln!(input, "{line}")?;
        input.flush()?;
        let mut said = String::new();
        if self.said.read_line(&mut said)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended"));
        }
        Ok(said.trim_end().to_owned())
    }

    /// Ends its standard input, waits for its end and returns what else it said.
    ///
    /// # Errors
    /// When it ends with another code than 0; what it said is in the error.
    pub fn finish(mut self) -> io::Result<String> {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest)?;
        let status = self.child.wait()?;
        if status.success() { Ok(rest) } else { Err(io::Error::other(format!("ended with {status}: {rest}"))) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Already over in most cases; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An application that runs until it is dropped, and says lines on standard output.
#[derive(Debug)]
pub struct Application {
    child: Child,
    lines: Receiver<String>,
    /// All that it has said, for the error that tells why a line did not come.
    said: Vec<String>,
    _leash: Leash,
}

impl Application {
    /// Starts the application.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let leash = Leash::tie(&child)?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            // Ends with the application's output.
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Ok(Self { child, lines, said: Vec::new(), _leash: leash })
    }

    /// Waits for the next line with `text` in it and returns what stands behind it.
    ///
    /// # Errors
    /// When the application ends, or has not said it after two minutes; what it said is in the error.
    pub fn wait_for(&mut self, text: &str) -> io::Result<String> {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let found = line.split_once(text).map(|(_, rest)| rest.to_owned());
            self.said.push(line);
            if let Some(rest) = found {
                return Ok(rest);
            }
        }
        Err(io::Error::other(format!("it did not say {text:?} but: {}", self.said.join("\n"))))
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// When the system does not let it be asked.
    pub fn terminate(mut self) -> io::Result<()> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Already over in some cases; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
