use crate::{Captured, KAFKA_VERSION, Oracle, OracleError, run, tools};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// No tool or small program of ours runs longer.
const TOOL_LIMIT: Duration = Duration::from_secs(180);

/// Tools speak to standard error, warnings only.
const TOOLS_LOG4J: &str = r#"<Configuration status="ERROR">
  <Appenders><Console name="stderr" target="SYSTEM_ERR"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
  <Loggers><Root level="${sys:oracle.level:-WARN}"><AppenderRef ref="stderr"/></Root></Loggers>
</Configuration>
"#;

/// The options for programs that end after a second: the time goes into starting, not into running long.
pub const SHORT_RUN_OPTIONS: [&str; 4] =
    ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"];

/// The options that Kafka's own start scripts give to every Java process.
pub(crate) const JVM_OPTIONS: [&str; 7] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

/// One run of a tool among several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRun {
    /// The script's name, `.sh` or not.
    pub script: String,
    /// What stands behind it.
    pub arguments: Vec<String>,
    /// What it reads from its standard input.
    pub input: String,
}

impl Oracle {
    /// The class path of Apache Kafka's jars.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.jars().display())
    }

    /// A Java process with Apache Kafka's jars, ready for a class name and its arguments.
    ///
    /// # Errors
    /// The logging configuration can't be written.
    pub fn java(&self) -> Result<Command, OracleError> {
        self.java_with(&self.class_path())
    }

    fn java_with(&self, class_path: &str) -> Result<Command, OracleError> {
        let log4j = self.write("log4j2-tools.xml", TOOLS_LOG4J)?;
        let mut java = Command::new("java");
        java.arg("-Xmx256M").args(SHORT_RUN_OPTIONS);
        java.arg(format!("-Dlog4j2.configurationFile={}", log4j.display())).args(["-cp", class_path]);
        Ok(java)
    }

    /// The tool behind one of Kafka's scripts, `.sh` or not, ready for its arguments.
    ///
    /// # Errors
    /// There is no such script, or its class is not served by the registry.
    pub fn tool(&self, script: &str) -> Result<Command, OracleError> {
        let class = tools::main_class(script).ok_or_else(|| OracleError::UnknownTool(script.to_owned()))?;
        let mut java = self.java()?;
        java.arg(class);
        Ok(java)
    }

    /// Runs a tool to its end.
    ///
    /// # Errors
    /// As [`Oracle::tool`], or it could not be run. A tool that ran and failed is no error: see the exit code.
    pub fn run_tool<S: AsRef<OsStr>>(&self, script: &str, arguments: &[S]) -> Result<Captured, OracleError> {
        run(self.tool(script)?.args(arguments), TOOL_LIMIT)
    }

    /// Runs tools one after the other in one process, which spares their starts: what they would say in a process of their
    /// own, each with its arguments. Of an exception that ends a tool only the first line is there. Arguments must not
    /// contain tabs and line feeds.
    ///
    /// # Errors
    /// As [`Oracle::tool`], or they could not be run.
    pub fn run_tools(&self, runs: &[(&str, Vec<String>)]) -> Result<Vec<Captured>, OracleError> {
        let run = |(script, arguments): &(&str, Vec<String>)| ToolRun {
            script: (*script).to_owned(),
            arguments: arguments.clone(),
            input: String::new(),
        };
        self.run_tools_with_input(&runs.iter().map(run).collect::<Vec<_>>())
    }

    /// As [`Self::run_tools`], each with what it reads.
    ///
    /// # Errors
    /// As [`Self::run_tools`].
    pub fn run_tools_with_input(&self, runs: &[ToolRun]) -> Result<Vec<Captured>, OracleError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = |name: &str| self.home().join(format!("runs-{}-{number}{name}", std::process::id()));
        let (mut text, mut files) = (String::new(), vec![path("")]);
        for (index, ToolRun { script, arguments, input }) in runs.iter().enumerate() {
            let class = tools::main_class(script).ok_or_else(|| OracleError::UnknownTool(script.clone()))?;
            let input_file = path(&format!("-{index}"));
            if !input.is_empty() {
                fs::write(&input_file, input).map_err(OracleError::file("write", &input_file))?;
            }
            let input_name = if input.is_empty() { "".into() } else { input_file.to_string_lossy() };
            let line: Vec<&str> =
                [&*input_name, class].into_iter().chain(arguments.iter().map(String::as_str)).collect();
            text.push_str(&line.join("\t"));
            text.push('\n');
            files.extend((!input.is_empty()).then_some(input_file));
        }
        fs::write(path(""), text).map_err(OracleError::file("write", &path("")))?;
        let mut program = self.program("ToolRuns")?;
        // Java 17 lets a program see its own exits only with this.
        let ran = run(program.arg(path("")).env("JAVA_TOOL_OPTIONS", "-Djava.security.manager=allow"), TOOL_LIMIT);
        for file in files {
            fs::remove_file(&file).map_err(OracleError::file("remove", &file))?;
        }
        let ran = ran?;
        if ran.code != Some(0) {
            return Err(OracleError::Argument(format!("ToolRuns failed:\n{}", ran.stderr)));
        }
        parse_runs(&ran.stdout).ok_or_else(|| OracleError::Argument("the answer of ToolRuns is malformed".to_owned()))
    }

    /// A program of `oracle/java`, compiled if it is newer than what was compiled, ready for its arguments.
    ///
    /// # Errors
    /// The program does not compile.
    pub fn program(&self, class: &str) -> Result<Command, OracleError> {
        let classes = self.compile(&Self::workspace().join("oracle/java"))?;
        let mut java = self.java_with(&format!("{}:{}", classes.display(), self.class_path()))?;
        java.arg(class);
        Ok(java)
    }

    /// Runs a program of `oracle/java` to its end and gives its output.
    ///
    /// # Errors
    /// It does not compile, or it fails.
    pub fn run_program<S: AsRef<OsStr>>(&self, class: &str, arguments: &[S]) -> Result<String, OracleError> {
        let ran = run(self.program(class)?.args(arguments), TOOL_LIMIT)?;
        match ran.code {
            Some(0) => Ok(ran.stdout),
            _ => Err(OracleError::Argument(format!("{class} failed:\n{}{}", ran.stdout, ran.stderr))),
        }
    }

    /// Compiles all Java files of `directory` together, unless that was done since the last of them changed. Gives the
    /// directory of the classes.
    ///
    /// # Errors
    /// They do not compile.
    pub fn compile(&self, directory: &Path) -> Result<PathBuf, OracleError> {
        let sources = java_files(directory)?;
        // Two directories of one name must not share their classes.
        let name = directory.strip_prefix(Self::workspace()).unwrap_or(directory).to_string_lossy().replace('/', "-");
        let classes = self.home().join(format!("classes-{KAFKA_VERSION}-{name}"));
        let stamp = classes.join(".compiled");
        let _lock = self.lock("compile")?;
        let compiled = fs::metadata(&stamp).and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).map_or(true, |it| it > compiled);
        if !sources.iter().any(changed) {
            return Ok(classes);
        }
        fs::create_dir_all(&classes).map_err(OracleError::file("create", &classes))?;
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-cp", &self.class_path(), "-d"]).arg(&classes).args(&sources);
        let ran = run(&mut javac, TOOL_LIMIT)?;
        if ran.code != Some(0) {
            return Err(OracleError::Argument(format!("javac:\n{}{}", ran.stdout, ran.stderr)));
        }
        fs::write(&stamp, "").map_err(OracleError::file("write", &stamp))?;
        Ok(classes)
    }
}

/// Takes the answers of `ToolRuns` apart: a line "code output errors" with the lengths, and both texts.
fn parse_runs(mut text: &str) -> Option<Vec<Captured>> {
    let mut runs = Vec::new();
    while let Some((head, rest)) = text.split_once('\n') {
        let numbers: Vec<usize> = head.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [code, output, errors] = numbers.try_into().ok()?;
        let (stdout, rest) = rest.split_at_checked(output)?;
        let (stderr, rest) = rest.split_at_checked(errors)?;
        runs.push(Captured { code: i32::try_from(code).ok(), stdout: stdout.to_owned(), stderr: stderr.to_owned() });
        text = rest;
    }
    text.is_empty().then_some(runs)
}

fn java_files(directory: &Path) -> Result<Vec<PathBuf>, OracleError> {
    let entries = fs::read_dir(directory).map_err(OracleError::file("read", directory))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    files.sort();
    Ok(files)
}
