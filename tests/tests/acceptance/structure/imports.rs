//! Which file of a crate uses which, read from the paths in their code.
//!
//! A file uses another if it names something that is defined there: in a `use`, or in a path that begins with `crate`,
//! `self`, `super`, a child module or an imported module. Three things are no use:
//! - a declaration (`mod child;`) and a re-export (`pub use child::Item;`), unless the parent's own code names the item;
//! - the module on the way: `super::Item` leads to the file that defines `Item`, where the parent only re-exports it;
//! - what stands below `#[cfg(test)]`.
//!
//! So a parent that only gathers its children is in no circle with them. A child that needs an item *defined* in its
//! parent, while the parent's code needs that child, is in one: the item belongs into a file of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Module = Vec<String>;

/// A file of a crate.
#[derive(Debug)]
struct File {
    path: PathBuf,
    tokens: Vec<String>,
    /// The imports in it: the name that they give here, the path as written, and whether others see it too.
    imports: Vec<Import>,
}

#[derive(Clone, Debug)]
struct Import {
    name: String,
    path: Vec<String>,
    public: bool,
}

/// A crate's files by their modules.
#[derive(Debug)]
pub(super) struct Crate {
    files: BTreeMap<Module, File>,
}

impl Crate {
    /// Reads the crate of these `sources` below `folder`, whose root is `lib.rs`, or `main.rs` where there is none.
    pub(super) fn read(folder: &Path, sources: Vec<PathBuf>) -> Self {
        let root = if folder.join("lib.rs").is_file() { "lib" } else { "main" };
        let mut files = BTreeMap::new();
        let mut tests = BTreeSet::new();
        for path in sources {
            let relative = path.strip_prefix(folder).expect("below the folder").with_extension("");
            let mut module: Module =
                relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            if module[0] == "bin" || (module.len() == 1 && module[0] == "main" && root == "lib") {
                continue;
            }
            if module == [root] || module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            let (tokens, skipped) =
                without_tests(&tokens(&std::fs::read_to_string(&path).expect("a source")));
            tests.extend(skipped.into_iter().map(|name| [module.clone(), vec![name]].concat()));
            let imports = imports(&tokens);
            files.insert(module, File { path, tokens, imports });
        }
        files.retain(|module, _| !(1..=module.len()).any(|end| tests.contains(&module[..end])));
        Self { files }
    }

    /// The sets of files that use each other in a circle, each with the uses that make it.
    pub(super) fn circles(&self) -> Vec<String> {
        let uses: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, self.used_by(module))).collect();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> = uses
            .keys()
            .map(|&from| {
                let mut seen = BTreeSet::new();
                let mut next: Vec<&Module> = uses[from].iter().copied().collect();
                while let Some(module) = next.pop() {
                    if seen.insert(module) {
                        next.extend(&uses[module]);
                    }
                }
                (from, seen)
            })
            .collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let circle: Vec<&Module> =
                reached.iter().copied().filter(|other| reach[other].contains(module)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        let name = |module: &Module| self.files[module].path.display().to_string();
        let describe = |circle: Vec<&Module>| {
            let lines = circle.iter().map(|from| {
                let to: Vec<_> =
                    uses[from].iter().filter(|to| circle.contains(to)).map(|to| name(to)).collect();
                format!("  {} uses {}", name(from), to.join(", "))
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        circles.into_iter().map(describe).collect()
    }

    fn used_by(&self, module: &Module) -> BTreeSet<&Module> {
        let file = &self.files[module];
        let mut paths: Vec<Vec<String>> = file
            .imports
            .iter()
            .filter(|import| !import.public || named(&file.tokens, &import.name))
            .map(|import| import.path.clone())
            .collect();
        paths.extend(paths_in(&file.tokens));
        paths
            .iter()
            .filter_map(|path| self.defined_in(module, path, 0))
            .filter(|&used| used != module)
            .collect()
    }

    /// The module whose file defines what `path` names in `module`; `None` for other crates, and for whole modules.
    fn defined_in(&self, module: &Module, path: &[String], depth: usize) -> Option<&Module> {
        let mut at = module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (at, rest) = (Module::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {}
            first if self.files.contains_key(&[&at[..], &[first.to_owned()]].concat()) => {}
            // An item of this file, or the first part of an imported path.
            _ => return self.imported(module, path, depth),
        }
        while let Some(name) = rest.first() {
            if name == "super" {
                at.pop()?;
            } else {
                at.push(name.clone());
                if !self.files.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
            rest = &rest[1..];
        }
        let (found, _) = self.files.get_key_value(&at)?;
        // A module by itself is only the way to something, which is seen where it is used.
        let name = rest.first()?;
        if found == module && path.len() == rest.len() {
            return None;
        }
        if name == "*" || self.defines(found, name) {
            return Some(found);
        }
        self.imported(found, rest, depth + 1).or(Some(found))
    }

    /// As [`Self::defined_in`], by an import of `module` that gives the first name of `path`.
    fn imported(&self, module: &Module, path: &[String], depth: usize) -> Option<&Module> {
        // Names that import each other do not compile; this keeps the search of a wrong reading short.
        if depth > 8 {
            return None;
        }
        let file = &self.files[module];
        if let Some(import) = file.imports.iter().find(|import| import.name == path[0]) {
            return self.defined_in(module, &[&import.path[..], &path[1..]].concat(), depth + 1);
        }
        let globs = file.imports.iter().filter(|import| import.name == "*");
        globs
            .filter_map(|glob| self.defined_in(module, &glob.path, depth + 1))
            .find(|found| self.defines(found, &path[0]))
    }

    fn defines(&self, module: &Module, name: &str) -> bool {
        self.files[module].tokens.windows(2).any(|pair| {
            matches!(
                pair[0].as_str(),
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" | "mod"
            ) && pair[1] == name
        })
    }
}

/// Whether the code names `name` outside of imports.
fn named(tokens: &[String], name: &str) -> bool {
    let mut within = false;
    tokens.iter().any(|token| {
        within = (within || token == "use") && token != ";";
        !within && token == name
    })
}

/// Paths outside of imports that have more than one part.
fn paths_in(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at += tokens[at..].iter().position(|token| token == ";").unwrap_or(0);
        }
        let mut path = Vec::new();
        while is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|token| token == "::") {
            path.push(tokens[at].clone());
            at += 2;
            if at == tokens.len() {
                break;
            }
        }
        if !path.is_empty() && at < tokens.len() {
            path.push(tokens[at].clone());
            found.push(path);
        }
        at += 1;
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn imports(tokens: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "use") {
        let public = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
        let end = tokens[at..].iter().position(|token| token == ";").map_or(tokens.len(), |end| at + end);
        tree(&tokens[at + 1..end], &[], public, &mut found);
    }
    found
}

/// Expands `a::{b, c as d}` below `prefix`.
fn tree(tokens: &[String], prefix: &[String], public: bool, found: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut name = None;
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => {}
            "as" => {
                name = tokens.get(at + 1).cloned();
                break;
            }
            "{" => {
                let mut depth = 0;
                let mut from = at + 1;
                for (index, token) in tokens.iter().enumerate().skip(at) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if (token == "," && depth == 1) || depth == 0 {
                        if index > from {
                            tree(&tokens[from..index], &path, public, found);
                        }
                        from = index + 1;
                    }
                    if depth == 0 {
                        break;
                    }
                }
                return;
            }
            "self" if !path.is_empty() => {}
            part => path.push(part.to_owned()),
        }
        at += 1;
    }
    let name = name.unwrap_or_else(|| path.last().cloned().unwrap_or_default());
    found.push(Import { name, path, public });
}

/// The tokens without items for tests, and the names of the modules among those.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !(tokens[at..].starts_with(&["#", "[", "cfg", "("].map(str::to_owned))
            && tokens[at + 4..].iter().take(6).take_while(|token| *token != "]").any(|token| token == "test")
            && tokens[at + 4] != "not")
        {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        let mut item = Vec::new();
        while at < tokens.len() {
            let token = tokens[at].as_str();
            at += 1;
            item.push(token);
            match token {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(token, ";" | "}") {
                break;
            }
        }
        modules
            .extend(item.windows(2).filter(|pair| pair[0] == "mod").map(|pair| pair[1].to_owned()).take(1));
    }
    (kept, modules)
}

/// Names and signs of Rust code; comments, texts and numbers are left out.
fn tokens(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = text(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The length of the text or character that `code` begins with, if it does.
fn text(code: &str) -> Option<usize> {
    let bare = code.trim_start_matches(['b', 'c']);
    let before = code.len() - bare.len();
    if let Some(raw) = bare.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(inside) = raw[hashes..].strip_prefix('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            return inside.find(&close).map(|end| before + 1 + hashes + 1 + end + close.len());
        }
    }
    if before > 1 {
        return None;
    }
    let quote = bare.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in bare.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(before + at + 1);
        } else if quote == '\'' && at > 1 && !bare[1..].starts_with('\\') {
            // A lifetime: no quote follows the first character.
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, code) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, code).expect("a file");
        }
        let sources = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        Crate::read(folder.path(), sources).circles()
    }

    #[test]
    fn a_parent_that_only_re_exports_is_in_no_circle() {
        let parent = "mod a; mod b; pub use a::A; use b::B; #[cfg(test)] mod tests { use a::A; }";
        let found = circles(&[
            ("lib.rs", "mod m;"),
            ("m.rs", parent),
            ("m/a.rs", "pub struct A; /* super::B */ const TEXT: &str = \"super::B\";"),
            ("m/b.rs", "use super::{A}; pub struct B<'a>(&'a A);"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_circle_is_found_whatever_way_the_path_takes() {
        for (parent, child) in [
            ("mod a; pub struct P; fn f() { a::g(); }", "use super::P; fn g() {}"),
            ("mod a; pub use a::A; pub struct P(A);", "pub struct A; fn g() -> crate::m::P {}"),
            (
                "mod a; use a as other; pub struct P; fn f() { other::g(); }",
                "use super::super::m::P; fn g() {}",
            ),
        ] {
            let found = circles(&[("lib.rs", "mod m;"), ("m/mod.rs", parent), ("m/a.rs", child)]);
            assert_eq!(found.len(), 1, "{parent} {child}");
        }
        let siblings = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; struct A;"),
            ("b.rs", "use crate::a::A; struct B;"),
        ];
        assert_eq!(circles(&siblings).len(), 1);
    }
}
