use crate::workspace;
use ottla_oracle::Oracle;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

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
    command.args(["-Xmx256M", "-Dlog4j2.level=OFF", "-cp", &class_path, class]);
    Ok(command)
}

/// A program that works on a server while a test does something to the server. It says on standard output how far it is,
/// and comes to its end when its standard input ends, or by itself. Killed when dropped.
#[derive(Debug)]
pub struct Load {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Load {
    /// Starts the program.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| {
                io::Error::new(error.kind(), format!("{} can't be run: {error}", command.get_program().display()))
            })?;
        let said = child.stdout.take().map(BufReader::new).ok_or_else(|| io::Error::other("no standard output"))?;
        Ok(Self { child, said })
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
