//! The table of mutations in `tests/mutations/`: every protection of the scaler, with the change to its source that takes
//! it out.
//!
//! A file of the table has a part per source file, which begins with `# ` and its path, and in it a paragraph per mutation:
//!
//! ```text
//! ## its-name
//! What is no longer protected.
//! - the text to replace, which occurs once in the source file above its tests
//! + the text in its place; without such a line the first is deleted
//! simulation
//! equivalent: the reason why nothing can find it
//! ```
//!
//! The last two lines are optional. `simulation` marks what the simulation of fleets must find by itself, whether or not a
//! unit test does. White space does not count when the text is looked for, so that formatting the source changes nothing.

use std::path::Path;

use anyhow::{Context as _, ensure};

/// A change to the source that takes out one protection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Its name, unique in the table.
    pub name: String,
    /// The path of the source file from the top of the repository.
    pub file: String,
    /// What is no longer protected.
    pub takes_out: String,
    /// The text to replace.
    old: String,
    /// The text in its place.
    new: String,
    /// Whether the simulation must find it by itself.
    pub simulation: bool,
    /// Why the changed program behaves like the original one.
    pub equivalent: Option<String>,
}

impl Mutation {
    /// The source with this change. Fails unless the text to replace occurs exactly once above the tests of the file.
    pub fn apply(&self, source: &str) -> anyhow::Result<String> {
        let code = source.find("#[cfg(test)]\nmod tests {").map_or(source, |tests| &source[..tests]);
        let (dense, places) = without_white_space(code);
        let (old, _) = without_white_space(&self.old);
        ensure!(!old.is_empty(), "{}: a line that begins with `- ` is missing", self.name);
        ensure!(old != without_white_space(&self.new).0, "{} changes nothing", self.name);
        let found: Vec<usize> = dense.match_indices(&old).map(|(at, _)| at).collect();
        let [at] = found[..] else {
            anyhow::bail!(
                "{} finds its text {} times in {}; it must once",
                self.name,
                found.len(),
                self.file
            );
        };
        let (start, end) = (places[at], places[at + old.len() - 1] + 1);
        Ok([&source[..start], &self.new, &source[end..]].concat())
    }
}

/// A text without its white space, and the place of each of its bytes in the original.
fn without_white_space(text: &str) -> (String, Vec<usize>) {
    let kept = text.char_indices().filter(|(_, c)| !c.is_whitespace());
    let places = kept.clone().flat_map(|(at, c)| at..at + c.len_utf8()).collect();
    (kept.map(|(_, c)| c).collect(), places)
}

/// Reads the table of the repository at `root`. Fails if a mutation does not fit the code any more.
pub fn table(root: &Path) -> anyhow::Result<Vec<Mutation>> {
    let mutations = read(&root.join("tests/mutations"))?;
    let mut unfit = Vec::new();
    for mutation in &mutations {
        let file = root.join(&mutation.file);
        let source = std::fs::read_to_string(&file);
        let source = source.with_context(|| format!("failed to read {}", file.display()))?;
        unfit.extend(mutation.apply(&source).err().map(|error| error.to_string()));
    }
    ensure!(
        unfit.is_empty(),
        "correct tests/mutations, so that it takes out the same protections:\n{}",
        unfit.join("\n")
    );
    Ok(mutations)
}

/// Reads every file of `folder`, in the order of their names.
fn read(folder: &Path) -> anyhow::Result<Vec<Mutation>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let mut mutations = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file);
        parse(&text.with_context(|| format!("failed to read {}", file.display()))?, &mut mutations)?;
    }
    Ok(mutations)
}

/// Adds the mutations of one file of the table.
fn parse(text: &str, mutations: &mut Vec<Mutation>) -> anyhow::Result<()> {
    let mut file = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(path) = line.strip_prefix("# ") {
            file = path;
            continue;
        }
        if let Some(name) = line.strip_prefix("## ") {
            let name = name.to_owned();
            ensure!(mutations.iter().all(|it| it.name != name), "the table has {name} twice");
            mutations.push(Mutation { name, file: file.to_owned(), ..Mutation::default() });
            continue;
        }
        let mutation = mutations.last_mut().filter(|it| it.file == file);
        let mutation = mutation.with_context(|| format!("the line {line:?} belongs to no mutation"))?;
        let add = |to: &mut String, text: &str| {
            if !to.is_empty() {
                to.push('\n');
            }
            to.push_str(text);
        };
        match line.split_at(line.len().min(2)) {
            ("- ", old) => add(&mut mutation.old, old),
            ("+ ", new) => add(&mut mutation.new, new),
            _ if line == "simulation" => mutation.simulation = true,
            _ => match line.strip_prefix("equivalent: ") {
                Some(reason) => mutation.equivalent = Some(reason.to_owned()),
                None => add(&mut mutation.takes_out, line),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
# a.rs

## first
Nothing is checked.
- if a
-     && b
+ if a

## second
- return;
simulation
equivalent: it is the end anyway
";

    fn parsed() -> Vec<Mutation> {
        let mut mutations = Vec::new();
        parse(TABLE, &mut mutations).expect("a table");
        mutations
    }

    #[test]
    fn a_table_is_read() {
        let mutations = parsed();
        assert_eq!(mutations.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(
            (mutations[0].file.as_str(), mutations[0].takes_out.as_str()),
            ("a.rs", "Nothing is checked.")
        );
        assert_eq!((mutations[0].simulation, mutations[1].simulation), (false, true));
        assert_eq!(mutations[1].equivalent.as_deref(), Some("it is the end anyway"));
        assert!(parse("- lost", &mut Vec::new()).is_err());
        assert!(parse(TABLE, &mut parsed()).is_err(), "names are unique");
    }

    #[test]
    fn a_text_is_replaced_once_whatever_its_white_space() {
        let [first, second] = &parsed()[..] else { panic!("two mutations") };
        assert_eq!(first.apply("é if a && b {\n").expect("applied"), "é if a {\n");
        assert!(first.apply("if a&&b {} if a\n&& b {}").is_err());
        assert!(first.apply("if a || b {}").is_err());
        let tested = "{ return; }\n\n#[cfg(test)]\nmod tests { return; }";
        assert_eq!(second.apply(tested).expect("applied"), "{  }\n\n#[cfg(test)]\nmod tests { return; }");
    }
}
