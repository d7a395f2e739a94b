//! `mutations`: takes out each protection of the scaler in turn, in a copy of the workspace, and shows what finds that.
//! The library module `mutations` describes the table; `tests/mutations.sh` builds and starts this.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use jitsi_tests::mutations::{Mutation, table};
use tokio::time::Instant;

/// The longest run of the unit tests. A protection that is missing may leave a test in a loop.
const TESTS: Duration = Duration::from_mins(2);
/// The longest run of one simulation.
const SIMULATION: Duration = Duration::from_mins(10);
/// The seeds of the simulation.
const SEEDS: [&str; 2] = ["1", "2"];
/// How often a program that runs is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The end of the line of a unit test that fails.
const FAILED: &str = " ... FAILED";

/// Takes out each protection of the scaler in turn, and shows that a unit test finds it, or the simulation of fleets.
#[derive(Debug, Parser)]
#[command(name = "mutations", version)]
struct Arguments {
    /// Only mutations whose names begin with one of these
    names: Vec<String>,

    /// Without unit tests: the simulation has to find each mutation that is marked for it
    #[arg(long)]
    simulation: bool,

    /// The number of simulated days
    #[arg(long, default_value = "2")]
    days: String,

    /// Print the table, and try nothing
    #[arg(long)]
    list: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let mut chosen = table(&root)?;
    for name in &arguments.names {
        ensure!(chosen.iter().any(|it| it.name.starts_with(name)), "no mutation has a name like {name}");
    }
    let is_named = |it: &Mutation| {
        arguments.names.is_empty() || arguments.names.iter().any(|name| it.name.starts_with(name))
    };
    chosen.retain(|it| is_named(it) && (it.simulation || !arguments.simulation));
    let mut out = io::stdout();
    if arguments.list {
        for Mutation { name, file, takes_out, .. } in &chosen {
            writeln!(out, "{name} ({file}): {}", takes_out.replace('\n', " "))?;
        }
        return Ok(ExitCode::SUCCESS);
    }

    let workshop = Workshop::new(&root)?;
    let mut failures = 0;
    let mut survivors = Vec::new();
    if arguments.simulation {
        survivors = chosen;
    } else {
        writeln!(out, "{} mutations; first the unit tests without any", chosen.len())?;
        if let Some(failure) = workshop.test()? {
            bail!("the unit tests fail already: {failure}");
        }
        for mutation in chosen {
            let started = Instant::now();
            let found = match workshop.with(&mutation, Workshop::test) {
                Ok(found) => found,
                Err(error) => {
                    failures += 1;
                    writeln!(out, "FAILED: {error:#}")?;
                    continue;
                }
            };
            let line = match (&found, &mutation.equivalent) {
                (None, None) => "no unit test finds it".to_owned(),
                (None, Some(reason)) => format!("equivalent: {reason}"),
                (Some(found), None) => format!("killed by {found}"),
                (Some(found), Some(_)) => format!("NOT EQUIVALENT: killed by {found}"),
            };
            writeln!(out, "{}: {line} ({:.0?})", mutation.name, started.elapsed())?;
            failures += u32::from(found.is_some() && mutation.equivalent.is_some());
            if found.is_none() && mutation.equivalent.is_none() {
                survivors.push(mutation);
            }
        }
    }
    if !survivors.is_empty() {
        writeln!(out, "{} for the simulation; first it runs without any", survivors.len())?;
        if let Some(failure) = workshop.simulate(&arguments.days)? {
            bail!("the simulation fails already: {failure}");
        }
    }
    for mutation in survivors {
        let started = Instant::now();
        let found = workshop.with(&mutation, |workshop| workshop.simulate(&arguments.days))?;
        failures += u32::from(found.is_none());
        let line = found.map_or_else(
            || format!("SURVIVED: {}", mutation.takes_out.replace('\n', " ")),
            |found| format!("killed by the simulation, {found}"),
        );
        writeln!(out, "{}: {line} ({:.0?})", mutation.name, started.elapsed())?;
    }
    writeln!(out, "mutations: {failures} unexplained")?;
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A copy of the workspace with a target folder of its own, so that neither the working tree nor what is built from it
/// changes.
struct Workshop {
    source: PathBuf,
    target: PathBuf,
}

impl Workshop {
    /// Copies what git does not ignore. A file that is the same already keeps its time, so that little is built anew.
    fn new(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join("target/mutations");
        let (source, target) = (folder.join("source"), folder.join("target"));
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("failed to run git")?;
        ensure!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).context("a path is not UTF-8")?;
        let paths: BTreeSet<&str> =
            listed.split_terminator('\0').filter(|it| root.join(it).is_file()).collect();
        for path in &paths {
            let (from, to) = (root.join(path), source.join(path));
            let text = fs::read(&from).with_context(|| format!("failed to read {}", from.display()))?;
            if fs::read(&to).is_ok_and(|copied| copied == text) {
                continue;
            }
            fs::create_dir_all(to.parent().context("a path without a folder")?)?;
            fs::copy(&from, &to).with_context(|| format!("failed to write {}", to.display()))?;
        }
        let mut folders = vec![source.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.strip_prefix(&source)?.to_str().is_some_and(|path| paths.contains(path)) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(Self { source, target })
    }

    /// What finds a mutation, by `attempt`.
    fn with(
        &self,
        mutation: &Mutation,
        attempt: impl FnOnce(&Self) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<Option<String>> {
        let file = self.source.join(&mutation.file);
        let original =
            fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        fs::write(&file, mutation.apply(&original)?)?;
        let found = attempt(self);
        fs::write(&file, original)?;
        found.with_context(|| format!("failed to try {}", mutation.name))
    }

    /// The first unit test of the scaler that fails.
    fn test(&self) -> anyhow::Result<Option<String>> {
        let tests =
            self.build(&["test", "--no-run", "-p", "jitsi-scaler", "--features", "azure", "--lib"])?;
        let mut command = Command::new(tests);
        // Where cargo runs them. Snapshots are compared and not renewed.
        let package = self.source.join("scaler");
        command.current_dir(&package).env("CARGO_MANIFEST_DIR", &package);
        command.env("INSTA_WORKSPACE_ROOT", &self.source).env("INSTA_UPDATE", "no");
        let Some((success, output)) = self.run(&mut command, TESTS)? else {
            return Ok(Some("tests that do not end".to_owned()));
        };
        let failed = output.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(FAILED));
        Ok((!success).then(|| failed.unwrap_or("the end of the tests").to_owned()))
    }

    /// The violations that the simulation finds.
    fn simulate(&self, days: &str) -> anyhow::Result<Option<String>> {
        let simulate = self.build(&["build", "-p", "jitsi-tests", "--bin", "simulate"])?;
        for seed in SEEDS {
            let mut command = Command::new(&simulate);
            command.args(["--days", days, "--seed", seed, "--first"]);
            match self.run(&mut command, SIMULATION)? {
                Some((true, _)) => {}
                Some((false, output)) => {
                    let last = output.lines().last().unwrap_or("without a word");
                    return Ok(Some(format!("seed {seed}: {last}")));
                }
                None => return Ok(Some(format!("seed {seed}: it does not end"))),
            }
        }
        Ok(None)
    }

    /// Builds a program, and returns its path. Fails if it does not compile.
    fn build(&self, arguments: &[&str]) -> anyhow::Result<PathBuf> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(arguments)
            .args(["--locked", "--message-format", "json-render-diagnostics"])
            .current_dir(&self.source)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()
            .context("failed to run cargo")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = output.stdout.split(|byte| *byte == b'\n');
        let mut values = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
        let program = values.find_map(|value| value["executable"].as_str().map(PathBuf::from));
        program.context("cargo built no program")
    }

    /// Runs a program until it ends or a test fails: whether it succeeds, and what it writes. `None` at the limit.
    fn run(&self, command: &mut Command, limit: Duration) -> anyhow::Result<Option<(bool, String)>> {
        // A pipe that is not read would stop it.
        let written = self.target.join("output");
        command.stdin(Stdio::null()).stdout(File::create(&written)?).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let deadline = Instant::now() + limit;
        loop {
            let ended = child.try_wait()?;
            let output = String::from_utf8_lossy(&fs::read(&written)?).into_owned();
            if let Some(status) = ended {
                return Ok(Some((status.success(), output)));
            }
            let has_failed = output.contains(FAILED);
            if has_failed || Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                return Ok(has_failed.then_some((false, output)));
            }
            thread::sleep(POLL);
        }
    }
}
